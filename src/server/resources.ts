// Gives compiled configurations their slots, log files and flags, and remembers what each compile
// asked for, so that what a refused or an older configuration had is given back.

import type { ClusterManager } from '../cluster/manager.ts'
import type { CompileResolver } from '../config/index.ts'
import type { FilterId, NativeCore, NativeRotation, RuntimeIndex, SlotId } from '../native/index.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { LogFiles, LogTarget } from './log_files.ts'
import type { Rollback } from './rollback.ts'

/** The names that one configuration uses. */
export interface Uses {
  readonly clusters: Set<string>
  readonly routes: Set<string>
  readonly logs: Set<LogTarget>
  readonly rotations: Map<LogTarget, NativeRotation | undefined>
  /** Gives back, one by one, what did not exist before this configuration asked for it. */
  readonly undo: (() => void)[]
}

export const noUses = (): Uses => ({
  clusters: new Set(),
  routes: new Set(),
  logs: new Set(),
  rotations: new Map(),
  undo: [],
})

export class Resources {
  readonly #core: Pick<NativeCore, 'allocateSlot' | 'releaseSlot'>
  readonly #clusters: ClusterManager
  readonly #logs: LogFiles
  readonly #runtime: Runtime
  readonly #routeSlots = new Map<string, SlotId>()
  /** Kept for the life of the process, as the indexes of runtime keys are. */
  readonly #filters = new Map<string, FilterId>()

  constructor(
    core: Pick<NativeCore, 'allocateSlot' | 'releaseSlot'>,
    clusters: ClusterManager,
    logs: LogFiles,
    runtime: Runtime,
  ) {
    this.#core = core
    this.#clusters = clusters
    this.#logs = logs
    this.#runtime = runtime
  }

  /** A resolver that writes down in `uses` what it is asked for. */
  resolver(uses: Uses): CompileResolver {
    return {
      cluster: (name): SlotId => {
        uses.clusters.add(name)
        if (!this.#clusters.has(name)) uses.undo.push(() => this.giveBackCluster(name))
        return this.#clusters.slot(name)
      },
      routes: (key): SlotId => {
        uses.routes.add(key)
        if (!this.#routeSlots.has(key)) uses.undo.push(() => this.giveBackRoutes(key))
        return this.#routeSlot(key)
      },
      log: (target, rotation): number => {
        uses.logs.add(target)
        uses.rotations.set(target, rotation)
        if (!this.#logs.has(target)) uses.undo.push(() => this.giveBackLog(target))
        return this.#logs.id(target, rotation)
      },
      runtime: (key): RuntimeIndex => this.#runtime.index(key),
      filter: (name): FilterId => this.#filter(name),
    }
  }

  #routeSlot(key: string): SlotId {
    let slot = this.#routeSlots.get(key)
    if (slot === undefined) {
      slot = this.#core.allocateSlot(`routes ${key}`)
      this.#routeSlots.set(key, slot)
    }
    return slot
  }

  #filter(name: string): FilterId {
    let id = this.#filters.get(name)
    if (id === undefined) {
      id = this.#filters.size
      this.#filters.set(name, id)
    }
    return id
  }

  giveBackRoutes(key: string): void {
    const slot = this.#routeSlots.get(key)
    if (slot === undefined) return
    this.#routeSlots.delete(key)
    this.#core.releaseSlot(slot)
  }

  giveBackCluster(name: string): void {
    this.#clusters.withdraw(name)
  }

  /** What was open already is rotated as the configuration says that these uses are of. */
  rotateLogs(uses: Uses, rollback: Rollback): void {
    for (const [target, rotation] of uses.rotations) {
      const before = this.#logs.rotationOf(target)
      rollback.step(
        () => this.#logs.rotate(target, rotation),
        () => this.#logs.rotate(target, before),
      )
    }
  }

  giveBackLog(target: LogTarget): void {
    this.#logs.close(target)
  }
}
