// The cluster manager: it alone gives clusters their slots and publishes their snapshots. Workers
// see each cluster whole, perhaps a moment old; a cluster whose content did not change is not
// published again, so that its pools, counters and connections never notice a reload.

import { isDeepStrictEqual } from 'node:util'
import type { ClusterDefinition, HostDefinition } from '../config/index.ts'
import type { NativeCore, NativeHostStats, SlotId } from '../native/index.ts'
import { HostIds } from './host_ids.ts'

/** The part of the core that clusters need. */
export type ClusterCore = Pick<
  NativeCore,
  | 'allocateSlot'
  | 'releaseSlot'
  | 'publishCluster'
  | 'withdrawCluster'
  | 'publishDirectory'
  | 'clusterHosts'
>

export interface ClusterCounters {
  added: number
  modified: number
  removed: number
}

/** One cluster that workers can see. */
export interface ClusterState {
  readonly name: string
  readonly slot: SlotId
  readonly cluster: ClusterDefinition
  /** Counts the snapshots published under this name, from 1. */
  readonly version: number
  /** ms since 1970 of the latest of them. */
  readonly updatedAt: number
}

export class ClusterManager {
  readonly #core: ClusterCore
  readonly #slots = new Map<string, SlotId>()
  readonly #states = new Map<string, ClusterState>()
  readonly #ids = new Map<string, HostIds>()
  /** Endpoints that a program set, and those of the configuration that they stand in for. */
  readonly #set = new Map<
    string,
    { readonly hosts: readonly HostDefinition[]; readonly configured: readonly HostDefinition[] }
  >()
  #directory: readonly string[] = []
  readonly counters: ClusterCounters = { added: 0, modified: 0, removed: 0 }

  constructor(core: ClusterCore) {
    this.#core = core
  }

  /**
   * The slot of a name, allocated when the name was never heard of; the cluster itself may come
   * later.
   */
  slot(name: string): SlotId {
    let slot = this.#slots.get(name)
    if (slot === undefined) {
      slot = this.#core.allocateSlot(`cluster ${name}`)
      this.#slots.set(name, slot)
    }
    return slot
  }

  /**
   * Publishes `cluster` if it is new or differs from what is published; says whether it did.
   * Endpoints that {@link setEndpoints} gave stay, until a configuration names others than the one
   * that was in force then.
   */
  publish(cluster: ClusterDefinition, now: number = Date.now()): boolean {
    const set = this.#set.get(cluster.name)
    if (set && isDeepStrictEqual(set.configured, cluster.hosts)) {
      return this.#publish({ ...cluster, hosts: set.hosts }, now)
    }
    this.#set.delete(cluster.name)
    return this.#publish(cluster, now)
  }

  /**
   * Replaces the endpoints of a published cluster; those that stay keep their connections and
   * counters. Says what they were before; undefined: no such cluster.
   */
  setEndpoints(
    name: string,
    hosts: readonly HostDefinition[],
    now: number = Date.now(),
  ): readonly HostDefinition[] | undefined {
    const cluster = this.#states.get(name)?.cluster
    if (!cluster) return undefined
    const configured = this.#set.get(name)?.configured ?? cluster.hosts
    this.#set.set(name, { hosts, configured })
    this.#publish({ ...cluster, hosts }, now)
    return cluster.hosts
  }

  #publish(cluster: ClusterDefinition, now: number): boolean {
    const { name } = cluster
    const before = this.#states.get(name)
    if (before && isDeepStrictEqual(before.cluster, cluster)) return false
    const slot = this.slot(name)
    const ids = this.#ids.get(name) ?? new HostIds()
    this.#ids.set(name, ids)
    this.#core.publishCluster(slot, { ...cluster, hosts: ids.assign(cluster.hosts) })
    const version = (before?.version ?? 0) + 1
    this.#states.set(name, { name, slot, cluster, version, updatedAt: now })
    if (before) this.counters.modified++
    else this.counters.added++
    return true
  }

  /**
   * Says which clusters the configuration has, and so which ones requests may name by themselves
   * (`cluster_header`); others keep their slot until {@link withdraw}, for requests that were
   * routed before.
   */
  publishDirectory(names: Iterable<string>): void {
    const directory = [...new Set(names)].sort()
    for (const name of this.#set.keys()) if (!directory.includes(name)) this.#set.delete(name)
    if (isDeepStrictEqual(directory, this.#directory)) return
    this.#directory = directory
    this.#core.publishDirectory(directory.flatMap((name) => [name, this.slot(name)]))
  }

  /** Takes the cluster away: requests that still name it are answered as for an unknown cluster. */
  withdraw(name: string): void {
    const slot = this.#slots.get(name)
    if (slot === undefined) return
    this.#set.delete(name)
    if (this.#states.delete(name)) {
      this.#core.withdrawCluster(slot)
      this.counters.removed++
    }
    this.#slots.delete(name)
    this.#ids.delete(name)
    this.#core.releaseSlot(slot)
  }

  get(name: string): ClusterState | undefined {
    return this.#states.get(name)
  }

  /** Whether the name has a slot, published or not. */
  has(name: string): boolean {
    return this.#slots.has(name)
  }

  /** What is published, in order of name. */
  list(): readonly ClusterState[] {
    return [...this.#states.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  hosts(name: string): readonly NativeHostStats[] {
    const state = this.#states.get(name)
    return state ? this.#core.clusterHosts(state.slot) : []
  }
}
