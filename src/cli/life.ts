// The life of the process that runs a proxy: what signals, the admin interface and errors mean in
// each of its phases.
//
//   loading ──▶ starting ──▶ live ──▶ draining ──▶ ending
//      └───────────┴───────────┴──────────┴───────────┘   from each: an error, a second signal
//
//                       loading    starting      live     draining   ending
//   SIGTERM, INT, QUIT  end        end           drain    end        –
//   SIGHUP              kept       load again    ⇐        refused    refused
//   SIGUSR1             nothing    reopen        reopen   reopen     refused
//   SIGUSR2             nothing    nothing       nothing  nothing    nothing

import { type ConfigSource, type LoadedConfiguration, loadConfiguration } from '../config/index.ts'
import type { Logger } from '../log.ts'
import type { NativeStopReport } from '../native/index.ts'
import { Server, type ServerOptions } from '../server/server.ts'
import { after } from '../timers.ts'
import { leave } from './leave.ts'
import type { OwnLog } from './log.ts'
import { PidFile } from './pid_file.ts'
import { describe, exitCodeOf, problemsOf } from './report.ts'
import type { CaughtSignal } from './signals.ts'
import { given, type StandardInput } from './source.ts'

type Phase = 'loading' | 'starting' | 'live' | 'draining' | 'ending'

/** Loading is said to take long after so much. */
const kSayLoadingMs = 2_000
/** So many problems of a refused configuration are part of a line of the log. */
const kProblemsLogged = 100

export interface LifeOptions {
  readonly server: Omit<ServerOptions, 'log' | 'ownLog' | 'onQuit'>
  readonly pidFile?: string
  /** Errors that end the process are JSON. */
  readonly json: boolean
  /** The process serves now. */
  readonly onReady?: (server: Server) => void
  /** Closed with the rest. */
  readonly close?: () => Promise<void>
}

const kBrokenOff: readonly unknown[] = [
  'ERR_MILLRACE_DRAINING',
  'ERR_MILLRACE_CLOSED',
  'ERR_MILLRACE_SUPERSEDED',
]

/** Whether a start did not fail by itself. */
function isBrokenOff(error: unknown): boolean {
  return kBrokenOff.includes((error as NodeJS.ErrnoException | undefined)?.code)
}

export class Life {
  readonly #log: Logger
  readonly #ownLog: OwnLog
  readonly #options: LifeOptions
  readonly #pidFile: PidFile | undefined
  #phase: Phase = 'loading'
  #source: ConfigSource | StandardInput | undefined
  #server: Server | undefined
  /** The file is being read, and was to be read again meanwhile. */
  #reading = false
  #readAgain = false
  #ending: Promise<never> | undefined

  constructor(ownLog: OwnLog, options: LifeOptions) {
    this.#ownLog = ownLog
    this.#log = ownLog.logger
    this.#options = options
    this.#pidFile = options.pidFile === undefined ? undefined : new PidFile(options.pidFile)
  }

