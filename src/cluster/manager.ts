// The cluster manager: it alone gives clusters their slots and publishes their snapshots. Workers
// see each cluster whole, perhaps a moment old; a cluster whose content did not change is not
// published again, so that its pools, counters and connections never notice a reload.

import { isDeepStrictEqual } from 'node:util'
import {
  type ClusterDefinition,
  type EndpointsDefinition,
  type HostDefinition,
  readAssignments,
} from '../config/index.ts'
import type { Logger } from '../log.ts'
import type { NativeCore, NativeHealth, NativeHostStats, SlotId } from '../native/index.ts'
import { ManagedCluster } from './cluster.ts'
import type { ClusterRunCore } from './cluster_home.ts'
import { AggregateDiscovery } from './discovery/aggregate.ts'
import { AssignmentFiles } from './discovery/assignment_files.ts'
import { DnsDiscovery } from './discovery/dns.ts'
import { DnsCaches } from './discovery/dns_cache.ts'
import { DnsClient } from './discovery/dns_client.ts'
import { EdsDiscovery } from './discovery/eds.ts'
import { ForwardProxyDiscovery } from './discovery/forward_proxy.ts'
import { OriginalDstDiscovery } from './discovery/original_dst.ts'
import type { DiscoverySource, OnDemandSink, OnDemandSource } from './discovery/source.ts'
import { EventLogs } from './event_logs.ts'
import { StallMonitor } from './health/stalls.ts'
import type { MergeCounters } from './merge.ts'
import type { OutlierDecisions } from './outlier/decisions.ts'
import { mustBeUsable } from './publisher.ts'

/** The part of the core that clusters need. */
export type ClusterCore = ClusterRunCore &
  Pick<
    NativeCore,
    | 'allocateSlot'
    | 'releaseSlot'
    | 'withdrawCluster'
    | 'publishDirectory'
    | 'takeOutlierEvents'
    | 'takeWantedHosts'
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
  /** Counts what was published under this name, from 1. */
  readonly version: number
  /** ms since 1970 of the latest of it. */
  readonly updatedAt: number
  /** Where it has outlier detection. */
  readonly rates?: OutlierDecisions['clusterRates']
}

/** A host's health changed for workers. */
export interface HealthChange {
  readonly cluster: string
  readonly address: string
  readonly health: NativeHealth
  readonly was: NativeHealth
}

/** A cluster that is not ready yet, and what it waits for, for people. */
export interface AwaitedCluster {
  readonly cluster: string
  readonly awaits: readonly string[]
}

export interface ClusterManagerOptions {
  readonly log?: Pick<Logger, 'warn'>
  /** A runtime key; undefined: it is not set. */
  readonly runtime?: (key: string) => unknown
  readonly onHealth?: (change: HealthChange) => void
}

export class ClusterManager {
  readonly #core: ClusterCore
  readonly #options: ClusterManagerOptions
  readonly #slots = new Map<string, SlotId>()
  readonly #clusters = new Map<string, ManagedCluster>()
  readonly #bySlot = new Map<SlotId, ManagedCluster>()
  readonly #watchers = new Map<string, Set<() => void>>()
  readonly #stalls = new StallMonitor()
  readonly #files = new AssignmentFiles(readAssignments)
  readonly dnsCaches: DnsCaches = new DnsCaches()
  readonly eventLogs: EventLogs
  #directory: readonly string[] = []
  readonly counters: ClusterCounters = { added: 0, modified: 0, removed: 0 }
  readonly merges: MergeCounters = {
    updated: 0,
    updatedViaMerge: 0,
    mergeCancelled: 0,
    outOfMergeWindow: 0,
  }

