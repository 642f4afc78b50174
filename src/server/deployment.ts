// The configuration in force, and how another one takes its place: what is equal is left alone,
// what can fail is done first, and only then anything that workers already use is changed.
//
//   prepare (can fail; undone then)          commit (step by step; a step that fails takes back
//   compile, open log files            →     those before it, and workers see none of them)
//   publish what has new names               bind sockets that are not there yet
//                                            runtime · changed clusters · routes · directory
//                                            update listeners, exchange sockets that differ
//                                            drain and remove listeners that are gone
//
// What the new configuration no longer names lingers for the drain time, for connections accepted
// before.

import { isDeepStrictEqual } from 'node:util'
import type { ClusterManager } from '../cluster/manager.ts'
import { type CompiledConfiguration, compile, type LoadedConfiguration } from '../config/index.ts'
import type { NativeCore, NativeListener } from '../native/index.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { atOnce, type Steps } from '../slices.ts'
import { Lingering } from './lingering.ts'
import type { LogFiles } from './log_files.ts'
import { type ListenerState, type Plan, planOf, type RouteTableState } from './plan.ts'
import { noUses, Resources, type Uses } from './resources.ts'
import { allOf, type OnFailure, Rollback } from './rollback.ts'
import { named } from './system_error.ts'

const kLeastSpreadMs = 1_000
const kMostSpreadMs = 30_000

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
   * Puts the rest in force. Throws, with everything as it was before, as `apply`; what it publishes
   * is seen by workers after the last step.
   */
  commit(now?: number): Steps<Changes>
  /** Takes back what was published; instead of {@link commit}. */
  undo(): void
}

/** What {@link Deployment} knows after the core has taken a configuration. */
interface Changed {
  readonly clustersPublished: string[]
  readonly routes: Map<string, RouteTableState>
  readonly routesPublished: string[]
}

export class Deployment {
  readonly #core: NativeCore
  readonly #clusters: ClusterManager
  readonly #runtime: Runtime
  readonly #resources: Resources
  readonly #lingering: Lingering
  readonly #drainTimeMs: number
  readonly #failed: OnFailure
  #uses = noUses()
  #compiled: CompiledConfiguration | undefined
  #inForce: Pick<Plan, 'loaded' | 'keys'> | undefined
  #clusterNames: ReadonlySet<string> = new Set()
  #listeners = new Map<string, ListenerState>()
  #routes = new Map<string, RouteTableState>()
  /** Names that the core knows, those of draining listeners included. */
  readonly #coreNames = new Set<string>()
  readonly counters: ListenerCounters = { added: 0, modified: 0, removed: 0, createFailure: 0 }

