// The seam between the cluster manager and the ways in which hosts are found.

import type { EndpointsDefinition } from '../../config/index.ts'

/** What the manager takes from a source; all of it on the main thread. */
export interface DiscoverySink {
  /** All hosts that there are now. A source says so when something changed. */
  report(endpoints: EndpointsDefinition): void
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
}
