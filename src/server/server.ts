// One proxy: a core with its workers, and the configuration in force. Several may live in one
// process; none of them listens to signals or ends the process. Main thread only.
//
//   PRE_INITIALIZING → INITIALIZING → LIVE → DRAINING → stopped
//                start()      listening      drain()    stop(), from every state
//   While LIVE, setHealthFailed() shows DRAINING to those who ask.

import type { AdminServer } from '../admin/server.ts'
import type { AdminTarget } from '../admin/target.ts'
import { ClusterManager, type HealthChange } from '../cluster/manager.ts'
import type { LoadedConfiguration } from '../config/index.ts'
import { MillraceError } from '../errors.ts'
import type { Logger } from '../log.ts'
import {
  loadNative,
  type NativeAddress,
  type NativeCore,
  type NativeEvent,
  type NativeModule,
  type NativeStat,
  type NativeStopReport,
} from '../native/index.ts'
import { Runtime, type RuntimeValue } from '../runtime/runtime.ts'
import { inSlices } from '../slices.ts'
import { after, every, pause, type Timer } from '../timers.ts'
import { atExit } from './at_exit.ts'
import { type Changes, Deployment } from './deployment.ts'
import { LogFiles } from './log_files.ts'
import { mainStats, type ReloadCounters } from './main_stats.ts'

/** How old the Date header can become: half of its resolution. */
const kDateIntervalMs = 500
/** How often a drain looks whether it is over. */
const kDrainPollMs = 20
/**
 * Idle connections are closed over this long when a drain ends the process: not all clients come
 * back at once.
 */
const kDrainSpreadMs = 1_000
/** For what the log files still hold when the server stops. */
const kStopDeadlineMs = 5_000
/** The same when the process ends without waiting for the server. */
const kExitDeadlineMs = 2_000
const kHoldIntervalMs = 2 ** 30

export type ServerState = 'PRE_INITIALIZING' | 'INITIALIZING' | 'LIVE' | 'DRAINING'

export interface ServerOptions {
  readonly concurrency: number
  readonly fileFlushIntervalMs: number
  /** How long connections may take to end when the server, or a listener of it, goes. */
  readonly drainTimeMs: number
  readonly log: Logger
  /** Instead of the admin interface that the configuration names. */
  readonly admin?: NativeAddress
  /** For `/server_info`. */
  readonly commandLine?: Readonly<Record<string, unknown>>
  /** Somebody asked for the end through the admin interface. */
  readonly onQuit?: () => void
  /** Besides the log. Must not throw. */
  readonly onEvent?: (event: NativeEvent) => void
  /** A check or outlier detection changed what workers know of a host. Must not throw. */
  readonly onHealth?: (change: HealthChange) => void
}

export class Server {
  readonly options: ServerOptions
  readonly startedAt: number = Date.now()
  readonly clusters: ClusterManager
  readonly runtime: Runtime = new Runtime()
  readonly logFiles: LogFiles
  readonly deployment: Deployment
  readonly reloads: ReloadCounters = { success: 0, rejected: 0 }
  readonly native: NativeModule
  readonly core: NativeCore
  #state: ServerState = 'PRE_INITIALIZING'
  #configuration: { readonly loaded: LoadedConfiguration; readonly at: number } | undefined
  #adminAddress: NativeAddress | undefined
  #admin: AdminServer | undefined
  #healthFailed = false
  #gracefulDrain: Timer | undefined
  #dateTimer: Timer | undefined
  #holdTimer: Timer | undefined
  #reloading: Promise<unknown> = Promise.resolve()
  readonly #forgetExit: () => void
  #stopped: Promise<NativeStopReport> | undefined

  constructor(options: ServerOptions) {
    this.options = options
    this.native = loadNative()
    this.core = this.native.createCore({
      concurrency: options.concurrency,
      onEvent: (event) => this.#onEvent(event),
      onOutlier: () => this.clusters.takeOutlierEvents(),
      onHostsWanted: () => this.clusters.takeWantedHosts(),
    })
    this.#forgetExit = atExit(() => this.#exit())
    this.clusters = new ClusterManager(this.core, {
      log: options.log,
      runtime: (key) => this.runtime.get(key),
      ...(options.onHealth && { onHealth: options.onHealth }),
    })
    this.logFiles = new LogFiles(this.core, options.fileFlushIntervalMs)
    this.deployment = new Deployment(
      this.core,
      this.clusters,
      this.logFiles,
      this.runtime,
      options.drainTimeMs,
    )
  }

