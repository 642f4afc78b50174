// The seam between the cluster manager and the ways in which hosts are found.

import type { EndpointsDefinition, HostDefinition } from '../../config/index.ts'
import type { NativeHostRefusal } from '../../native/index.ts'

/** What the manager takes from a source; all of it on the main thread. */
export interface DiscoverySink {
  /**
   * All hosts that there are now. A source says so when something changed. `anew`: by another
   * definition than what was there before, of which nothing stays for passing its checks.
   */
  report(endpoints: EndpointsDefinition, anew?: boolean): void
  /** Hosts that are there now, which a source before this one may have found. */
  hosts(): readonly HostDefinition[]
  /** Throws for the first of the hosts that workers cannot be told of. */
  mustBeUsable(hosts: readonly HostDefinition[]): void
  /** The first attempt is over, whatever came of it. */
  ready(): void
  readonly counters: DiscoveryCounters
}

export interface DiscoveryCounters {
  attempt: number
  success: number
  failure: number
  empty: number
  /** The answer was the one before. */
  noRebuild: number
  rejected: number
  /** Assignments that say how long they are good, and those that were not followed in time. */
  timeoutReceived: number
  stale: number
}

export interface DiscoverySource {
  start(): void
  stop(): void
  /** Before it is ready: what it waits for, for people. */
  awaits?(): readonly string[]
}

/** What a source takes and gives that adds hosts as requests name them. */
export interface OnDemandSink extends DiscoverySink {
  /** These come, or are as they say from now on; those go. */
  change(set: readonly HostDefinition[], remove: readonly HostDefinition[]): void
  /** Requests that wait for these are answered. */
  refuse(keys: readonly string[], why: NativeHostRefusal): void
  /** Hosts that requests went to since the last call; `orConnected`: or have connections to. */
  takeUsed(orConnected: boolean): readonly HostDefinition[]
  /** Requests that wait for a host, and how many were not let to. */
  waiting(): { readonly now: number; readonly overflows: number }
}

export interface OnDemandSource extends DiscoverySource {
  /** Requests name these keys, and the cluster has no such hosts. */
  want(keys: readonly string[]): void
}