  /** Resolves when the proxy serves; ends the process when it cannot. */
  async run(source: ConfigSource | StandardInput): Promise<void> {
    try {
      this.#source = source
      const loaded = await this.#load(source)
      if (this.#phase === 'ending') return
      this.#server = new Server({
        ...this.#options.server,
        log: this.#log,
        ownLog: () => this.#ownLog.stats(),
        onQuit: () => void this.#end(),
      })
      this.#phase = 'starting'
      const started = this.#server.start(loaded)
      if (this.#readAgain) this.#reload()
      await started
      // Since then a signal may have come.
      if ((this.#phase as Phase) === 'starting') this.#serve(this.#server)
    } catch (error) {
      // What an end that was asked for breaks off is no failure.
      if ((this.#phase as Phase) !== 'draining' || !isBrokenOff(error)) await this.#end(error)
    }
  }

  #serve(server: Server): void {
    this.#pidFile?.write()
    this.#phase = 'live'
    for (const [listener, addresses] of server.listenerAddresses()) {
      this.#log.info({ listener, addresses }, 'listening')
    }
    const { concurrency } = server.options
    const { version } = server.native
    const configuration = server.configuration?.loaded.name
    this.#log.info({ configuration, concurrency, version, pid: process.pid }, 'ready')
    this.#options.onReady?.(server)
  }

  onSignal(signal: CaughtSignal): void {
    if (signal === 'SIGHUP') this.#onReload(signal)
    else if (signal === 'SIGUSR1') this.#onReopen(signal)
    else if (signal === 'SIGUSR2') this.#log.info({ signal }, 'this signal means nothing here')
    else this.#onEnd(signal)
  }

  #onEnd(signal: CaughtSignal): void {
    const [phase, server] = [this.#phase, this.#server]
    if (phase === 'ending') return
    if (phase === 'loading' || phase === 'starting') {
      this.#log.warn({ signal }, 'ending before the start was over')
    } else if (phase === 'draining') {
      this.#log.warn({ signal }, 'ending at once')
    }
    // A start that is all but over has accepted connections.
    if (phase === 'draining' || !server) void this.#end()
    else void this.#drain(server, signal)
  }

  async #drain(server: Server, signal: CaughtSignal): Promise<void> {
    this.#phase = 'draining'
    this.#log.info({ signal, seconds: server.options.drainTimeMs / 1000 }, 'draining')
    await server.drain().catch((error: unknown) => this.#log.error({ err: error }, 'drain failed'))
    await this.#end()
  }

  #onReload(signal: CaughtSignal): void {
    const ends = this.#phase === 'draining' || this.#phase === 'ending'
    if (ends) {
      this.#log.warn({ signal }, 'reload refused: the process is ending')
    } else if (this.#source && this.#source.kind !== 'file') {
      this.#log.warn({ signal }, 'there is no configuration file to load again')
    } else if (!this.#source) {
      this.#log.info({ signal }, 'the configuration is still to be loaded')
    } else if (this.#reading) {
      this.#readAgain = true
      this.#log.info({ signal }, 'the file will be loaded again: it is being read already')
    } else {
      this.#reload()
    }
  }

  #reload(): void {
    const [server, source] = [this.#server, this.#source]
    if (!server || !source) return
    server
      .reload(async (giveUp) => {
        try {
          return await this.#load(source, giveUp)
        } finally {
          // Outside of this turn of loading, for which the next one waits.
          if (this.#readAgain) queueMicrotask(() => this.#reload())
        }
      })
      .catch((error: unknown) => this.#sayRefused(error))
  }

  #sayRefused(error: unknown): void {
    const problems = problemsOf(error)?.toJSON()
    const { message = String(error), code = '' } = (error ?? {}) as NodeJS.ErrnoException
    if (code === 'ERR_MILLRACE_SUPERSEDED') {
      this.#log.info({}, `reload given up: ${message}`)
    } else {
      const shown = problems?.slice(0, kProblemsLogged)
      const more = (problems?.length ?? 0) - (shown?.length ?? 0)
      const fields = shown ? { problems: shown, ...(more > 0 && { more }) } : { error: message }
      this.#log.error(fields, 'reload refused: the configuration in force stays')
    }
  }

  async #load(
    source: ConfigSource | StandardInput,
    giveUp?: AbortSignal,
  ): Promise<LoadedConfiguration> {
    this.#reading = true
    this.#readAgain = false
    const what = source.kind === 'file' ? source.path : 'standard input'
    const say = (): void => this.#log.info({ file: what }, 'waiting for the configuration')
    const timer = after(kSayLoadingMs, say)
    try {
      return await loadConfiguration(await given(source), giveUp)
    } finally {
      timer.stop()
      this.#reading = false
    }
  }

  #onReopen(signal: CaughtSignal): void {
    if (this.#phase === 'ending') this.#log.warn({ signal }, 'log files are being closed')
    else if (!this.#server) this.#log.info({ signal }, 'no log file is open yet')
    else if (this.#server.reopenLogs().length === 0) this.#log.info({}, 'log files reopened')
  }

  /** Stops the server, says what was lost or failed, and ends the process. */
  #end(error?: unknown): Promise<never> {
    this.#phase = 'ending'
    this.#ending ??= this.#endProcess(error)
    return this.#ending
  }

  async #endProcess(error: unknown): Promise<never> {
    let code = error === undefined ? 0 : exitCodeOf(error)
    try {
      const report = await this.#server?.stop()
      await this.#options.close?.()
      if (error !== undefined) await this.#ownLog.say(describe(error, this.#options.json))
      else this.#sayStopped(report)
    } catch (failed) {
      await this.#ownLog.say(describe(failed, this.#options.json))
      code ||= exitCodeOf(failed)
    }
    try {
      this.#pidFile?.remove()
    } catch (failed) {
      await this.#ownLog.say(describe(failed, this.#options.json))
      code ||= exitCodeOf(failed)
    }
    await this.#ownLog.end()
    leave(code)
  }

  #sayStopped(report: NativeStopReport | undefined): void {
    for (const { target, lines, bytes } of report?.logsLost ?? []) {
      this.#log.error({ file: target, lines, bytes }, 'log lines could not be written')
    }
    this.#log.info({ connectionsCut: report?.connectionsCut ?? 0 }, 'stopped')
  }
}
