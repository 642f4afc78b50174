/**
 * A proxy inside a program: the same server that the command line runs, with promises, events and
 * errors for a program. Several may live in one process, and in its `worker_threads`.
 *
 *   new → starting → live → draining → closed        close() ends it from every state
 */

import { argumentError } from '../arguments.ts'
import { loadConfiguration } from '../config/index.ts'
import { didYouMean } from '../config/suggest.ts'
import { MillraceError } from '../errors.ts'
import type { NativeEvent } from '../native/index.ts'
import type { Changes } from '../server/deployment.ts'
import { Server } from '../server/server.ts'
import { optionalNumber, optionsObject, text } from './arguments.ts'
import type { EndpointState, ProxyCluster } from './cluster.ts'
import { configurationSource, type ProxyConfiguration } from './configuration.ts'
import { EndpointLists } from './endpoint_lists.ts'
import type { Endpoint, EndpointsChange } from './endpoints.ts'
import {
  type CloseReport,
  type channelNames,
  eventLogger,
  type ProxyEvents,
  publish,
  SafeEmitter,
} from './events.ts'
import { type ProxyOptions, type ReadOptions, readOptions } from './options.ts'
import { ProxyRuntime } from './runtime.ts'
import {
  readStatsOptions,
  Sampler,
  StatsEnd,
  type StatsOptions,
  type StatsSample,
  samples,
} from './stats.ts'

export type ProxyState = 'new' | 'starting' | 'live' | 'draining' | 'closed'

/** Where a listener listens, with the port that the system chose where none was given. */
export interface ListenAddress {
  readonly listener: string
  /** `127.0.0.1:8080`, `[::1]:8080`, or the path of a unix socket. */
  readonly text: string
  /** Absent for a unix socket. */
  readonly host?: string
  readonly port?: number
  /** Of a unix socket. */
  readonly path?: string
}

/** What {@link Proxy.drain} ended with. */
export interface DrainReport {
  /** Connections that did not end in time; `close` cuts them. */
  readonly connections: number
}

export interface DrainOptions {
  /** How long connections may take to end, ms; the option `drainTime` by default. */
  readonly deadline?: number
}

const kErrors: Readonly<Partial<Record<NativeEvent['kind'], string>>> = {
  'log-failing': 'ERR_MILLRACE_LOG_WRITE',
  'log-reopen-failed': 'ERR_MILLRACE_LOG_REOPEN',
  'log-rotate-failed': 'ERR_MILLRACE_LOG_ROTATE',
  'accept-paused': 'ERR_MILLRACE_ACCEPT_PAUSED',
}

// biome-ignore lint/suspicious/noShadowRestrictedNames: the name that the package gives it
export class Proxy extends SafeEmitter implements AsyncDisposable {
  readonly #first: unknown
  readonly #options: ReadOptions
  readonly #end: StatsEnd = new StatsEnd()
  readonly #endpoints: EndpointLists = new EndpointLists()
  readonly #runtime: ProxyRuntime = new ProxyRuntime(() => this.#live('runtime'))
  #state: ProxyState = 'new'
  #server: Server | undefined
  #started: Promise<this> | undefined
  #draining: Promise<DrainReport> | undefined
  #closing: Promise<CloseReport> | undefined
  #onAbort: (() => void) | undefined
  readonly #loading: AbortController = new AbortController()
  #version = 0
  #holds = true

  /** Throws for wrong options; the configuration is read by {@link start}. */
  constructor(configuration: ProxyConfiguration, options?: ProxyOptions) {
    super()
    this.#options = readOptions(options)
    configurationSource(configuration)
    this.#first = configuration
  }

  get state(): ProxyState {
    return this.#state
  }

  /**
   * Resolves when the proxy serves: every worker has the configuration, and listeners accept.
   * Rejects with a `ConfigError` that has every problem, or with what could not be opened; nothing
   * is left open then, and the proxy is closed.
   */
  start(): Promise<this> {
    this.#started ??= this.#start()
    return this.#started
  }

  async #start(): Promise<this> {
    this.#notClosed('start')
    const { signal } = this.#options
    this.#state = 'starting'
    try {
      signal?.throwIfAborted()
      this.#listenTo(signal)
      const source = configurationSource(this.#first)
      const loaded = await loadConfiguration(source, this.#loading.signal)
      this.#notAborted('start')
      this.#server = this.#newServer()
      const changes = await this.#server.start(loaded)
      this.#notAborted('start')
      this.#state = 'live'
      this.#server.hold(this.#holds)
      publish('start', this, { addresses: this.addresses })
      this.#configured(loaded.name, changes)
      return this
    } catch (error) {
      await this.close()
      throw signal?.aborted ? signal.reason : error
    }
  }

  #newServer(): Server {
    const { concurrency, fileFlushIntervalMs, drainTimeMs, sharePorts, admin, log } = this.#options
    return new Server({
      concurrency,
      fileFlushIntervalMs,
      drainTimeMs,
      sharePorts,
      log: eventLogger(this, log),
      ...(admin && { admin }),
      onEvent: (event) => this.#onNativeEvent(event),
      onHealth: (change) => this.#tell('health', change),
      onQuit: () => this.#inBackground(this.close()),
    })
  }

