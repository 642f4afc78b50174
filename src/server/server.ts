// One proxy: a core with its workers, and the configuration in force. Several may live in one
// process; none of them listens to signals or ends the process. Main thread only.
//
//   PRE_INITIALIZING → INITIALIZING → LIVE → DRAINING → stopped
//                start()      listening      drain(),   stop(), from every state
//                                            from each before it
//   While LIVE, setHealthFailed() shows DRAINING to those who ask. From DRAINING on, and when
//   listeners were stopped, no configuration is put in force any more.

import { unlessAborted } from '../abort.ts'
import type { AdminServer } from '../admin/server.ts'
import type { AdminTarget } from '../admin/target.ts'
import { type AwaitedCluster, ClusterManager, type HealthChange } from '../cluster/manager.ts'
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
import { atOnce, inSlices, type Steps } from '../slices.ts'
import { after, every, pause, type Timer } from '../timers.ts'
import { atExit } from './at_exit.ts'
import { type Changes, Deployment, idleSpreadMs } from './deployment.ts'
import { LogFiles } from './log_files.ts'
import { Baseline, mainStats, merged, type OwnLogStats, type ReloadCounters } from './main_stats.ts'
import { allOf } from './rollback.ts'
import type { ServerState } from './state.ts'
import { type Load, Succession } from './succession.ts'
import { naming } from './system_error.ts'

/** How old the Date header can become: half of its resolution. */
const kDateIntervalMs = 500
/** How often a drain looks whether it is over. */
const kDrainPollMs = 20
/** For what the log files still hold when the server stops. */
const kStopDeadlineMs = 5_000
/** Beyond it: for the threads of the logs to see that it is over. */
const kStopGraceMs = 100
/** The same when the process ends without waiting for the server. */
const kExitDeadlineMs = 2_000
const kHoldIntervalMs = 2 ** 30
/** Who waits for clusters says so after so long, and then again and again. */
const kSayWaitingMs = 1_000
const kSayWaitingAgainMs = 10_000
/** So many of the clusters that are waited for are named. */
const kAwaitedNamed = 10

export interface ServerOptions {
  readonly concurrency: number
  /** Listeners may share their ports with other proxies of the same user. */
  readonly sharePorts?: boolean
  readonly fileFlushIntervalMs: number
  /** How long connections may take to end when the server, or a listener of it, goes. */
  readonly drainTimeMs: number
  readonly log: Logger
  /** What became of its lines, for the statistics. */
  readonly ownLog?: () => OwnLogStats
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

interface NewAdmin {
  readonly address: NativeAddress | undefined
  readonly server: AdminServer | undefined
  /** Instead of using it: the one before is where it was. */
  undo(): Promise<void>
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
  #coreStarted = false
  #listenersStopped = false
  readonly #succession = new Succession((loaded, giveUp) => this.#putInForce(loaded, giveUp))
  readonly #baseline = new Baseline()
  readonly #forgetExit: () => void
  #stopped: Promise<NativeStopReport> | undefined

  constructor(options: ServerOptions) {
    this.options = options
    this.native = loadNative()
    const core = {
      concurrency: options.concurrency,
      sharePorts: options.sharePorts ?? false,
      onEvent: (event: NativeEvent) => this.#onEvent(event),
      onOutlier: () => this.clusters.takeOutlierEvents(),
      onHostsWanted: () => this.clusters.takeWantedHosts(),
    }
    this.core = naming(() => this.native.createCore(core))
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
      (error) => this.#sayLeft(error),
    )
  }

