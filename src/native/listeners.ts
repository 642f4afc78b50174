/** Listeners, their filter chains and the network filters in them. */

import type { NativeHttpFilter } from './filters.ts'
import type { NativeAccessLog } from './format.ts'
import type { NativeClusterChoice } from './routes.ts'
import type { NativeAddress, RuntimeIndex, SlotId } from './values.ts'

export interface NativeCidr {
  readonly ip: string
  readonly bits: number
}

export interface NativeHttpManager {
  readonly kind: 'http'
  readonly statPrefix: string
  readonly codec: 'auto' | 'http1'
  /** The slot of the route table. */
  readonly routes: SlotId
  readonly serverName: string
  readonly serverHeader: 'overwrite' | 'append-if-absent' | 'pass-through'
  readonly useRemoteAddress: boolean
  readonly xffTrustedHops: number
  readonly skipXffAppend: boolean
  readonly appendXForwardedPort: boolean
  readonly internalAddresses: readonly NativeCidr[]
  readonly generateRequestId: boolean
  readonly preserveExternalRequestId: boolean
  readonly alwaysSetRequestIdInResponse: boolean
  readonly normalizePath: boolean
  readonly mergeSlashes: boolean
  readonly escapedSlashes: 'keep' | 'reject' | 'redirect' | 'forward'
  readonly underscores: 'allow' | 'reject' | 'drop'
  readonly proxy100Continue: boolean
  readonly stripPort: 'none' | 'matching' | 'any'
  readonly stripTrailingDot: boolean
  /** Empty: not overwritten. */
  readonly schemeOverwrite: '' | 'http' | 'https'
  /** Empty: no Via. */
  readonly via: string
  /** `add_user_agent` of the connection manager. */
  readonly addUserAgent: boolean
  readonly suppressEnvoyHeaders: boolean
  // Timeouts, SEMANTICS "HCM timeouts and limits"; 0: off.
  readonly idleTimeout: number
  readonly streamIdleTimeout: number
  readonly streamFlushTimeout: number
  readonly requestTimeout: number
  readonly requestHeadersTimeout: number
  readonly delayedCloseTimeout: number
  readonly drainTimeout: number
  readonly maxConnectionDuration: number
  readonly maxStreamDuration: number
  readonly maxRequestsPerConnection: number
  readonly maxRequestHeaderBytes: number
  readonly maxHeaders: number
  readonly acceptHttp10: boolean
  /** Empty: a 1.0 request without Host is refused. */
  readonly defaultHostForHttp10: string
  readonly enableTrailers: boolean
  readonly allowAbsoluteUrl: boolean
  /** `proper-case`: response header names are written in Train-Case. */
  readonly headerCase: 'keep' | 'proper-case'
  /** Runtime: a client may end its side and wait for its response. */
  readonly halfCloseFlag: RuntimeIndex
  /** Runtime: bytes that a worker may hold for peers before it refuses what is new. */
  readonly mostHeldFlag: RuntimeIndex
  /** Those before the router, in order. */
  readonly filters: readonly NativeHttpFilter[]
  readonly accessLogs: readonly NativeAccessLog[]
}

export interface NativeTcpProxy {
  readonly kind: 'tcp'
  readonly statPrefix: string
  readonly cluster: NativeClusterChoice
  /** 0: none. */
  readonly idleTimeout: number
  readonly maxConnectAttempts: number
  readonly maxDownstreamDuration: number
  readonly mostHeldFlag: RuntimeIndex
  /** For balancers that hash; else each connection is its own. */
  readonly hashSourceIp?: boolean
  readonly accessLogs: readonly NativeAccessLog[]
}

export interface NativeFilterChain {
  readonly name: string
  /** 0: any. */
  readonly destinationPort: number
  readonly filter: NativeHttpManager | NativeTcpProxy
}

export interface NativeListener {
  readonly name: string
  readonly addresses: readonly NativeAddress[]
  readonly statPrefix: string
  readonly reusePort: boolean
  /** 0: the system's (somaxconn). */
  readonly backlog: number
  readonly ipv4Compat: boolean
  readonly freebind: boolean
  readonly transparent: boolean
  /** Redirected connections are treated as having reached the address that their client meant. */
  readonly originalDst: boolean
  readonly bufferLimit: number
  /** Of `envoy.resource_limits.listener.<name>.connection_limit`; -1: none. */
  readonly connectionLimitFlag: RuntimeIndex
  readonly filterChains: readonly NativeFilterChain[]
  readonly defaultFilterChain?: NativeFilterChain
  readonly drainType: 'default' | 'modify-only'
}
