/** HTTP filters, and what routes tell them. */

import type { NativeRuntimeNumber } from './values.ts'

/**
 * Stands for a filter's configured name, by which routes speak to it: the same name, the same
 * number, for the life of the process.
 */
export type FilterId = number

/** Where a client keeps the address of its host. */
export interface NativeSession {
  readonly state: 'none' | 'cookie' | 'header'
  /** Of the cookie or the header. */
  readonly name?: string
  /** Of the cookie, seconds; 0: until the client ends. */
  readonly ttl?: number
  /** Of the cookie. */
  readonly path?: string
  /** Requests go to the host that they ask for, or to none. */
  readonly strict?: boolean
}

export interface NativeDynamicForwardProxy {
  readonly kind: 'dynamic-forward-proxy'
}

/** Which host a request to a dynamic forward proxy names instead of its own. */
export interface NativeDynamicForwardProxyRoute {
  readonly kind: 'dynamic-forward-proxy'
  readonly host?: string
  /** The value of this header, lower case, where a request has it. */
  readonly header?: string
}

/** When requests are turned away because others did not succeed. Percentages from 0 to 100. */
export interface NativeAdmissionControl {
  /** 0: the filter does nothing. */
  readonly enabled: NativeRuntimeNumber
  /** Ranges of status codes, [from, to). */
  readonly httpSuccess: readonly (readonly [number, number])[]
  /** Bit i: gRPC status i is a success. */
  readonly grpcSuccess: number
  readonly windowSeconds: number
  readonly aggression: NativeRuntimeNumber
  readonly threshold: NativeRuntimeNumber
  readonly rpsThreshold: NativeRuntimeNumber
  readonly mostRejected: NativeRuntimeNumber
}

/** How the limit of requests under way is found. Percentages from 0 to 100, times ms. */
export interface NativeGradient {
  readonly percentile: NativeRuntimeNumber
  readonly mostConcurrency: NativeRuntimeNumber
  readonly updateEvery: NativeRuntimeNumber
  readonly measureEvery: NativeRuntimeNumber
  /** That are measured. */
  readonly requests: NativeRuntimeNumber
  readonly jitter: NativeRuntimeNumber
  readonly leastConcurrency: NativeRuntimeNumber
  readonly buffer: NativeRuntimeNumber
}

/** So many requests may be under way as the time that they take lets seem good. */
export interface NativeAdaptiveConcurrency {
  /** 0: the filter does nothing. */
  readonly enabled: NativeRuntimeNumber
  readonly exceededStatus: number
  readonly gradient: NativeGradient
}

/** What a filter is; `kind` tells which. */
export type NativeFilterConfig =
  | NativeDynamicForwardProxy
  | ({ readonly kind: 'stateful-session' } & NativeSession)
  | ({ readonly kind: 'admission-control' } & NativeAdmissionControl)
  | ({ readonly kind: 'adaptive-concurrency' } & NativeAdaptiveConcurrency)

export interface NativeHttpFilter {
  readonly id: FilterId
  readonly name: string
  /** Unless a route says otherwise. */
  readonly disabled?: boolean
  readonly config: NativeFilterConfig
}

/** What a route tells a filter of the type that `kind` names. */
export type NativeFilterRouteConfig =
  | NativeDynamicForwardProxyRoute
  | {
      readonly kind: 'stateful-session'
      readonly disabled?: boolean
      /** Unless disabled. */
      readonly session?: NativeSession
    }

/** What a route tells one filter, with what its virtual host and its table tell it. */
export interface NativeFilterOverride {
  readonly filter: FilterId
  readonly disabled?: boolean
  /** Index into `filterConfigs` of the route table; absent: nothing. */
  readonly config?: number
}
