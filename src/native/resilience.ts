/** What a route does about failure. Durations are milliseconds; 0: none. */

import type { NativeFraction, NativeHeaderMatcher } from './matching.ts'
import type { SlotId } from './values.ts'

export interface NativeResetHeader {
  /** Lower case. */
  readonly name: string
  readonly format: 'seconds' | 'unix-timestamp'
}

/** A host that matches is avoided by further attempts. */
export interface NativeHostPredicate {
  readonly kind: 'previous-hosts' | 'omit-canary' | 'omit-metadata'
  /** Of `omit-metadata`: key, value, key, value… of `envoy.lb`; all must match. */
  readonly metadata?: readonly string[]
}

export interface NativeRetryPolicy {
  /** `5xx,reset,unavailable`: conditions of HTTP and gRPC. */
  readonly on: string
  readonly retries: number
  /** 0: the runtime's, or 25. */
  readonly baseInterval: number
  /** 0: ten times the base. */
  readonly maxInterval: number
  readonly resetHeaders: readonly NativeResetHeader[]
  readonly resetMaxInterval: number
  readonly statusCodes: readonly number[]
  readonly responseHeaders: readonly NativeHeaderMatcher[]
  readonly requestHeaders: readonly NativeHeaderMatcher[]
  readonly predicates: readonly NativeHostPredicate[]
  /** Further picks when a predicate rejects a host. */
  readonly hostSelectionAttempts: number
  /** After so many attempts their priorities are avoided. */
  readonly previousPriorities?: number
  readonly perTryTimeout: number
  readonly perTryIdleTimeout: number
}

export interface NativeMirror {
  /** Empty when the name comes from `header`. */
  readonly cluster: string
  readonly slot: SlotId
  readonly header?: string
  readonly fraction?: NativeFraction
  /** Else `-shadow` is added to the host. */
  readonly keepHost?: boolean
}

export interface NativeInternalRedirect {
  /** Redirects that are followed for one request. */
  readonly most: number
  readonly statuses: readonly number[]
  readonly crossScheme: boolean
  /** Lower case; of the response, into the request. */
  readonly copiedHeaders: readonly string[]
  readonly notToPreviousRoutes: boolean
  readonly safeCrossScheme: boolean
  /** Names of the routes that may be led to; absent: any. */
  readonly allowedRoutes?: readonly string[]
}

/** -1: not said. */
export interface NativeStreamDuration {
  readonly most: number
  readonly grpcMost: number
  readonly grpcOffset: number
}

/** Of a forwarding route; what is absent is off. */
export interface NativeResilience {
  readonly retry?: NativeRetryPolicy
  readonly hedgeOnPerTryTimeout?: boolean
  /** `x-envoy-attempt-count`. */
  readonly attemptCountInRequest?: boolean
  readonly attemptCountInResponse?: boolean
  /** `x-envoy-is-timeout-retry`. */
  readonly timeoutRetryHeader?: boolean
  readonly mirrors?: readonly NativeMirror[]
  readonly internalRedirect?: NativeInternalRedirect
  readonly streamDuration?: NativeStreamDuration
  /** `max_grpc_timeout` and `grpc_timeout_offset`. */
  readonly grpcTimeoutMost?: number
  readonly grpcTimeoutOffset?: number
  /** Bytes of a body that are kept for another attempt, if the listener's limit allows them. */
  readonly bufferLimit?: number
}
