// millrace run: finds the configuration, and lives with it until the process ends.

import { isatty } from 'node:tty'
import type { ConfigSource } from '../config/index.ts'
import type { Logger } from '../log.ts'
import { defaultConcurrency } from '../server/concurrency.ts'
import type { Server } from '../server/server.ts'
import { adminAddress } from './address.ts'
import type { Demo } from './demo.ts'
import { Life } from './life.ts'
import { openLog } from './log.ts'
import type { Arguments } from './options.ts'
import type { Signals } from './signals.ts'
import { sourceOf } from './source.ts'

const kStderr = 2

export async function run(args: Arguments, signals: Signals): Promise<void> {
  const found = sourceOf(args)
  const admin = args.admin === undefined ? undefined : adminAddress(args.admin)
  let demo: Demo | undefined
  if (!found) {
    const { startDemo } = await import('./demo.ts')
    demo = await startDemo()
  }
  const level = args.logLevel ?? (demo ? 'warn' : 'info')
  const log = openLog(level, isatty(kStderr))
  logWarnings(log.logger)
  const life = new Life(log, {
    server: {
      concurrency: args.concurrency ?? defaultConcurrency(),
      fileFlushIntervalMs: args.fileFlushIntervalMs,
      drainTimeMs: args.drainTimeMs,
      sharePorts: args.reusePort,
      ...adminOption(admin, demo),
      commandLine: commandLine(args),
    },
    json: args.json,
    ...(args.pidFile === undefined ? {} : { pidFile: args.pidFile }),
    ...(demo && { onReady: (server) => greet(server, demo), close: () => demo.close() }),
  })
  signals.giveTo((signal) => life.onSignal(signal))
  await life.run(found ?? flags(args, demo))
}

/** Node would write its warnings to stderr itself, and wait for its reader. */
function logWarnings(log: Logger): void {
  process.removeAllListeners('warning')
  process.on('warning', (warning) => log.warn({ err: warning }, 'warning'))
}

function flags({ listen }: Arguments, demo: Demo | undefined): ConfigSource {
  const at = listen ?? demo?.listen
  return { kind: 'flags', to: [demo?.origin ?? ''], ...(at ? { listen: at } : {}) }
}

function adminOption(admin: ReturnType<typeof adminAddress> | undefined, demo?: Demo): object {
  if (admin) return { admin }
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

function greet(server: Server, demo: Demo): void {
  const proxy = [...server.listenerAddresses().values()].flat().map((at) => `http://${at}`)
  process.stdout.on('error', () => {}) // a full disk, or a reader that has gone
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
