// millrace run: finds the configuration, starts a server, and ties it to the signals and the end of
// the process.

import { type ConfigSource, loadConfiguration } from '../config/index.ts'
import type { Logger } from '../log.ts'
import type { NativeStopReport } from '../native/index.ts'
import { defaultConcurrency } from '../server/concurrency.ts'
import { Server } from '../server/server.ts'
import { adminAddress } from './address.ts'
import type { Demo } from './demo.ts'
import { openLog } from './log.ts'
import type { Arguments } from './options.ts'
import { describe, problemsOf } from './report.ts'
import { onSignals } from './signals.ts'
import { sourceOf } from './source.ts'

export async function run(args: Arguments): Promise<void> {
  const found = sourceOf(args)
  let demo: Demo | undefined
  if (!found) {
    const { startDemo } = await import('./demo.ts')
    demo = await startDemo()
  }
  const listen = args.listen ?? demo?.listen
  const source: ConfigSource = found ?? {
    kind: 'flags',
    to: [demo?.origin ?? ''],
    ...(listen ? { listen } : {}),
  }
  const level = args.logLevel ?? (demo ? 'warn' : 'info')
  const log = openLog(level, process.stderr.isTTY === true)
  const loaded = await loadConfiguration(source)
  const server = new Server({
    concurrency: args.concurrency ?? defaultConcurrency(),
    fileFlushIntervalMs: args.fileFlushIntervalMs,
    drainTimeMs: args.drainTimeMs,
    log,
    ...adminOption(args, demo),
    commandLine: commandLine(args),
    onQuit: () => end(server, log, demo),
  })
  await server.start(loaded)
  handleSignals(server, source, log, demo)
  announce(server, loaded.name, log)
  if (demo) greet(server, demo)
}

function adminOption(args: Arguments, demo: Demo | undefined): object {
  if (args.admin !== undefined) return { admin: adminAddress(args.admin) }
  return demo ? { admin: { ip: '127.0.0.1', port: demo.adminPort } } : {}
}

/** What `/server_info` shows, under Envoy's names. */
function commandLine(args: Arguments): Record<string, unknown> {
  return {
    concurrency: args.concurrency ?? defaultConcurrency(),
    ...(args.config === undefined ? {} : { config_path: args.config }),
    log_level: args.logLevel ?? 'info',
    file_flush_interval: `${args.fileFlushIntervalMs / 1000}s`,
    drain_time: `${args.drainTimeMs / 1000}s`,
    mode: 'Serve',
  }
}

function announce(server: Server, configuration: string, log: Logger): void {
  for (const [listener, addresses] of server.listenerAddresses()) {
    log.info({ listener, addresses }, 'listening')
  }
  if (server.adminUrl) log.info({ url: server.adminUrl }, 'admin interface')
  const { concurrency } = server.options
  const { version } = server.native
  log.info({ configuration, concurrency, version, pid: process.pid }, 'ready')
}

function greet(server: Server, demo: Demo): void {
  const proxy = [...server.listenerAddresses().values()].flat().map((at) => `http://${at}`)
  process.stdout.write(
    [
      `Millrace ${server.native.version}: a demonstration, because there is no configuration.`,
      `  proxy    ${proxy.join(' ')}`,
      `  service  ${demo.origin}  (behind it)`,
      `  admin    ${server.adminUrl}`,
      `Try: curl ${proxy[0]}/`,
      'Your own service: millrace --to http://127.0.0.1:3000 --listen 8080',
      '',
    ].join('\n'),
  )
}

function handleSignals(
  server: Server,
  source: ConfigSource,
  log: Logger,
  demo: Demo | undefined,
): void {
  onSignals({
    drain: async (signal) => {
      log.info({ signal, seconds: server.options.drainTimeMs / 1000 }, 'draining')
      await server.drain()
      await end(server, log, demo)
    },
    stop: (signal) => {
      log.warn({ signal }, 'ending at once')
      return end(server, log, demo)
    },
    reload: async () => {
      if (source.kind !== 'file') {
        log.warn({}, 'there is no configuration file to load again')
        return
      }
      await server
        .reload(() => loadConfiguration(source))
        .catch((error: unknown) => {
          const problems = problemsOf(error)?.toJSON()
          const fields = problems ? { problems } : { error: describe(error, false) }
          log.error(fields, 'reload refused: the configuration in force stays')
        })
    },
    reopenLogs: () => {
      if (server.reopenLogs().length === 0) log.info({}, 'log files reopened')
    },
  })
}

let ending: Promise<void> | undefined

/** Stops the server, says what was lost, and ends the process. */
function end(server: Server, log: Logger, demo: Demo | undefined): Promise<void> {
  ending ??= (async () => {
    const report = await server.stop()
    await demo?.close()
    sayLost(report, log)
    process.exit(0)
  })()
  return ending
}

function sayLost(report: NativeStopReport, log: Logger): void {
  for (const { target, lines, bytes } of report.logsLost) {
    log.error({ file: target, lines, bytes }, 'log lines could not be written')
  }
  log.info({ connectionsCut: report.connectionsCut }, 'stopped')
}
