/** Clusters and their hosts. */

import type { NativeAddress } from './values.ts'

export interface NativeBreaker {
  readonly maxConnections: number
  readonly maxPendingRequests: number
  readonly maxRequests: number
  readonly maxRetries: number
  /** Absent: unlimited. */
  readonly maxConnectionPools?: number
  /** Of all workers to one host; absent: unlimited. */
  readonly maxConnectionsPerHost?: number
  /** Instead of `maxRetries`: a part of active and pending requests, in percent. */
  readonly retryBudget?: { readonly percent: number; readonly minConcurrency: number }
  /** Whether gauges tell what is left of each limit. */
  readonly trackRemaining: boolean
}

export interface NativeHost {
  readonly address: NativeAddress
  /** For `auto` host rewriting; empty: none. */
  readonly hostname: string
  readonly weight: number
  readonly healthy: boolean
}

export interface NativeCluster {
  readonly name: string
  /** `alt_stat_name`, or the name. */
  readonly statName: string
  readonly hosts: readonly NativeHost[]
  readonly connectTimeout: number
  /** Of an idle pooled connection; 0: none. */
  readonly idleTimeout: number
  readonly maxConnectionDuration: number
  readonly maxRequestsPerConnection: number
  readonly bufferLimit: number
  readonly maxResponseHeaderBytes: number
  readonly maxResponseHeaders: number
  readonly enableTrailers: boolean
  readonly breakers: { readonly default: NativeBreaker; readonly high: NativeBreaker }
  /** Seconds; absent: off. */
  readonly keepalive?: { readonly idle: number; readonly interval: number; readonly probes: number }
  readonly bind?: NativeAddress
}

export interface NativeHostStats {
  readonly address: string
  readonly hostname: string
  readonly weight: number
  readonly healthy: boolean
  readonly cxActive: number
  readonly cxTotal: number
  readonly cxConnectFail: number
  readonly rqActive: number
  readonly rqTotal: number
  readonly rqSuccess: number
  readonly rqError: number
  readonly rqTimeout: number
}