  #listenTo(signal: AbortSignal | undefined): void {
    this.#onAbort = () => this.#inBackground(this.close())
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Where the listeners listen; empty when the proxy does not run. */
  get addresses(): readonly ListenAddress[] {
    if (this.#state !== 'live') return []
    const listeners = this.#server?.listenerAddresses() ?? new Map<string, readonly string[]>()
    return [...listeners].flatMap(([listener, texts]) =>
      texts.map((at) => listenAddress(listener, at)),
    )
  }

  /** `http://…` of the admin interface, `unix:…`, or undefined. */
  get adminUrl(): string | undefined {
    return this.#state === 'closed' ? undefined : this.#server?.adminUrl
  }

  /** Connections of clients that are open. */
  get connections(): number {
    return this.#state === 'closed' ? 0 : (this.#server?.core.connectionCount() ?? 0)
  }

  /**
   * Puts another configuration in force; resolves when every worker uses it. A request is served by
   * the one or by the other, never by half of each. Rejects with a `ConfigError` that has every
   * problem, or with what could not be opened; then nothing has changed. Calls wait for one
   * another, but for one that still waits for its clusters: it rejects then, with
   * ERR_MILLRACE_SUPERSEDED.
   */
  async apply(configuration: ProxyConfiguration): Promise<void> {
    const server = this.#live('apply')
    const source = configurationSource(configuration)
    let name = ''
    try {
      const changes = await server.reload(async (giveUp) => {
        const loaded = await loadConfiguration(source, giveUp)
        name = loaded.name
        return loaded
      })
      this.#configured(name, changes)
    } catch (error) {
      const refused = this.#closing ? closedError('apply') : error
      publish('refused', this, { error: refused })
      throw refused
    }
  }

  #configured(name: string, changes: Changes): void {
    this.#tell('config', { version: ++this.#version, name, changes })
  }

  /** Throws when the configuration in force has no such cluster. */
  cluster(name: string): ProxyCluster {
    const server = this.#live('cluster')
    mustHaveCluster(server, text(name, 'name'))
    return new Cluster(
      name,
      () => this.#live('cluster'),
      (what, given) => this.#changeEndpoints(what, name, given),
    )
  }

  /** Names of the clusters of the configuration in force. */
  get clusters(): readonly string[] {
    return this.#state === 'live' ? (this.#server?.deployment.clusterNames() ?? []) : []
  }

