// What a cluster has from the manager.

import type { ClusterDefinition } from '../config/index.ts'
import type { NativeCore, NativeHealth } from '../native/index.ts'
import type { DiscoverySource, OnDemandSink, OnDemandSource } from './discovery/source.ts'
import type { EventLogs } from './event_logs.ts'
import type { StallMonitor } from './health/stalls.ts'
import type { MergeCounters } from './merge.ts'

/** The part of the core that one cluster needs. */
export type ClusterRunCore = Pick<
  NativeCore,
  | 'publishCluster'
  | 'updateHosts'
  | 'addressProblem'
  | 'reweigh'
  | 'clusterHosts'
  | 'outlierWindow'
  | 'resetOutliers'
  | 'refuseHosts'
  | 'takeUsedHosts'
  | 'waiting'
>

export interface ClusterHome {
  readonly core: ClusterRunCore
  readonly stalls: StallMonitor
  readonly eventLogs: EventLogs
  readonly merges: MergeCounters
  /**
   * Makes the source that a definition asks for; undefined: it asks for none. `before`: the one
   * whose place it takes, for what it was answered.
   */
  source(
    cluster: ClusterDefinition,
    sink: OnDemandSink,
    before: DiscoverySource | undefined,
  ): DiscoverySource | OnDemandSource | undefined
  /** Whether a feature that is on by default was not turned off. */
  enabled(key: string): boolean
  /** Workers could not be told of a host, or of hosts. */
  refused(name: string, error: unknown): void
  /** After every change of hosts or of their health. */
  changed(name: string): void
  /** What workers are told of a host's health is something else now. */
  health(change: {
    readonly cluster: string
    readonly address: string
    readonly health: NativeHealth
    readonly was: NativeHealth
  }): void
}
