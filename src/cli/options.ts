// The command line: commands, options, and what is said when one is wrong.

import { parseArgs } from 'node:util'
import { didYouMean } from '../config/suggest.ts'
import { MillraceError } from '../errors.ts'
import { type LogLevel, logLevel, logLevels } from '../log.ts'

interface Option {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  readonly multiple?: boolean
  /** What stands for the value in the help. */
  readonly value?: string
  readonly help: string
}

const options = {
  config: {
    type: 'string',
    short: 'c',
    value: 'FILE',
    help: "Envoy's v3 bootstrap or the short form, YAML or JSON; -: standard input",
  },
  to: {
    type: 'string',
    multiple: true,
    value: 'URL',
    help: 'without a file: forward everything here (several: in turn)',
  },
  listen: { type: 'string', value: 'ADDRESS', help: 'with --to: a port, or address:port' },
  demo: { type: 'boolean', help: 'a demonstration: a small service, and the proxy before it' },
  concurrency: {
    type: 'string',
    value: 'N',
    help: 'worker threads (default: the CPUs that this process may use)',
  },
  admin: {
    type: 'string',
    value: 'ADDRESS',
    help: 'admin interface: a port on loopback, or address:port',
  },
  'log-level': { type: 'string', short: 'l', value: 'LEVEL', help: logLevels.join(', ') },
  'file-flush-interval-msec': {
    type: 'string',
    value: 'MS',
    help: 'write access logs at least this often (default: 10000)',
  },
  'drain-time-s': {
    type: 'string',
    value: 'S',
    help: 'how long connections may take to end on SIGTERM (default: 600)',
  },
  'pid-file': {
    type: 'string',
    value: 'FILE',
    help: 'the process id, from when it is ready until it ends',
  },
  'reuse-port': {
    type: 'boolean',
    help: 'share ports that another process listens on',
  },
  effective: { type: 'boolean', help: 'with config: what the configuration means, whole' },
  json: { type: 'boolean', help: 'errors, and the answers of validate and doctor, as JSON' },
  version: { type: 'boolean', short: 'v', help: 'print the version' },
  help: { type: 'boolean', short: 'h', help: 'print this' },
} as const satisfies Record<string, Option>

type OptionName = keyof typeof options

const commands = {
  run: 'run the proxy (what happens without a command, too)',
  validate: 'check a configuration: OK, or every error in it',
  config: 'with --effective: print what a configuration means',
  doctor: 'say what this machine gives the proxy, and what to change',
  'build-native': 'build the native core here, where no published binary fits',
} as const

export type Command = keyof typeof commands

export interface Arguments {
  readonly command: Command
  readonly help: boolean
  readonly version: boolean
  readonly json: boolean
  readonly effective: boolean
  readonly demo: boolean
  readonly config?: string
  readonly to: readonly string[]
  readonly listen?: string
  readonly admin?: string
  readonly concurrency?: number
  readonly logLevel?: LogLevel
  readonly pidFile?: string
  readonly fileFlushIntervalMs: number
  readonly drainTimeMs: number
  /** Ports of listeners may be shared with other processes. */
  readonly reusePort: boolean
}

export class UsageError extends MillraceError {
  constructor(message: string, hint?: string) {
    super('ERR_MILLRACE_USAGE', message, hint === undefined ? {} : { hint })
  }
}

/** What other proxies call it, and what to write here. */
const kElsewhere: ReadonlyMap<string, string> = new Map([
  ['--mode', 'to check a configuration: millrace validate -c FILE'],
  ['-t', 'to check a configuration: millrace validate -c FILE'],
  ['-T', 'to see a configuration as it is in force: millrace config --effective -c FILE'],
  ['--config-path', 'write -c FILE, or --config FILE'],
  ['--config-yaml', 'write -c -, and the configuration to standard input'],
  ['--admin-address-path', 'name a port with --admin; the log line "admin interface" has its URL'],
  ['--component-log-level', 'there is one log: --log-level LEVEL'],
  ['--log-path', 'the log is on stderr: redirect it, 2>FILE'],
  ['--drain-strategy', 'idle connections are closed over a tenth of --drain-time-s (1 to 30 s)'],
  ['--parent-shutdown-time-s', 'there is no hot restart yet; --drain-time-s for connections'],
  ['--restart-epoch', 'there is no hot restart yet: start it once, and reload with SIGHUP'],
  ['--base-id', 'there is no hot restart yet, and so nothing to tell apart'],
  ['--service-node', 'write node: {id: …} into the configuration'],
  ['--service-cluster', 'write node: {cluster: …} into the configuration'],
  ['-s', 'send a signal: SIGHUP loads the configuration again, SIGTERM ends'],
  ['-f', 'a configuration is named with -c FILE'],
  ['-p', 'the process id goes to a file with --pid-file FILE'],
  ['-D', 'a service manager runs it in the background: systemd, a container, nohup … &'],
])

const kNoCommands: ReadonlyMap<string, string> = new Map([
  ['help', 'write millrace --help'],
  ['version', 'write millrace --version'],
  ['start', 'write millrace run'],
  ['check', 'write millrace validate -c FILE'],
  ['test', 'write millrace validate -c FILE'],
  ['reload', 'send SIGHUP to the process: kill -HUP PID (--pid-file FILE says which)'],
  ['stop', 'send SIGTERM to the process: kill PID (--pid-file FILE says which)'],
  ['quit', 'send SIGTERM to the process: kill PID (--pid-file FILE says which)'],
  ['reopen', 'send SIGUSR1 to the process: kill -USR1 PID (--pid-file FILE says which)'],
])

