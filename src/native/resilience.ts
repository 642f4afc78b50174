/** What a route does about failure. Durations are milliseconds; 0: none. */

import type { NativeHeaderMatcher } from './matching.ts'

export interface NativeResetHeader {
  /** Lower case. */
  readonly name: string
  readonly format: 'seconds' | 'unix-timestamp'
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
  readonly perTryTimeout: number
  readonly perTryIdleTimeout: number
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
  /** Bytes of a body that are kept for another attempt, if the listener's limit allows them. */
  readonly bufferLimit?: number
}
