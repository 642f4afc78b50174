// The configuration in force, and how another one takes its place: what is equal is left alone,
// what can fail is done first, and only then anything that workers already use is changed.
//
//   prepare (can fail; undone then)          commit (cannot fail)
//   compile, open log files            →     runtime · changed clusters · directory · routes
//   publish what has new names               update listeners that keep their addresses
//   bind new and moved listeners             drain and remove listeners that are gone or moved
//
// What the new configuration no longer names lingers for the drain time, for connections accepted
// before.

import { isDeepStrictEqual } from 'node:util'
import type { ClusterManager } from '../cluster/manager.ts'
import { type CompiledConfiguration, compile, type LoadedConfiguration } from '../config/index.ts'
import type { NativeCore, NativeListener, NativeRouteTable } from '../native/index.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { atOnce, type Steps } from '../slices.ts'
import { Lingering } from './lingering.ts'
import type { LogFiles } from './log_files.ts'
import { noUses, Resources, type Uses } from './resources.ts'
import { named } from './system_error.ts'

export interface ListenerState {
  readonly name: string
  /**
   * The core's name for it: another one than `name` while a predecessor of that name still drains.
   */
  readonly coreName: string
  readonly listener: NativeListener
  /** Where it listens, with the ports that the system chose. */
  readonly addresses: readonly string[]
  readonly updatedAt: number
}

export interface RouteTableState {
  readonly key: string
  readonly table: NativeRouteTable
  readonly updatedAt: number
}

export interface ListenerCounters {
  added: number
  modified: number
  removed: number
  createFailure: number
}

/** What one change of the configuration did, by name. */
export interface Changes {
  readonly listenersAdded: string[]
  readonly listenersModified: string[]
  readonly listenersRemoved: string[]
  readonly clustersPublished: string[]
  readonly clustersRemoved: string[]
  readonly routesPublished: string[]
}

/** A configuration of which only new clusters are in force yet. */
export interface Prepared {
  readonly newClusters: readonly string[]
  /**
   * Puts the rest in force. The first step throws, with everything as it was before, as `apply`;
   * what the others publish is seen by workers after the last.
   */
  commit(now?: number): Steps<Changes>
  /** Takes back what was published; instead of {@link commit}. */
  undo(): void
}

interface Plan {
  readonly layers: LoadedConfiguration['runtimeLayers']
  readonly compiled: CompiledConfiguration
  readonly uses: Uses
  readonly bind: NativeListener[]
  readonly update: NativeListener[]
  readonly keep: NativeListener[]
}

export class Deployment {
  readonly #core: NativeCore
  readonly #clusters: ClusterManager
  readonly #runtime: Runtime
  readonly #resources: Resources
  readonly #lingering: Lingering
  readonly #drainTimeMs: number
  #uses = noUses()
  #compiled: CompiledConfiguration | undefined
  #clusterNames: ReadonlySet<string> = new Set()
  #listeners = new Map<string, ListenerState>()
  #routes = new Map<string, RouteTableState>()
  /** Names that the core knows, those of draining listeners included. */
  readonly #coreNames = new Set<string>()
  readonly counters: ListenerCounters = { added: 0, modified: 0, removed: 0, createFailure: 0 }

  constructor(
    core: NativeCore,
    clusters: ClusterManager,
    logs: LogFiles,
    runtime: Runtime,
    drainTimeMs: number,
  ) {
    this.#core = core
    this.#clusters = clusters
    this.#runtime = runtime
    this.#resources = new Resources(core, clusters, logs, runtime)
    this.#lingering = new Lingering(drainTimeMs)
    this.#drainTimeMs = drainTimeMs
  }

  /**
   * Puts `loaded` in force. Throws, with everything as it was, when a file or a listener cannot be
   * opened.
   */
  apply(loaded: LoadedConfiguration, now: number = Date.now()): Changes {
    return atOnce(atOnce(this.prepare(loaded, now)).commit(now))
  }