type Values = { [name in OptionName]?: string | boolean | (string | boolean)[] }

/**
 * Reads the arguments after `node main.js`. Throws a {@link UsageError} that says what to write
 * instead.
 */
export function readArguments(args: readonly string[]): Arguments {
  const { values, positionals, tokens } = parseArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  for (const token of tokens) if (token.kind === 'option') checkOption(token)
  const command = commandOf(positionals)
  return checked(command, values as Values)
}

function checkOption(token: { name: string; rawName: string; value: string | undefined }): void {
  const known = Object.hasOwn(options, token.name)
  const option = known ? (options as Readonly<Record<string, Option>>)[token.name] : undefined
  if (!option) {
    const names = Object.keys(options).map((name) => `--${name}`)
    const hint = kElsewhere.get(token.rawName) ?? didYouMean(token.rawName, names)
    throw new UsageError(`unknown option ${token.rawName}`, hint)
  }
  if (option.type === 'string' && (token.value === undefined || token.value === '')) {
    throw new UsageError(`${token.rawName} needs a value: ${option.value}`)
  }
  if (option.type === 'boolean' && token.value !== undefined) {
    throw new UsageError(`${token.rawName} takes no value`)
  }
}

function commandOf([first, second]: readonly string[]): Command {
  if (first === undefined) return 'run'
  if (!Object.hasOwn(commands, first)) {
    const hint =
      kNoCommands.get(first) ??
      didYouMean(first, Object.keys(commands)) ??
      `a file is named with -c ${first}`
    throw new UsageError(`unknown command "${first}"`, hint)
  }
  if (second !== undefined) {
    throw new UsageError(`unexpected argument "${second}"`, `a file is named with -c ${second}`)
  }
  return first as Command
}

function checked(command: Command, values: Values): Arguments {
  const string = (name: OptionName): string | undefined => values[name] as string | undefined
  const flag = (name: OptionName): boolean => values[name] === true
  const config = string('config')
  const listen = string('listen')
  const admin = string('admin')
  const pidFile = string('pid-file')
  const to = (values.to ?? []) as string[]
  const logLevel = levelOf(string('log-level'))
  const concurrency = numberOf('concurrency', string('concurrency'), 0, 1024)
  if (config !== undefined && to.length > 0) conflict('--config', '--to')
  if (flag('demo') && (config !== undefined || to.length > 0))
    conflict('--demo', '--config and --to')
  if (listen !== undefined && config !== undefined) conflict('--listen', '--config')
  if (flag('effective') && command !== 'config') {
    throw new UsageError('--effective belongs to the command config')
  }
  return {
    command,
    help: flag('help'),
    version: flag('version'),
    json: flag('json'),
    effective: flag('effective'),
    demo: flag('demo'),
    reusePort: flag('reuse-port'),
    to,
    fileFlushIntervalMs:
      numberOf('file-flush-interval-msec', string('file-flush-interval-msec'), 1, 3_600_000) ??
      10_000,
    drainTimeMs: (numberOf('drain-time-s', string('drain-time-s'), 0, 86_400) ?? 600) * 1000,
    ...(config === undefined ? {} : { config }),
    ...(listen === undefined ? {} : { listen }),
    ...(admin === undefined ? {} : { admin }),
    ...(pidFile === undefined ? {} : { pidFile }),
    ...(logLevel === undefined ? {} : { logLevel }),
    ...(concurrency === undefined ? {} : { concurrency: Math.max(1, concurrency) }),
  }
}

function conflict(a: string, b: string): never {
  throw new UsageError(`${a} and ${b} exclude each other`)
}

function numberOf(
  name: OptionName,
  value: string | undefined,
  min: number,
  max: number,
): number | undefined {
  if (value === undefined) return undefined
  const number = Number(value)
  if (/^\d+$/.test(value) && number >= min && number <= max) return number
  throw new UsageError(`--${name} must be a whole number from ${min} to ${max}, not "${value}"`)
}

function levelOf(value: string | undefined): LogLevel | undefined {
  if (value === undefined) return undefined
  const level = logLevel(value)
  if (level) return level
  const hint = didYouMean(value, logLevels) ?? `there are: ${logLevels.join(', ')}`
  throw new UsageError(`unknown log level "${value}"`, hint)
}

const kHelpColumn = 38

/** The text of `--help`. `searched`: where a configuration is looked for. */
export function helpText(searched: readonly string[]): string {
  const row = (left: string, right: string): string => `  ${left.padEnd(kHelpColumn - 2)}${right}`
  const optionRows = Object.entries(options as Readonly<Record<string, Option>>).map(
    ([name, { short, value, help }]) =>
      row(`${short ? `-${short}, ` : '    '}--${name}${value ? ` ${value}` : ''}`, help),
  )
  return [
    'Usage: millrace [command] [options]',
    '',
    'Commands:',
    ...Object.entries(commands).map(([name, help]) => row(name, help)),
    '',
    'Options:',
    ...optionRows,
    '',
    'Without --config and --to, the first of these files that exists is taken:',
    ...searched.map((path) => `  ${path}`),
    'With none of them: the demonstration.',
    '',
    'Signals: SIGTERM, SIGINT, SIGQUIT drain and end (a second one: at once) · SIGHUP load the',
    'file again · SIGUSR1 open the access logs again. Exit code 78: the configuration is wrong.',
    '',
  ].join('\n')
}