  constructor(core: ClusterCore, options: ClusterManagerOptions = {}) {
    this.#core = core
    this.#options = options
    this.eventLogs = new EventLogs(options.log)
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
   * Puts `cluster` in force if it is new or differs from the one of its name; says whether it did.
   * One that is new is checked first, as by {@link check}.
   *
   * Endpoints that {@link changeEndpoints} gave, and what discovery found, stay until a
   * configuration has others than the one that was in force then.
   */
  publish(cluster: ClusterDefinition, now: number = Date.now()): boolean {
    const { name } = cluster
    const known = this.#clusters.get(name)
    if (known) {
      const changed = known.update(cluster, now)
      if (changed) this.counters.modified++
      return changed
    }
    this.check(cluster)
    const slot = this.slot(name)
    const managed = new ManagedCluster(slot, cluster, {
      core: this.#core,
      stalls: this.#stalls,
      eventLogs: this.eventLogs,
      merges: this.merges,
      source: (definition, sink, before) => this.#source(definition, sink, before),
      enabled: (key) => isEnabled(this.#options.runtime?.(key)),
      changed: (changed) => this.#tellWatchers(changed),
      refused: (refused, error) =>
        this.#options.log?.warn({ cluster: refused, error: messageOf(error) }, 'hosts refused'),
      health: (change) => this.#options.onHealth?.(change),
    })
    this.#clusters.set(name, managed)
    this.#bySlot.set(slot, managed)
    this.counters.added++
    managed.start(now)
    return true
  }

  /** Throws for the first host of its own list that workers could not be told of. */
  check({ name, hosts }: ClusterDefinition): void {
    try {
      mustBeUsable(this.#core, hosts)
    } catch (error) {
      throw new Error(`cluster ${name}: ${messageOf(error)}`)
    }
  }

  #source(
    cluster: ClusterDefinition,
    sink: OnDemandSink,
    before: DiscoverySource | undefined,
  ): DiscoverySource | OnDemandSource | undefined {
    const { discovery, localities } = cluster
    switch (discovery?.kind) {
      case undefined:
        return undefined
      case 'dns': {
        const same = before instanceof DnsDiscovery ? before : undefined
        const client = new DnsClient(discovery.resolver, { before: same?.client })
        return new DnsDiscovery({ definition: discovery, localities, client }, sink, same)
      }
      case 'eds': {
        const rejected = (path: string, error: unknown): void => {
          const fields = { cluster: cluster.name, path, error: messageOf(error) }
          this.#options.log?.warn(fields, 'update rejected')
        }
        return new EdsDiscovery(
          discovery,
          { files: this.#files, log: { rejected } },
          sink,
          before instanceof EdsDiscovery ? before : undefined,
        )
      }
      case 'original-dst':
        return new OriginalDstDiscovery(discovery, sink)
      case 'forward-proxy':
        return new ForwardProxyDiscovery(discovery, this.dnsCaches, sink)
      case 'aggregate':
        return new AggregateDiscovery(
          discovery,
          {
            endpoints: (name): EndpointsDefinition | undefined =>
              this.#clusters.get(name)?.judgedEndpoints(),
            watch: (name, changed) => this.#watch(name, changed),
          },
          sink,
        )
    }
  }

  #watch(name: string, changed: () => void): () => void {
    const watchers = this.#watchers.get(name) ?? new Set()
    this.#watchers.set(name, watchers.add(changed))
    return () => {
      watchers.delete(changed)
      if (watchers.size === 0) this.#watchers.delete(name)
    }
  }

  #tellWatchers(name: string): void {
    for (const changed of [...(this.#watchers.get(name) ?? [])]) changed()
  }

  /** Discovery of these clusters was tried, and the hosts that it found were checked. */
  async ready(names: Iterable<string>): Promise<void> {
    await Promise.all(Array.from(names, (name) => this.#clusters.get(name)?.ready))
  }

  /** Those of these clusters that are not {@link ready}, and what each waits for. */
  awaited(names: Iterable<string>): readonly AwaitedCluster[] {
    return Array.from(names).flatMap((cluster) => {
      const awaits = this.#clusters.get(cluster)?.awaits() ?? []
      return awaits.length > 0 ? [{ cluster, awaits }] : []
    })
  }

  /**
   * Changes endpoints of a published cluster at once, whatever its discovery says; those that stay
   * keep their connections and counters.
   */
  changeEndpoints(
    name: string,
    set: readonly HostDefinition[],
    remove: readonly HostDefinition[],
  ): void {
    this.#clusters.get(name)?.changeEndpoints(set, remove)
  }

  /** What makes a cluster as it is now again, after others were published under its name. */
  remember(name: string): () => void {
    return this.#clusters.get(name)?.remember() ?? (() => {})
  }

  /** Hosts of a published cluster as discovery, or a program, says that they are now. */
  endpoints(name: string): readonly HostDefinition[] {
    return this.#clusters.get(name)?.hostDefinitions() ?? []
  }

  /**
   * Says which clusters the configuration has, and so which ones requests may name by themselves
   * (`cluster_header`); others keep their slot until {@link withdraw}, for requests that were
   * routed before.
   */
  publishDirectory(names: Iterable<string>): void {
    const known = new Set(names)
    const directory = [...known].sort()
    if (!isDeepStrictEqual(directory, this.#directory)) {
      this.#core.publishDirectory(directory.flatMap((name) => [name, this.slot(name)]))
      this.#directory = directory
    }
    for (const [name, cluster] of this.#clusters) {
      if (!known.has(name)) cluster.retire()
    }
  }

  /** Takes the cluster away: requests that still name it are answered as for an unknown cluster. */
  withdraw(name: string): void {
    const slot = this.#slots.get(name)
    if (slot === undefined) return
    const cluster = this.#clusters.get(name)
    this.#slots.delete(name)
    if (cluster) {
      this.#clusters.delete(name)
      this.#bySlot.delete(slot)
      cluster.stop()
      this.#core.withdrawCluster(slot)
      this.counters.removed++
      this.#tellWatchers(name)
    }
    this.#core.releaseSlot(slot)
  }

  /** Workers found out something about hosts; to be called when the core says so. */
  takeOutlierEvents(): void {
    for (const event of this.#core.takeOutlierEvents()) {
      this.#bySlot.get(event.slot)?.onOutlierEvent(event)
    }
  }

  /** Requests name hosts that clusters do not have; to be called when the core says so. */
  takeWantedHosts(): void {
    const wanted = new Map<SlotId, Set<string>>()
    for (const { slot, key } of this.#core.takeWantedHosts()) {
      const keys = wanted.get(slot) ?? new Set()
      wanted.set(slot, keys.add(key))
    }
    // Of a cluster that is gone, workers know that by themselves.
    for (const [slot, keys] of wanted) this.#bySlot.get(slot)?.want([...keys])
  }

  /** Ends discovery and checks; nothing is published any more. */
  async close(): Promise<void> {
    for (const cluster of this.#clusters.values()) cluster.stop()
    await this.eventLogs.close()
  }

  get(name: string): ClusterState | undefined {
    const cluster = this.#clusters.get(name)
    return cluster && stateOf(cluster)
  }

  /** Whether the name has a slot, published or not. */
  has(name: string): boolean {
    return this.#slots.has(name)
  }

  /** What is published, in order of name. */
  list(): readonly ClusterState[] {
    return this.managed().map(stateOf)
  }

  /** As {@link list}, with all that is known of each. */
  managed(): readonly ManagedCluster[] {
    return [...this.#clusters.values()].sort((a, b) =>
      a.definition.name < b.definition.name ? -1 : 1,
    )
  }

  hosts(name: string): readonly NativeHostStats[] {
    return this.#clusters.get(name)?.hostStats() ?? []
  }

  /** What is known of a host beside its numbers; undefined: there is no such host now. */
  host(name: string, id: number): HostView | undefined {
    return this.#clusters.get(name)?.view(id)
  }
}

export type HostView = NonNullable<ReturnType<ManagedCluster['view']>>

function stateOf({ slot, definition, version, updatedAt, outlier }: ManagedCluster): ClusterState {
  const rates = outlier && { rates: outlier.clusterRates }
  return { name: definition.name, slot, cluster: definition, version, updatedAt, ...rates }
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

function isEnabled(value: unknown): boolean {
  if (typeof value === 'number') return Math.random() * 100 < value
  return value !== false
}