  async #changeEndpoints(
    what: 'setEndpoints' | 'updateEndpoints',
    name: string,
    given: unknown,
  ): Promise<void> {
    const server = this.#live(what)
    mustHaveCluster(server, name)
    const { clusters } = server
    if (clusters.get(name)?.cluster.onDemand) {
      throw argumentError('name', `"${name}" has the endpoints that requests name, and no others`)
    }
    const told =
      what === 'setEndpoints'
        ? this.#endpoints.replace(clusters, name, given)
        : this.#endpoints.update(clusters, name, given)
    for (const change of told) this.#tell('health', { cluster: name, ...change })
    await server.core.published()
  }

  /** Flags that the configuration reads, above its own layers. */
  get runtime(): ProxyRuntime {
    return this.#runtime
  }

  /**
   * Samples of all statistics, one an interval, made when they are asked for. Ends with the proxy,
   * with `signal`, or when the loop over it is left.
   */
  stats(options?: StatsOptions): AsyncGenerator<StatsSample, void, undefined> {
    const { intervalMs, signal } = readStatsOptions(options)
    const server = this.#live('stats')
    return samples(new Sampler(() => server.stats()), intervalMs, this.#end, signal)
  }

  /**
   * Stops accepting, lets connections end, and resolves when none is left or the deadline has
   * passed. Then only {@link close} is left to do.
   */
  async drain(options?: DrainOptions): Promise<DrainReport> {
    const { deadline } = optionsObject(options, 'options', ['deadline'])
    const limits = { min: 0, max: 86_400_000, unit: 'milliseconds' }
    const deadlineMs = optionalNumber(deadline, 'options.deadline', limits)
    if (this.#draining) return this.#draining
    const server = this.#live('drain')
    this.#draining = this.#drain(server, deadlineMs ?? this.#options.drainTimeMs)
    return this.#draining
  }

  async #drain(server: Server, deadlineMs: number): Promise<DrainReport> {
    this.#state = 'draining'
    this.#tell('drain', { phase: 'started', connections: this.connections })
    await server.drain(deadlineMs)
    const report = { connections: this.connections }
    this.#tell('drain', { phase: 'finished', ...report })
    return report
  }

  /**
   * Closes all listeners and connections at once, writes out the logs, and says what was lost; from
   * every state, and as often as you like. Nothing of the proxy keeps the process alive afterwards.
   */
  close(): Promise<CloseReport> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<CloseReport> {
    this.#state = 'closed'
    this.#end.end()
    this.#loading.abort(closedError('start'))
    if (this.#onAbort) this.#options.signal?.removeEventListener('abort', this.#onAbort)
    const report = (await this.#server?.stop()) ?? { connectionsCut: 0, logsLost: [] }
    this.#tell('close', report)
    return report
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close().then(() => {})
  }

  /** The live proxy keeps the process alive: so it is from the start. */
  ref(): this {
    return this.#hold(true)
  }

  /** The live proxy does not keep the process alive, and ends with it. */
  unref(): this {
    return this.#hold(false)
  }

  #hold(on: boolean): this {
    this.#holds = on
    this.#server?.hold(on)
    return this
  }

  /**
   * Opens every access log again by its name, as after a rotation. Says which could not be.
   */
  reopenLogs(): readonly { readonly target: string; readonly message: string }[] {
    return this.#live('reopenLogs').reopenLogs()
  }

  #live(what: string): Server {
    this.#notClosed(what)
    if (this.#state === 'live' && this.#server) return this.#server
    const message =
      this.#state === 'draining'
        ? `${what}: the proxy drains, and then only closes`
        : `${what}: the proxy is not started yet`
    const code = this.#state === 'draining' ? 'ERR_MILLRACE_DRAINING' : 'ERR_MILLRACE_NOT_STARTED'
    throw new MillraceError(code, message, { hint: 'await proxy.start() first' })
  }

  #notClosed(what: string): void {
    if (this.#state === 'closed') throw closedError(what)
  }

  #notAborted(what: string): void {
    this.#options.signal?.throwIfAborted()
    this.#notClosed(what)
  }

  #tell<E extends keyof typeof channelNames & keyof ProxyEvents>(
    name: E,
    ...[message]: ProxyEvents[E]
  ): void {
    publish(name, this, message as object)
    this.emit(name, ...([message] as ProxyEvents[E]))
  }

  #onNativeEvent({ kind, subject, message }: NativeEvent): void {
    const code = kErrors[kind]
    if (code === undefined) return
    const error = new MillraceError(code, `${subject}: ${message}`, { path: subject })
    publish('error', this, { error })
    this.emit('error', error)
  }

  #inBackground(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      const failed = new MillraceError('ERR_MILLRACE_CLOSE', String(error), { cause: error })
      publish('error', this, { error: failed })
      this.emit('error', failed)
    })
  }
}

type ChangeEndpoints = (what: 'setEndpoints' | 'updateEndpoints', given: unknown) => Promise<void>

class Cluster implements ProxyCluster {
  readonly name: string
  readonly #server: () => Server
  readonly #change: ChangeEndpoints

  constructor(name: string, server: () => Server, change: ChangeEndpoints) {
    this.name = name
    this.#server = server
    this.#change = change
  }

  get endpoints(): readonly EndpointState[] {
    const server = this.#server()
    mustHaveCluster(server, this.name)
    return server.clusters.hosts(this.name)
  }

  setEndpoints(endpoints: readonly Endpoint[]): Promise<void> {
    return this.#change('setEndpoints', endpoints)
  }

  updateEndpoints(change: EndpointsChange): Promise<void> {
    return this.#change('updateEndpoints', change)
  }
}

function mustHaveCluster(server: Server, name: string): void {
  if (server.deployment.hasCluster(name)) return
  const names = server.deployment.clusterNames()
  const listed = names.length === 0 ? 'there is none' : `there are: ${names.join(', ')}`
  throw new MillraceError('ERR_MILLRACE_UNKNOWN_CLUSTER', `no cluster is called "${name}"`, {
    path: 'name',
    hint: didYouMean(name, names) ?? listed,
  })
}

function closedError(what: string): MillraceError {
  return new MillraceError('ERR_MILLRACE_CLOSED', `${what}: the proxy is closed`)
}

function listenAddress(listener: string, at: string): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([^:/@]+)):(\d+)$/.exec(at)
  const host = match?.[1] ?? match?.[2]
  if (!match || host === undefined) return { listener, text: at, path: at }
  return { listener, text: at, host, port: Number(match[3]) }
}

/**
 * A proxy that serves: `new Proxy(configuration, options)`, started.
 *
 * ```ts
 * await using proxy = await createProxy({ listen: 8080, routes: { '/': 'http://127.0.0.1:3000' } })
 * ```
 */
export async function createProxy(
  configuration: ProxyConfiguration,
  options?: ProxyOptions,
): Promise<Proxy> {
  return new Proxy(configuration, options).start()
}