  /** `failed`: of what is taken back, or goes, one thing could not be; the others were. */
  constructor(
    core: NativeCore,
    clusters: ClusterManager,
    logs: LogFiles,
    runtime: Runtime,
    drainTimeMs: number,
    failed: OnFailure,
  ) {
    this.#core = core
    this.#clusters = clusters
    this.#runtime = runtime
    this.#resources = new Resources(core, clusters, logs, runtime)
    this.#lingering = new Lingering(drainTimeMs, failed)
    this.#drainTimeMs = drainTimeMs
    this.#failed = failed
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
      const keys = new Set<string>()
      const compiled = yield* compile(loaded, this.#resources.resolver(uses), (key) => {
        keys.add(key)
        return this.#runtime.overridden(key)
      })
      for (const { cluster } of compiled.clusters) this.#clusters.check(cluster)
      const plan = { ...planOf(compiled, uses, this.#listeners), loaded, keys }
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
    const rebound = new Map<string, readonly string[]>()
    const undoAll = (): void => {
      this.#allOf([...rebound.keys()].map((coreName) => () => this.#core.dropSockets(coreName)))
      undo()
    }
    try {
      for (const listener of plan.rebind) {
        const name = plan.before.get(listener.name)?.coreName ?? listener.name
        const addresses = this.#opening(() => this.#core.bindSockets({ ...listener, name }))
        rebound.set(name, addresses)
      }
      for (const listener of plan.bind) bound.set(listener.name, this.#bind(listener, now))
    } catch (error) {
      undoAll()
      throw named(error)
    }
    // Workers see nothing of what is done, and undone, until the end.
    this.#core.hold()
    const rollback = new Rollback(undoAll, this.#failed)
    try {
      const done = yield* this.#change(plan, rollback, now)
      return this.#conclude(plan, bound, rebound, done, now)
    } catch (error) {
      rollback.run()
      throw named(error)
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

  /** The configuration to apply again, when a value of this runtime key is part of it. */
  compiledWith(key: string): LoadedConfiguration | undefined {
    return this.#inForce?.keys.has(key) ? this.#inForce.loaded : undefined
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

  /** Clusters and route tables that nothing refers to yet. */
  *#publishNew({ compiled, uses }: Plan, now: number): Steps<string[]> {
    // With the first clusters, so that they need not be built again.
    if (!this.#compiled) {
      uses.undo.push(() => this.#core.setLocalCluster({ slot: 0 }))
      this.#core.setLocalCluster(compiled.localCluster)
    }
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
    const addresses = this.#opening(() => this.#core.addListener({ ...listener, name: coreName }))
    this.#coreNames.add(coreName)
    return { name: listener.name, coreName, listener, addresses, updatedAt: now }
  }

  #opening(open: () => readonly string[]): readonly string[] {
    try {
      return open()
    } catch (error) {
      this.counters.createFailure++
      throw error
    }
  }

  #undo(uses: Uses, bound: ReadonlyMap<string, ListenerState>): void {
    const steps = [...uses.undo].reverse()
    for (const { coreName } of bound.values()) {
      steps.push(() => {
        this.#coreNames.delete(coreName)
        this.#core.removeListener(coreName, 0, 0)
      })
    }
    this.#allOf(steps)
    this.#lingering.resume()
  }

  /** Everything that the core may refuse, each step with what takes it back. */
  *#change(
    { loaded, compiled, uses, update, before: states }: Plan,
    rollback: Rollback,
    now: number,
  ): Steps<Changed> {
    const { layers } = this.#runtime
    const local = this.#compiled?.localCluster ?? { slot: 0 }
    rollback.step(
      () => this.#setRuntime(loaded.runtimeLayers),
      () => this.#setRuntime(layers),
    )
    rollback.step(
      () => this.#core.setLocalCluster(compiled.localCluster),
      () => this.#core.setLocalCluster(local),
    )
    const counters = { ...this.#clusters.counters }
    rollback.add(() => Object.assign(this.#clusters.counters, counters))
    const clustersPublished: string[] = []
    for (const { name, cluster } of compiled.clusters) {
      rollback.add(this.#clusters.remember(name))
      const isNew = !this.#uses.clusters.has(name)
      if (this.#clusters.publish(cluster, now) || isNew) clustersPublished.push(name)
      yield
    }
    const routes = this.#changeRoutes(compiled, rollback, now)
    this.#resources.rotateLogs(uses, rollback)
    for (const listener of update) {
      const before = states.get(listener.name)
      if (!before) continue
      const { coreName: name } = before
      rollback.step(
        () => this.#core.updateListener({ ...listener, name }),
        () => this.#core.updateListener({ ...before.listener, name }),
      )
    }
    const names = this.#clusterNames
    rollback.step(
      () => this.#clusters.publishDirectory(compiled.clusters.map(({ name }) => name)),
      () => this.#clusters.publishDirectory(names),
    )
    return { clustersPublished, ...routes }
  }

  #setRuntime(layers: LoadedConfiguration['runtimeLayers']): void {
    this.#runtime.setLayers(layers)
    this.#core.publishRuntime(this.#runtime.values())
  }

  #changeRoutes(
    compiled: CompiledConfiguration,
    rollback: Rollback,
    now: number,
  ): Pick<Changed, 'routes' | 'routesPublished'> {
    const routes = new Map<string, RouteTableState>()
    const routesPublished: string[] = []
    for (const { key, slot, table } of compiled.routeTables) {
      const before = this.#routes.get(key)
      if (before && isDeepStrictEqual(before.table, table)) {
        routes.set(key, before)
        continue
      }
      if (before) {
        rollback.step(
          () => this.#core.publishRoutes(slot, table),
          () => this.#core.publishRoutes(slot, before.table),
        )
      }
      routes.set(key, { key, table, updatedAt: now })
      routesPublished.push(key)
    }
    return { routes, routesPublished }
  }

  /** The core has taken everything: what is left cannot fail. */
  #conclude(
    { loaded, keys, compiled, uses, keep, update, before: states }: Plan,
    bound: ReadonlyMap<string, ListenerState>,
    rebound: ReadonlyMap<string, readonly string[]>,
    { clustersPublished, routes, routesPublished }: Changed,
    now: number,
  ): Changes {
    const next = new Map<string, ListenerState>()
    for (const { name } of keep) {
      const state = this.#listeners.get(name)
      if (state) next.set(name, state)
    }
    for (const listener of update) {
      const state = states.get(listener.name)
      if (!state) continue
      const { name } = listener
      const addresses = rebound.get(state.coreName) ?? state.addresses
      next.set(name, { ...state, name, listener, addresses, updatedAt: now })
    }
    for (const [name, state] of bound) next.set(name, state)
    this.#allOf([...rebound.keys()].map((coreName) => () => this.#core.useSockets(coreName)))
    const before = this.#listeners
    const changed = [...update.map(({ name }) => name), ...bound.keys()]
    const changes: Changes = {
      listenersAdded: changed.filter((name) => !before.has(name)),
      listenersModified: changed.filter((name) => before.has(name)),
      listenersRemoved: [...before.keys()].filter((name) => !next.has(name)),
      clustersPublished,
      clustersRemoved: [...this.#uses.clusters].filter((name) => !uses.clusters.has(name)),
      routesPublished,
    }
    this.counters.added += changes.listenersAdded.length
    this.counters.modified += changes.listenersModified.length
    this.counters.removed += changes.listenersRemoved.length
    const usesBefore = this.#uses
    this.#listeners = next
    this.#routes = routes
    this.#uses = uses
    this.#compiled = compiled
    this.#inForce = { loaded, keys }
    this.#clusterNames = new Set(compiled.clusters.map(({ name }) => name))
    const kept = new Set([...next.values()].map(({ coreName }) => coreName))
    const gone = [...before.values()].filter(({ coreName }) => !kept.has(coreName))
    // Each on its own: one that the core does not know keeps nothing else from going.
    this.#allOf(gone.map((state) => () => this.#retire(state)))
    this.#linger(usesBefore, uses)
    return changes
  }

  #allOf(steps: Iterable<() => void>): void {
    allOf(steps, this.#failed)
  }

  #retire({ coreName }: ListenerState): void {
    this.#lingering.schedule(`listener ${coreName}`, () => this.#coreNames.delete(coreName))
    const spreadMs = idleSpreadMs(this.#drainTimeMs)
    this.#core.removeListener(coreName, spreadMs, this.#drainTimeMs)
  }

  #linger(before: Uses, uses: Uses): void {
    const resources = this.#resources
    this.#lingerSet('cluster', before.clusters, uses.clusters, (name) =>
      resources.giveBackCluster(name),
    )
    this.#lingerSet('routes', before.routes, uses.routes, (key) => resources.giveBackRoutes(key))
    this.#lingerSet('log', before.logs, uses.logs, (target) => resources.giveBackLog(target))
  }

  #lingerSet<K>(kind: string, before: Set<K>, now: Set<K>, giveBack: (name: K) => void): void {
    // A log may be the file descriptor 1, or a file that is called so.
    const keyOf = (name: K): string => `${kind} ${typeof name} ${name}`
    for (const name of now) this.#lingering.keep(keyOf(name))
    for (const name of before) {
      if (!now.has(name)) this.#lingering.schedule(keyOf(name), () => giveBack(name))
    }
  }
}

/**
 * Over how long connections that stay idle are closed when something drains: so that not all
 * clients come back at once, and most learn from a response. The rest of the time is for requests.
 */
export function idleSpreadMs(drainTimeMs: number): number {
  return Math.min(drainTimeMs, Math.max(kLeastSpreadMs, Math.min(drainTimeMs / 10, kMostSpreadMs)))
}
