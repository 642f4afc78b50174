/** One cluster of a running proxy, as a program sees it. */

import type { NativeHostStats } from '../native/index.ts'
import type { Endpoint, EndpointsChange } from './endpoints.ts'

/** An endpoint in force, and what it has done so far. */
export type EndpointState = NativeHostStats

export interface ProxyCluster {
  readonly name: string
  /** Those in force, with their counters. */
  readonly endpoints: readonly EndpointState[]
  /**
   * Replaces the cluster's endpoints, and nothing else; an endpoint that stays keeps its pooled
   * connections and counters. Resolves when every worker uses them. They stay in force until an
   * `apply` whose configuration has other endpoints for this cluster than the configuration before
   * it, or no such cluster.
   */
  setEndpoints(endpoints: readonly Endpoint[]): Promise<void>
  /**
   * As {@link setEndpoints}, saying only what is different: the others stay as they are. What it
   * costs goes by the number of endpoints in `change`.
   */
  updateEndpoints(change: EndpointsChange): Promise<void>
}