  /** What goes, or is taken back, went but for one thing. */
  #sayLeft(err: unknown): void {
    this.options.log.error({ err }, 'the core could not undo or end something, which may stay')
  }

  /**
   * Ready when it returns: listeners accept, and the admin interface answers. It may be with the
   * configuration of a reload that took the place of `loaded` while that waited for its clusters.
   */
  async start(loaded: LoadedConfiguration): Promise<Changes> {
    if (this.#state !== 'PRE_INITIALIZING') {
      throw new MillraceError('ERR_MILLRACE_STARTED', 'a server can be started once')
    }
    this.#state = 'INITIALIZING'
    try {
      this.#publishDate()
      this.#holdTimer = every(kHoldIntervalMs, () => {})
      const changes = await this.#succession.outcome(this.#succession.next(() => loaded))
      if (this.#stopped) throw closedError()
      this.#dateTimer = every(kDateIntervalMs, () => this.#publishDate()).unref()
      if (this.#state === 'INITIALIZING') this.#state = 'LIVE'
      return changes
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /**
   * Puts another configuration in force, touching only what differs; every worker uses it when this
   * resolves. When it cannot be loaded or opened, the one in force stays, and the error is thrown.
   * Reloads wait for one another, but for one that still waits for its clusters: a newer one takes
   * its place.
   */
  async reload(load: Load): Promise<Changes> {
    try {
      this.#mustGoOn()
      const changes = await this.#succession.next(load, () => this.#mustGoOn())
      this.reloads.success++
      const configuration = this.#configuration?.loaded.name
      this.options.log.info({ configuration, ...changes }, 'configuration reloaded')
      return changes
    } catch (error) {
      if (!isGivenUp(error)) this.reloads.rejected++
      throw error
    }
  }

  /** Throws when no configuration can be put in force (any more). */
  #mustGoOn(): void {
    const ended = this.#ended()
    if (ended) throw ended
    if (this.#state !== 'PRE_INITIALIZING') return
    throw new MillraceError('ERR_MILLRACE_NOT_LIVE', 'a server is started before it is reloaded')
  }

  #ended(): MillraceError | undefined {
    if (this.#stopped) return closedError()
    if (this.#state === 'DRAINING') return drainingError('the server drains')
    return this.#listenersStopped ? drainingError('the listeners were stopped') : undefined
  }

  /** All that can fail comes first; what fails leaves everything as it was. */
  async #putInForce(loaded: LoadedConfiguration, giveUp: AbortSignal): Promise<Changes> {
    this.#mustGoOn()
    const admin = await this.#exchangeAdmin(this.options.admin ?? loaded.admin)
    let changes: Changes
    try {
      this.#mustGoOn()
      const stopped = (): Error | undefined => (this.#stopped ? closedError() : undefined)
      const prepared = await inSlices(this.deployment.prepare(loaded), stopped)
      try {
        await this.#warm(prepared.newClusters, giveUp)
        this.#mustGoOn()
      } catch (error) {
        if (!this.#stopped) prepared.undo()
        throw error
      }
      changes = await inSlices(prepared.commit(), stopped)
      if (!this.#coreStarted) this.core.start()
      this.#coreStarted = true
    } catch (error) {
      await admin?.undo()
      throw error
    }
    this.#configuration = { loaded, at: Date.now() }
    // Those that came meanwhile, or were bound anew, accept.
    if (this.#listenersStopped) this.stopListeners()
    const before = this.#admin
    if (admin) this.#setAdmin(admin)
    try {
      await this.core.published()
    } finally {
      if (admin) await before?.close()
    }
    return changes
  }

  /** Nothing is sent to clusters of which it is not known yet who and how well they are. */
  async #warm(names: readonly string[], giveUp: AbortSignal): Promise<void> {
    if (this.clusters.awaited(names).length === 0) return
    giveUp.throwIfAborted()
    const say = (): void => this.#sayWaiting(this.clusters.awaited(names))
    let timer = after(kSayWaitingMs, () => {
      say()
      timer = every(kSayWaitingAgainMs, say).unref()
    }).unref()
    try {
      await unlessAborted(this.clusters.ready(names), giveUp)
    } finally {
      timer.stop()
    }
  }

  #sayWaiting(awaited: readonly AwaitedCluster[]): void {
    if (awaited.length === 0) return
    const named = awaited.slice(0, kAwaitedNamed)
    const more = awaited.length - named.length
    const fields = { state: this.#state, clusters: named, ...(more > 0 && { more }) }
    this.options.log.info(fields, 'waiting for clusters')
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
    this.#listenersStopped = true
    this.#succession.giveUp(drainingError('the listeners were stopped'))
    const drains = this.deployment.listeners().map(({ coreName }) => {
      return () => this.core.drainListener(coreName)
    })
    allOf(drains, (error) => this.#sayLeft(error))
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
   * Stops accepting when what waits is accepted, lets connections end, and returns when none is
   * left or `deadlineMs` have passed.
   */
  async drain(deadlineMs: number = this.options.drainTimeMs): Promise<void> {
    if (this.#stopped) return
    const deadline = performance.now() + deadlineMs
    this.#state = 'DRAINING'
    this.#succession.giveUp(drainingError('the server drains'))
    // What has begun to be put in force is, and then ends with the rest.
    const left = (): number => deadline - performance.now()
    if (this.#succession.busy) await noLonger(left(), this.#succession.idle())
    if (this.#stopped) return
    this.stopListeners()
    this.core.drainAll(idleSpreadMs(deadlineMs))
    // Rejected when the core stops meanwhile: then this is over, too.
    await noLonger(
      left(),
      this.core.published().catch(() => {}),
    )
    while (!this.#stopped && performance.now() < deadline) {
      // In this order: what a closing socket accepts last is a connection before it is closed.
      if (this.core.socketCount() === 0 && this.core.connectionCount() === 0) return
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
    this.#succession.giveUp(closedError())
    this.#dateTimer?.stop()
    this.#gracefulDrain?.stop()
    this.deployment.close()
    await this.clusters.close()
    await this.#admin?.close()
    try {
      return await this.#stopCore()
    } finally {
      this.#forgetExit()
      this.#holdTimer?.stop()
    }
  }

  /** The event loop turns while the logs are written, however long a disk or a reader stalls. */
  async #stopCore(): Promise<NativeStopReport> {
    await new Promise<void>((resolve) => {
      const timer = after(kStopDeadlineMs + kStopGraceMs, resolve)
      this.core.beginStop(kStopDeadlineMs, () => {
        timer.stop()
        resolve()
      })
    })
    return this.core.stop(0)
  }

  /** All statistics: the workers', and those of the main thread. */
  stats(bounds: readonly number[] = []): readonly NativeStat[] {
    return atOnce(this.statsInSteps(bounds))
  }

  /** As {@link stats}: of thousands of clusters there are hundreds of thousands. */
  *statsInSteps(bounds: readonly number[]): Steps<readonly NativeStat[]> {
    const workers = this.core.readStats(bounds)
    yield
    const main = yield* this.#mainStats()
    return yield* merged(workers, this.#baseline.since(main))
  }

  /** Counters and histograms begin anew, those of the main thread too. */
  resetCounters(): void {
    this.core.resetCounters()
    this.#baseline.reset(atOnce(this.#mainStats()))
  }

  *#mainStats(): Steps<readonly NativeStat[]> {
    return yield* merged(yield* mainStats(this))
  }

  /**
   * Sets a runtime key above all layers of the configuration; undefined takes that back. Resolves
   * when every worker reads it so. Rejects, with the key as it was, where clusters cannot be so.
   */
  async setRuntime(key: string, value: RuntimeValue | undefined): Promise<void> {
    const before = this.runtime.overridden(key)
    this.#override(key, value)
    try {
      // Workers read most keys; the values of some are part of clusters.
      if (this.deployment.compiledWith(key)) await this.#compileAgain(key)
    } catch (error) {
      // It may have been set again meanwhile.
      if (this.runtime.overridden(key) === value && !this.#stopped) this.#override(key, before)
      throw error
    }
    await this.core.published()
  }

  #override(key: string, value: RuntimeValue | undefined): void {
    this.runtime.override(key, value)
    this.core.publishRuntime(this.runtime.values())
  }

  /** At once, so that nothing else is put in force meanwhile; only clusters that differ change. */
  async #compileAgain(key: string): Promise<void> {
    while (this.#succession.busy) await this.#succession.idle()
    const loaded = this.deployment.compiledWith(key)
    if (loaded && !this.#stopped) this.deployment.apply(loaded)
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
  async #exchangeAdmin(address: NativeAddress | undefined): Promise<NewAdmin | undefined> {
    if (JSON.stringify(address) === JSON.stringify(this.#adminAddress)) return undefined
    if (!address) return { address, server: undefined, undo: async () => {} }
    const { AdminServer } = await import('../admin/server.ts')
    const before = this.#admin?.blocks(address) ? this.#admin : undefined
    await before?.makeRoom()
    try {
      const server = await AdminServer.listen(address, this.#adminTarget(), this.options.log)
      const undo = async (): Promise<void> => {
        await server.close()
        await this.#comeBack(before)
      }
      this.options.log.info({ url: server.url }, 'admin interface')
      // During the start it is there already, whichever configuration it will be.
      if (this.#admin || this.#state !== 'INITIALIZING') return { address, server, undo }
      this.#setAdmin({ address, server })
      return undefined
    } catch (error) {
      await this.#comeBack(before)
      throw error
    }
  }

  /** The former admin interface listens again, unless this is the end. */
  async #comeBack(before: AdminServer | undefined): Promise<void> {
    if (this.#stopped) return
    try {
      await before?.comeBack()
      if (this.#stopped) await before?.close()
    } catch (error) {
      // Why it is to come back is what whoever asked has to hear.
      const fields = { err: error, url: before?.url }
      this.options.log.error(fields, 'the admin interface cannot listen again')
    }
  }

  #setAdmin({ address, server }: Omit<NewAdmin, 'undo'>): void {
    this.#admin = server
    this.#adminAddress = address
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
      stats: (bounds) => this.statsInSteps(bounds),
      histogramBounds: () => this.deployment.histogramBounds,
      listeners: () => this.deployment.listeners(),
      configuration: () => this.#configuration,
      runtime: () => this.runtime.dump(),
      reopenLogs: () => this.reopenLogs(),
      resetCounters: () => this.resetCounters(),
      setHealthFailed: (failed) => this.setHealthFailed(failed),
      stopListeners: () => this.stopListeners(),
      drainListeners: (thenStop) => this.drainListeners(thenStop),
      quit: () => this.options.onQuit?.(),
    }
  }

  #onEvent(event: NativeEvent): void {
    const { kind, subject, message } = event
    this.options.onEvent?.(event)
    if (kind === 'log-recovered') this.options.log.info({ subject }, 'log lines are written again')
    else this.options.log.warn({ subject, kind }, message)
  }
}

/** Waits for `done`, but for no longer than `ms`. */
async function noLonger(ms: number, done: Promise<void>): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = after(ms, resolve)
    done.finally(() => timer.stop()).then(resolve, reject)
  })
}

/** Nothing was wrong with the configuration: there was no more use for it. */
function isGivenUp(error: unknown): boolean {
  const { code = '' } = (error ?? {}) as { code?: string }
  return code === 'ERR_MILLRACE_SUPERSEDED' || code === 'ERR_MILLRACE_DRAINING'
}

function closedError(): MillraceError {
  return new MillraceError('ERR_MILLRACE_CLOSED', 'closed before the configuration was in force')
}

function drainingError(why: string): MillraceError {
  return new MillraceError('ERR_MILLRACE_DRAINING', `${why}: no configuration is put in force`)
}