  /** Ready when it returns: listeners accept, and the admin interface answers. */
  async start(loaded: LoadedConfiguration): Promise<Changes> {
    if (this.#state !== 'PRE_INITIALIZING') {
      throw new MillraceError('ERR_MILLRACE_STARTED', 'a server can be started once')
    }
    this.#state = 'INITIALIZING'
    try {
      this.#publishDate()
      const changes = await this.#putInForce(loaded, () => this.core.start())
      if (this.#stopped) throw closedWhileStarting()
      this.#dateTimer = every(kDateIntervalMs, () => this.#publishDate()).unref()
      this.#holdTimer = every(kHoldIntervalMs, () => {})
      this.#state = 'LIVE'
      return changes
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /**
   * Puts another configuration in force, touching only what differs; every worker uses it when this
   * resolves. When it cannot be loaded or opened, the one in force stays, and the error is thrown.
   * Reloads wait for one another.
   */
  reload(load: () => LoadedConfiguration | Promise<LoadedConfiguration>): Promise<Changes> {
    const turn = this.#reloading.then(() => this.#reload(load))
    this.#reloading = turn.catch(() => {})
    return turn
  }

  async #reload(load: () => LoadedConfiguration | Promise<LoadedConfiguration>): Promise<Changes> {
    try {
      this.#mustBeLive()
      const loaded = await load()
      this.#mustBeLive() // loading took a while
      const changes = await this.#putInForce(loaded)
      this.reloads.success++
      this.options.log.info({ configuration: loaded.name, ...changes }, 'configuration reloaded')
      return changes
    } catch (error) {
      this.reloads.rejected++
      throw error
    }
  }

  #mustBeLive(): void {
    if (this.#state === 'LIVE') return
    throw new MillraceError('ERR_MILLRACE_NOT_LIVE', 'only a server that is live can be reloaded')
  }

  /** All that can fail comes first; what fails leaves everything as it was. */
  async #putInForce(loaded: LoadedConfiguration, applied?: () => void): Promise<Changes> {
    const admin = await this.#openAdmin(this.options.admin ?? loaded.admin)
    let changes: Changes
    try {
      if (this.#stopped) throw closedWhileStarting()
      const stopped = (): Error | undefined => (this.#stopped ? closedWhileStarting() : undefined)
      const prepared = await inSlices(this.deployment.prepare(loaded), stopped)
      // Nothing is sent to clusters of which it is not known yet who and how well they are.
      await this.clusters.ready(prepared.newClusters)
      if (this.#stopped) throw closedWhileStarting()
      changes = await inSlices(prepared.commit(), stopped)
      applied?.()
    } catch (error) {
      await admin?.server?.close()
      throw error
    }
    this.#configuration = { loaded, at: Date.now() }
    const before = this.#admin
    if (admin) {
      this.#admin = admin.server
      this.#adminAddress = admin.address
    }
    await this.core.published()
    if (admin) await before?.close()
    return changes
  }

  get state(): ServerState {
    return this.#healthFailed && this.#state === 'LIVE' ? 'DRAINING' : this.#state
  }

  get configuration(): { readonly loaded: LoadedConfiguration; readonly at: number } | undefined {
    return this.#configuration
  }

  /** `http://…` of the admin interface, or undefined. */
  get adminUrl(): string | undefined {
    return this.#admin?.url
  }

  /** Where the listeners listen, by name. */
  listenerAddresses(): ReadonlyMap<string, readonly string[]> {
    return new Map(this.deployment.listeners().map(({ name, addresses }) => [name, addresses]))
  }

  /** Whether health checks of this server fail on purpose, so that others send nothing more. */
  setHealthFailed(failed: boolean): void {
    this.#healthFailed = failed
    this.core.setHealthFailed(failed)
  }

  /** Stops accepting; connections go on, and are told to close as they answer. */
  stopListeners(): void {
    for (const { coreName } of this.deployment.listeners()) this.core.drainListener(coreName)
  }

  /**
   * Tells connections to close, spread over the drain time, while accepting; then stops accepting
   * unless told not to.
   */
  drainListeners(thenStop: boolean): void {
    if (this.#gracefulDrain || this.#stopped) return
    this.core.drainAll(this.options.drainTimeMs)
    this.#gracefulDrain = after(this.options.drainTimeMs, () => {
      if (thenStop && !this.#stopped) this.stopListeners()
    }).unref()
  }

  /**
   * Stops accepting, lets connections end, and returns when none is left or `deadlineMs` have
   * passed.
   */
  async drain(deadlineMs: number = this.options.drainTimeMs): Promise<void> {
    if (this.#stopped) return
    this.#state = 'DRAINING'
    this.stopListeners()
    this.core.drainAll(Math.min(kDrainSpreadMs, deadlineMs))
    const deadline = performance.now() + deadlineMs
    while (!this.#stopped && this.core.connectionCount() > 0 && performance.now() < deadline) {
      await pause(kDrainPollMs)
    }
  }

  /**
   * Closes everything at once, writes out the logs, and says what was lost. Later calls give the
   * same report.
   */
  stop(): Promise<NativeStopReport> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  /** The process ends now: the threads are joined, and the logs written out. */
  #exit(): void {
    void this.core.stop(kExitDeadlineMs)
  }

  async #stop(): Promise<NativeStopReport> {
    this.#state = 'DRAINING'
    this.#forgetExit()
    this.#dateTimer?.stop()
    this.#gracefulDrain?.stop()
    this.deployment.close()
    await this.clusters.close()
    await this.#admin?.close()
    try {
      return await this.core.stop(kStopDeadlineMs)
    } finally {
      this.#holdTimer?.stop()
    }
  }

  /** All statistics: the workers', and those of the main thread. */
  stats(bounds: readonly number[] = []): readonly NativeStat[] {
    return [...this.core.readStats(bounds), ...mainStats(this)]
  }

  /**
   * Sets a runtime key above all layers of the configuration; undefined takes that back. Resolves
   * when every worker reads it so.
   */
  setRuntime(key: string, value: RuntimeValue | undefined): Promise<void> {
    this.runtime.override(key, value)
    this.core.publishRuntime(this.runtime.values())
    return this.core.published()
  }

  /** Whether this server, while it is live, keeps the process (or worker thread) alive. */
  hold(on: boolean): void {
    if (on) this.#holdTimer?.ref()
    else this.#holdTimer?.unref()
  }

  /** Opens every log file again by its name. Says which could not be. */
  reopenLogs(): readonly { readonly target: string; readonly message: string }[] {
    this.clusters.eventLogs.reopen()
    const failed = this.logFiles.reopen()
    for (const failure of failed) this.options.log.error(failure, 'cannot reopen a log file')
    return failed
  }

  #publishDate(): void {
    this.core.publishDate(new Date().toUTCString())
  }

  /** The admin interface at `address`, or undefined when it is there already. */
  async #openAdmin(
    address: NativeAddress | undefined,
  ): Promise<{ address: NativeAddress | undefined; server: AdminServer | undefined } | undefined> {
    if (JSON.stringify(address) === JSON.stringify(this.#adminAddress)) return undefined
    if (!address) return { address, server: undefined }
    const { AdminServer } = await import('../admin/server.ts')
    const server = await AdminServer.listen(address, this.#adminTarget(), this.options.log)
    return { address, server }
  }

  #adminTarget(): AdminTarget {
    return {
      version: this.native.version,
      startedAt: this.startedAt,
      log: this.options.log,
      commandLine: this.options.commandLine ?? {},
      clusters: this.clusters,
      state: () => this.state,
      node: () => this.deployment.node,
      stats: (bounds) => this.stats(bounds),
      histogramBounds: () => this.deployment.histogramBounds,
      listeners: () => this.deployment.listeners(),
      configuration: () => this.#configuration,
      runtime: () => this.runtime.dump(),
      reopenLogs: () => this.reopenLogs(),
      resetCounters: () => this.core.resetCounters(),
      setHealthFailed: (failed) => this.setHealthFailed(failed),
      stopListeners: () => this.stopListeners(),
      drainListeners: (thenStop) => this.drainListeners(thenStop),
      quit: () => this.options.onQuit?.(),
    }
  }

  #onEvent(event: NativeEvent): void {
    const { kind, subject, message } = event
    this.options.onEvent?.(event)
    if (kind === 'log-recovered') this.options.log.info({ subject }, message)
    else this.options.log.warn({ subject, kind }, message)
  }
}

function closedWhileStarting(): MillraceError {
  return new MillraceError('ERR_MILLRACE_CLOSED', 'closed before the configuration was in force')
}
