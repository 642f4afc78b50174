/** Route tables, with every name resolved. */

import type { NativeBalancing, NativeMetadataMatch } from './balancing.ts'
import type { NativeFilterOverride, NativeFilterRouteConfig } from './filters.ts'
import type { NativeFormatOp } from './format.ts'
import type {
  NativeDfa,
  NativeFraction,
  NativeHeaderMatcher,
  NativeQueryMatcher,
  NativeRegexRewrite,
} from './matching.ts'
import type { NativeResilience } from './resilience.ts'
import type { RuntimeIndex, SlotId } from './values.ts'

export interface NativeHeaderValue {
  readonly name: string
  readonly value: readonly NativeFormatOp[]
  readonly action: 'append' | 'add-if-absent' | 'overwrite' | 'overwrite-if-exists'
  readonly keepEmpty: boolean
}

export interface NativeHeaderMutations {
  readonly add: readonly NativeHeaderValue[]
  readonly remove: readonly string[]
}

export interface NativeWeightedCluster {
  /** Empty when the name comes from `header`. */
  readonly name: string
  readonly slot: SlotId
  readonly header?: string
  readonly weight: number
  readonly request?: NativeHeaderMutations
  readonly response?: NativeHeaderMutations
  readonly hostRewrite?: string
  /** With the route's. */
  readonly metadataMatch?: NativeMetadataMatch
  /** With the route's. Absent: the route's. */
  readonly filters?: readonly NativeFilterOverride[]
}

export type NativeClusterChoice =
  | { readonly kind: 'cluster'; readonly name: string; readonly slot: SlotId }
  | { readonly kind: 'header'; readonly header: string }
  | {
      readonly kind: 'weighted'
      readonly clusters: readonly NativeWeightedCluster[]
      readonly totalWeight: number
      /** Request header whose number chooses instead of chance. */
      readonly header?: string
    }

export type NativeHostRewrite =
  | { readonly kind: 'literal'; readonly value: string }
  | { readonly kind: 'auto' }
  | { readonly kind: 'header'; readonly header: string }
  | { readonly kind: 'path-regex'; readonly rewrite: NativeRegexRewrite }

export interface NativeForward extends NativeResilience, NativeBalancing {
  readonly kind: 'forward'
  readonly cluster: NativeClusterChoice
  /** 503, 404 or 500. */
  readonly clusterNotFoundStatus: number
  /** 0: none. Starts when the whole request has been received. */
  readonly timeout: number
  /** -1: the connection manager's stream idle timeout; 0: none. */
  readonly idleTimeout: number
  readonly priority: 'default' | 'high'
  readonly prefixRewrite?: string
  readonly regexRewrite?: NativeRegexRewrite
  readonly hostRewrite?: NativeHostRewrite
  readonly appendXForwardedHost?: boolean
}

export interface NativeRedirect {
  readonly kind: 'redirect'
  /** 301, 302, 303, 307 or 308. */
  readonly status: number
  readonly https?: boolean
  readonly scheme?: string
  readonly host?: string
  readonly port?: number
  /** Whole path (may carry a query), or a new prefix, or a rewrite. */
  readonly path?: string
  readonly prefixRewrite?: string
  readonly regexRewrite?: NativeRegexRewrite
  readonly stripQuery?: boolean
}

export interface NativeDirectResponse {
  readonly kind: 'respond'
  readonly status: number
  readonly body: Uint8Array
}

export type NativeRouteAction = NativeForward | NativeRedirect | NativeDirectResponse

export interface NativeRouteMatch {
  readonly kind: 'prefix' | 'path' | 'separated-prefix' | 'regex'
  readonly value?: string
  readonly dfa?: NativeDfa
  readonly caseSensitive: boolean
  readonly headers?: readonly NativeHeaderMatcher[]
  readonly query?: readonly NativeQueryMatcher[]
  readonly fraction?: NativeFraction
}

export interface NativeRoute {
  readonly name: string
  readonly match: NativeRouteMatch
  readonly action: NativeRouteAction
  readonly request?: NativeHeaderMutations
  readonly response?: NativeHeaderMutations
  readonly filters?: readonly NativeFilterOverride[]
}

export interface NativeVirtualHost {
  readonly name: string
  /** Lower case; exact, `*.suffix`, `prefix.*` or `*`. */
  readonly domains: readonly string[]
  readonly requireTls: 'none' | 'external' | 'all'
  readonly routes: readonly NativeRoute[]
  readonly request?: NativeHeaderMutations
  readonly response?: NativeHeaderMutations
}

export interface NativeRouteTable {
  readonly name: string
  readonly virtualHosts: readonly NativeVirtualHost[]
  readonly request?: NativeHeaderMutations
  readonly response?: NativeHeaderMutations
  readonly mostSpecificMutationsWin: boolean
  readonly ignorePortInHost: boolean
  /** `upstream.base_retry_backoff_ms`, and `upstream.use_retry` in percent. */
  readonly retryFlags: { readonly base: RuntimeIndex; readonly use: RuntimeIndex }
  /** Lower case; removed from requests / responses that come from outside. */
  readonly internalOnlyHeaders: readonly string[]
  /** What `config` of a filter's override counts. */
  readonly filterConfigs?: readonly NativeFilterRouteConfig[]
}
