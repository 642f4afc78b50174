/** Clusters and their hosts. */

import type { NativeLb } from './balancing.ts'
import type { NativeAddress, SlotId } from './values.ts'

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

export type NativeHealth = 'healthy' | 'degraded' | 'unhealthy'

/** In the order of Envoy's `HealthStatus`. */
export const hostStatuses = [
  'unknown',
  'healthy',
  'unhealthy',
  'draining',
  'timeout',
  'degraded',
] as const

/** Finer than {@link NativeHealth}, for requests that ask for a host. */
export type NativeHostStatus = (typeof hostStatuses)[number]

export interface NativeHost {
  /**
   * Given by the cluster manager, unique in its cluster for the life of the process. Same id, same
   * host: counters and pooled connections live on, as long as addresses and hostname stay.
   */
  readonly id: number
  readonly address: NativeAddress
  /** Others of the same host, tried after the first. */
  readonly additionalAddresses?: readonly NativeAddress[]
  /** For `auto` host rewriting; empty: none. */
  readonly hostname: string
  /** 0: gets nothing. */
  readonly weight: number
  /** 0 first, at most 128. */
  readonly priority: number
  /** Index into the cluster's localities. */
  readonly locality: number
  readonly health: NativeHealth
  /** Absent: `unknown`, `degraded` or `unhealthy`, as `health` says. */
  readonly status?: NativeHostStatus
  /** Left out of counting for panic and spill-over. */
  readonly excluded?: boolean
  readonly canary?: boolean
  /**
   * `envoy.lb`, flat: [key, value, …]. A value is the JSON text of Envoy's; a key with several
   * values is there several times.
   */
  readonly metadata?: readonly string[]
}

/** A change of some hosts; `remove` (ids) comes first. A host that is known is replaced. */
export interface NativeHostDelta {
  readonly set: readonly NativeHost[]
  readonly remove: readonly number[]
}

/**
 * Which cluster is that of the proxies themselves, for zone-aware routing, and where this one of
 * them is, for that and for statistics.
 */
export interface NativeLocalCluster {
  /** 0: there is none. */
  readonly slot: SlotId
  /** Absent: not known. Its weight and priority say nothing. */
  readonly node?: NativeLocality
}

export interface NativeLocality {
  readonly region: string
  readonly zone: string
  readonly subZone: string
  /** Of all its hosts together, for locality-weighted balancing. */
  readonly weight: number
  readonly priority: number
}

/** For setsockopt(2): numbers of the system that the proxy runs on. */
export interface NativeSocketOption {
  readonly level: number
  readonly name: number
  readonly value: Uint8Array
}

/** How connections to hosts are made, and which are made ahead of requests. */
export interface NativeConnect {
  /** Local addresses, at most one of each family; absent: the system's choice. */
  readonly bind?: readonly NativeAddress[]
  readonly freebind?: boolean
  readonly socketOptions?: readonly NativeSocketOption[]
  readonly proxyProtocol?: 'v1' | 'v2'
  /** Of a host with several addresses: what is tried first; absent: the first address' family. */
  readonly firstFamily?: 'v4' | 'v6'
  /** How many addresses of it are tried before one of the other family; absent: 1. */
  readonly firstFamilyCount?: number
  /** Connections for each one that requests need, 1 to 3; absent: 1. */
  readonly perUpstreamPreconnect?: number
  readonly predictivePreconnect?: number
  readonly poolPerDownstream?: boolean
  /** Also of TCP proxies, which nothing else ends. */
  readonly closeOnHealthFailure?: boolean
}

/**
 * How many failures in a row make an event of {@link NativeCore.takeOutlierEvents}; 0: none do.
 * Rows are of all workers together, and begin anew after their event.
 */
export interface NativeOutlier {
  readonly consecutive5xx: number
  readonly consecutiveGatewayFailure: number
  /** Counted only when errors are split. */
  readonly consecutiveLocalOriginFailure: number
  readonly splitExternalLocalOriginErrors: boolean
}

export interface NativeOutlierEvent {
  readonly slot: SlotId
  /** {@link NativeHost.id}; the host may be gone by now. */
  readonly host: number
  /** `immediate-fail`: a response carried x-envoy-immediate-health-check-fail. */
  readonly kind:
    | 'consecutive-5xx'
    | 'consecutive-gateway-failure'
    | 'consecutive-local-origin-failure'
    | 'immediate-fail'
}

/** What was counted of one host in a window of time. */
export interface NativeOutlierCount {
  readonly host: number
  /** Responses; unless errors are split, also connections that failed or timed out. */
  readonly total: number
  /** Those without a 5xx status. */
  readonly success: number
  /** Connections, when errors are split; else 0. */
  readonly localTotal: number
  readonly localSuccess: number
}

/** Of a cluster whose hosts are added as requests name them, instead of chosen by a balancer. */
export interface NativeOnDemand {
  /**
   * Which host a request means: the one that its client's connection was meant for, or the one that
   * its authority names. Keys are `ip:port` of hosts without a hostname, and else the hostname.
   */
  readonly kind: 'original-dst' | 'forward-proxy'
  /** How long a request waits for its host to be added. */
  readonly wait: number
  /** Requests and connections of all workers that may wait. */
  readonly maxWaiting: number
  /** `original-dst`: a request header that names the destination instead, lower case. */
  readonly header?: string
  /** `original-dst`: a port instead of the destination's own. */
  readonly port?: number
}

/** A host that requests name and that the cluster does not have. */
export interface NativeWantedHost {
  readonly slot: SlotId
  readonly key: string
}

/** Why a host will not be added: its name has no address, or there are as many as there may be. */
export type NativeHostRefusal = 'unresolved' | 'full'

export interface NativeCluster {
  readonly name: string
  /** `alt_stat_name`, or the name. */
  readonly statName: string
  readonly hosts: readonly NativeHost[]
  readonly localities: readonly NativeLocality[]
  readonly lb: NativeLb
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
  readonly connect?: NativeConnect
  /** Absent: outcomes are not counted. */
  readonly outlier?: NativeOutlier
  /** Whether x-envoy-immediate-health-check-fail of responses makes an event; absent: no. */
  readonly reportImmediateFail?: boolean
  /** Absent: the balancer chooses. */
  readonly onDemand?: NativeOnDemand
}

export interface NativeHostStats {
  readonly id: number
  readonly address: string
  readonly hostname: string
  readonly weight: number
  readonly health: NativeHealth
  readonly priority: number
  readonly locality: number
  readonly canary: boolean
  readonly cxActive: number
  readonly cxTotal: number
  readonly cxConnectFail: number
  readonly rqActive: number
  readonly rqTotal: number
  readonly rqSuccess: number
  readonly rqError: number
  readonly rqTimeout: number
}