  /**
   * Compiles `loaded`, opens its files, and publishes clusters that are new: their hosts can be
   * found and checked before anything is sent to them. Throws as {@link apply}.
   */
  *prepare(loaded: LoadedConfiguration, now: number = Date.now()): Steps<Prepared> {
    const uses = noUses()
    const bound = new Map<string, ListenerState>()
    const undo = (): void => this.#undo(uses, bound)
    this.#lingering.hold()
    try {
      const compiled = yield* compile(loaded, this.#resources.resolver(uses))
      for (const { cluster } of compiled.clusters) this.#clusters.check(cluster)
      const plan = { ...this.#plan(compiled, uses), layers: loaded.runtimeLayers }
      const newClusters = yield* this.#publishNew(plan, now)
      return { newClusters, undo, commit: (then) => this.#finish(plan, bound, undo, then) }
    } catch (error) {
      undo()
      throw named(error)
    }
  }

  *#finish(
    plan: Plan,
    bound: Map<string, ListenerState>,
    undo: () => void,
    now: number = Date.now(),
  ): Steps<Changes> {
    try {
      for (const listener of plan.bind) bound.set(listener.name, this.#bind(listener, now))
    } catch (error) {
      undo()
      throw named(error)
    }
    this.#core.hold()
    try {
      return yield* this.#commit(plan, bound, now)
    } finally {
      this.#core.resume()
      this.#lingering.resume()
    }
  }

  listeners(): readonly ListenerState[] {
    return [...this.#listeners.values()]
  }

  /** Of the configuration in force, in its order. */
  clusterNames(): readonly string[] {
    return [...this.#clusterNames]
  }

  /** Whether the configuration in force has this cluster. */
  hasCluster(name: string): boolean {
    return this.#clusterNames.has(name)
  }

  routeTables(): readonly RouteTableState[] {
    return [...this.#routes.values()]
  }

  /** The admin interface that the configuration asks for. */
  get admin(): CompiledConfiguration['admin'] {
    return this.#compiled?.admin
  }

  get node(): CompiledConfiguration['node'] {
    return this.#compiled?.node ?? { id: '', cluster: '' }
  }

  get histogramBounds(): readonly number[] {
    return this.#compiled?.histogramBounds ?? []
  }

  /** Listeners that no longer accept but still have connections to serve. */
  get draining(): number {
    return this.#coreNames.size - this.#listeners.size
  }

  /** The core is about to go: nothing will be given back any more. */
  close(): void {
    this.#lingering.clear()
  }

  #plan(compiled: CompiledConfiguration, uses: Uses): Omit<Plan, 'layers'> {
    const plan: Omit<Plan, 'layers'> = { compiled, uses, bind: [], update: [], keep: [] }
    for (const listener of compiled.listeners) {
      const before = this.#listeners.get(listener.name)?.listener
      if (!before || !sameSockets(before, listener)) plan.bind.push(listener)
      else if (isDeepStrictEqual(before, listener)) plan.keep.push(listener)
      else plan.update.push(listener)
    }
    return plan
  }

  /** Clusters and route tables that nothing refers to yet. */
  *#publishNew({ compiled }: Plan, now: number): Steps<string[]> {
    // With the first clusters, so that they need not be built again.
    if (!this.#compiled) this.#core.setLocalCluster(compiled.localCluster)
    const fresh = compiled.clusters.filter(({ name }) => !this.#clusters.get(name))
    for (const { cluster } of fresh) {
      this.#clusters.publish(cluster, now)
      yield
    }
    for (const { key, slot, table } of compiled.routeTables) {
      if (!this.#uses.routes.has(key)) this.#core.publishRoutes(slot, table)
    }
    return fresh.map(({ name }) => name)
  }

  #bind(listener: NativeListener, now: number): ListenerState {
    let coreName = listener.name
    for (let n = 2; this.#coreNames.has(coreName); n++) coreName = `${listener.name}#${n}`
    try {
      const addresses = this.#core.addListener({ ...listener, name: coreName })
      this.#coreNames.add(coreName)
      return { name: listener.name, coreName, listener, addresses, updatedAt: now }
    } catch (error) {
      this.counters.createFailure++
      throw error
    }
  }

  #undo(uses: Uses, bound: ReadonlyMap<string, ListenerState>): void {
    for (const { coreName } of bound.values()) {
      this.#core.removeListener(coreName, 0)
      this.#coreNames.delete(coreName)
    }
    for (const giveBack of uses.undo) giveBack()
    this.#lingering.resume()
  }

  *#commit(plan: Plan, bound: ReadonlyMap<string, ListenerState>, now: number): Steps<Changes> {
    const { compiled, uses } = plan
    this.#runtime.setLayers(plan.layers)
    this.#core.publishRuntime(this.#runtime.values())
    this.#core.setLocalCluster(compiled.localCluster)
    const isNew = (name: string): boolean => !this.#uses.clusters.has(name)
    const clustersPublished: string[] = []
    for (const { name, cluster } of compiled.clusters) {
      if (this.#clusters.publish(cluster, now) || isNew(name)) clustersPublished.push(name)
      yield
    }
    this.#clusterNames = new Set(compiled.clusters.map(({ name }) => name))
    this.#clusters.publishDirectory(this.#clusterNames)
    const routesPublished = this.#publishChangedRoutes(compiled, now)
    const changes: Changes = {
      listenersAdded: [],
      listenersModified: [],
      listenersRemoved: [],
      clustersPublished,
      clustersRemoved: [...this.#uses.clusters].filter((name) => !uses.clusters.has(name)),
      routesPublished,
    }
    this.#exchangeListeners(plan, bound, changes, now)
    this.#linger(uses)
    this.#uses = uses
    this.#compiled = compiled
    return changes
  }

  #publishChangedRoutes(compiled: CompiledConfiguration, now: number): string[] {
    const next = new Map<string, RouteTableState>()
    const published: string[] = []
    for (const { key, slot, table } of compiled.routeTables) {
      const before = this.#routes.get(key)
      if (before && isDeepStrictEqual(before.table, table)) {
        next.set(key, before)
        continue
      }
      if (before) this.#core.publishRoutes(slot, table)
      next.set(key, { key, table, updatedAt: now })
      published.push(key)
    }
    this.#routes = next
    return published
  }

  #exchangeListeners(
    plan: Plan,
    bound: ReadonlyMap<string, ListenerState>,
    changes: Changes,
    now: number,
  ): void {
    const next = new Map<string, ListenerState>()
    for (const { name } of plan.keep) {
      const state = this.#listeners.get(name)
      if (state) next.set(name, state)
    }
    for (const listener of plan.update) {
      const before = this.#listeners.get(listener.name)
      if (!before) continue
      this.#core.updateListener({ ...listener, name: before.coreName })
      next.set(listener.name, { ...before, listener, updatedAt: now })
      changes.listenersModified.push(listener.name)
    }
    for (const [name, state] of bound) {
      next.set(name, state)
      if (this.#listeners.has(name)) changes.listenersModified.push(name)
      else changes.listenersAdded.push(name)
    }
    for (const [name, state] of this.#listeners) {
      if (next.get(name)?.coreName !== state.coreName) this.#retire(state)
      if (!next.has(name)) changes.listenersRemoved.push(name)
    }
    this.counters.added += changes.listenersAdded.length
    this.counters.modified += changes.listenersModified.length
    this.counters.removed += changes.listenersRemoved.length
    this.#listeners = next
  }

  #retire({ coreName }: ListenerState): void {
    this.#core.drainListener(coreName)
    this.#core.removeListener(coreName, this.#drainTimeMs)
    this.#lingering.schedule(`listener ${coreName}`, () => this.#coreNames.delete(coreName))
  }

  #linger(uses: Uses): void {
    const resources = this.#resources
    this.#lingerSet('cluster', this.#uses.clusters, uses.clusters, (name) =>
      resources.giveBackCluster(name),
    )
    this.#lingerSet('routes', this.#uses.routes, uses.routes, (key) =>
      resources.giveBackRoutes(key),
    )
    this.#lingerSet('log', this.#uses.logs, uses.logs, (target) => resources.giveBackLog(target))
  }

  #lingerSet<K>(kind: string, before: Set<K>, now: Set<K>, giveBack: (name: K) => void): void {
    for (const name of now) this.#lingering.keep(`${kind} ${name}`)
    for (const name of before) {
      if (!now.has(name)) this.#lingering.schedule(`${kind} ${name}`, () => giveBack(name))
    }
  }
}

/** Whether a listener's sockets can stay: only what is behind them changed. */
function sameSockets(a: NativeListener, b: NativeListener): boolean {
  const sockets = (l: NativeListener): unknown => [
    l.addresses,
    l.reusePort,
    l.backlog,
    l.ipv4Compat,
    l.freebind,
    l.transparent,
    // Not of the sockets, but what every worker keeps for as long as it has them.
    l.statPrefix,
    l.drainType,
  ]
  return isDeepStrictEqual(sockets(a), sockets(b))
}
