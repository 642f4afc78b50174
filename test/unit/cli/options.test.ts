import { describe, expect, it } from 'vitest'
import { adminAddress } from '../../../src/cli/address.ts'
import { helpText, readArguments, UsageError } from '../../../src/cli/options.ts'

const read = (line: string): ReturnType<typeof readArguments> =>
  readArguments(line === '' ? [] : line.split(' '))

function refusal(line: string): string {
  try {
    read(line)
  } catch (error) {
    if (error instanceof UsageError) return `${error.message} | ${error.hint ?? ''}`
    throw error
  }
  throw new Error(`"${line}" was accepted`)
}

describe('arguments', () => {
  it('mean run with defaults when there are none', () => {
    expect(read('')).toEqual({
      command: 'run',
      help: false,
      version: false,
      json: false,
      effective: false,
      demo: false,
      reusePort: false,
      to: [],
      fileFlushIntervalMs: 10_000,
      drainTimeMs: 600_000,
    })
  })
  it('are read', () => {
    expect(read('validate -c a.yaml --json')).toMatchObject({
      command: 'validate',
      config: 'a.yaml',
      json: true,
    })
    const run = '--to http://a --to http://b --listen 8080 --concurrency 3 -l debug'
    expect(read(`${run} --drain-time-s=5 --file-flush-interval-msec 50`)).toMatchObject({
      command: 'run',
      to: ['http://a', 'http://b'],
      listen: '8080',
      concurrency: 3,
      logLevel: 'debug',
      drainTimeMs: 5000,
      fileFlushIntervalMs: 50,
    })
  })
  it('take concurrency 0 as 1, as Envoy does', () => {
    expect(read('--concurrency 0').concurrency).toBe(1)
  })
  it.each(Object.getOwnPropertyNames(Object.prototype))(
    'know no command and no option %s, though every object has it',
    (name) => {
      expect(refusal(name)).toMatch(/^(unknown command|unexpected argument)/)
      expect(refusal(`--${name}`)).toMatch(/^unknown option/)
      expect(refusal(`run --${name}=1`)).toMatch(/^unknown option/)
      expect(refusal(`-l ${name}`)).toMatch(/^unknown log level/)
    },
  )
  it('take names of levels that others have', () => {
    const levels = ['warning', 'critical', 'off'].map((name) => read(`-l ${name}`).logLevel)
    expect(levels).toEqual(['warn', 'fatal', 'silent'])
  })
  it.each([
    ['--mode validate', 'millrace validate -c FILE'],
    ['-t', 'millrace validate -c FILE'],
    ['--config-path a.yaml', 'write -c FILE'],
    ['help', 'millrace --help'],
    ['reload', 'kill -HUP'],
    ['-s reload', 'SIGHUP'],
    ['stop', 'SIGTERM'],
    ['--service-cluster a', 'node: {cluster'],
  ])('say what is written here instead of %s', (line, hint) => {
    expect(refusal(line)).toContain(hint)
  })
  it.each([
    ['--concurency 2', 'unknown option --concurency | did you mean "--concurrency"?'],
    ['--drain-time 2', 'unknown option --drain-time | did you mean "--drain-time-s"?'],
    ['-x', 'unknown option -x | '],
    ['valdate', 'unknown command "valdate" | did you mean "validate"?'],
    ['envoy.yaml', 'unknown command "envoy.yaml" | a file is named with -c envoy.yaml'],
    ['run envoy.yaml', 'unexpected argument "envoy.yaml" | a file is named with -c envoy.yaml'],
    ['--config', '--config needs a value: FILE | '],
    ['--json=yes', '--json takes no value | '],
    ['-c a.yaml --to http://a', '--config and --to exclude each other | '],
    ['-c a.yaml --listen 80', '--listen and --config exclude each other | '],
    ['--demo -c a.yaml', '--demo and --config and --to exclude each other | '],
    ['--effective', '--effective belongs to the command config | '],
    [
      '-l loud',
      'unknown log level "loud" | there are: trace, debug, info, warn, error, fatal, silent',
    ],
    ['-l inf', 'unknown log level "inf" | did you mean "info"?'],
  ])('%s is refused', (line, message) => {
    expect(refusal(line)).toBe(message)
  })
  it.each(['two', '-1', '1.5', '2000', '1e2'])('--concurrency %s is refused', (value) => {
    expect(refusal(`--concurrency=${value}`)).toBe(
      `--concurrency must be a whole number from 0 to 1024, not "${value}" | `,
    )
  })
})

describe('help', () => {
  it('fits a terminal, and says where a configuration is looked for', () => {
    const text = helpText(['millrace.yaml', '/etc/millrace.yaml'])
    expect(text).toContain('\n  /etc/millrace.yaml\n')
    expect(text).toContain('--file-flush-interval-msec MS')
    expect(text.split('\n').filter((line) => line.length > 110)).toEqual([])
  })
})

describe('--admin', () => {
  it.each([
    ['9901', { ip: '127.0.0.1', port: 9901 }],
    ['0.0.0.0:1', { ip: '0.0.0.0', port: 1 }],
    ['localhost:1', { ip: '127.0.0.1', port: 1 }],
    ['[::1]:9', { ip: '::1', port: 9 }],
    ['unix:/run/a.sock', { path: '/run/a.sock' }],
  ])('%s', (value, address) => {
    expect(adminAddress(value)).toEqual(address)
  })
  it.each(['x', 'host.example:1', '127.0.0.1', '70000', '::1:5', 'unix:'])(
    '%s is none',
    (value) => {
      expect(() => adminAddress(value)).toThrow(UsageError)
    },
  )
})
