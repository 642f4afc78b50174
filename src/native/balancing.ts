/** How requests choose hosts of clusters. */

import type { NativeRegexRewrite } from './matching.ts'

/** How hosts are chosen. What is left out has Envoy's default. */
export interface NativeLb {
  readonly policy: 'round-robin' | 'least-request' | 'random' | 'ring-hash' | 'maglev'
  /** Percent. */
  readonly overprovisioning: number
  /** Percent of hosts that must be healthy, or health is not looked at. 0: always looked at. */
  readonly panicThreshold: number
  readonly failTrafficOnPanic?: boolean
  /** The health of a priority counts weights instead of hosts. */
  readonly weightedPriorityHealth?: boolean
  readonly localityWeighted?: boolean
  /** Read where there is a local cluster; absent: 100 and 6. */
  readonly zoneAware?: {
    /** Of picks. */
    readonly enabledPercent: number
    /** Healthy hosts of the first priority. */
    readonly minClusterSize: number
  }
  readonly slowStart?: {
    readonly window: number
    readonly aggression: number
    readonly minWeightPercent: number
  }
  /** With `round-robin`: by weights that hosts report themselves, whatever theirs are. */
  readonly clientWeights?: {
    /** ms; so long a host must have reported. */
    readonly blackout: number
    /** ms; so long a report is good. */
    readonly expiration: number
    readonly errorPenalty: number
    /** ms between two calls of `reweigh`. */
    readonly updatePeriod: number
  }
  readonly choiceCount?: number
  readonly activeRequestBias?: number
  readonly fullScan?: boolean
  readonly ringMin?: number
  readonly ringMax?: number
  /** MURMUR_HASH_2 instead of XX_HASH. */
  readonly murmur?: boolean
  /** Prime. */
  readonly maglevTableSize?: number
  readonly hashHostname?: boolean
  /** Percent; 0: off. */
  readonly hashBalanceFactor?: number
  /**
   * Of hosts that requests may ask for: bit i for the i-th of `hostStatuses`. Absent: unknown,
   * healthy and degraded.
   */
  readonly overrideStatuses?: number
  readonly subsets?: NativeSubsets
  /** Of requests, dropped before a host is chosen. */
  readonly dropPerMillion?: number
  /** The most that is dropped of them, whatever an assignment says. */
  readonly dropLimitPerMillion?: number
  /** Of requests, answered in the cluster's place while it is in maintenance. */
  readonly maintenancePerMillion?: number
}

/** A part of a cluster's hosts for each combination of values of these keys of their metadata. */
export interface NativeSubsetSelector {
  readonly keys: readonly string[]
  /** Each subset is one host, at whatever priority. */
  readonly singleHost?: boolean
  readonly fallback: 'not-defined' | 'none' | 'any' | 'default' | 'keys'
  /** With `keys`: some of `keys`. */
  readonly fallbackKeys?: readonly string[]
}

export interface NativeSubsets {
  readonly fallback: 'none' | 'any' | 'default'
  /** Flat: [key, value, …], values as those of hosts. */
  readonly defaultSubset?: readonly string[]
  readonly selectors: readonly NativeSubsetSelector[]
  readonly allowRedundantKeys?: boolean
  readonly localityWeightAware?: boolean
  readonly scaleLocalityWeight?: boolean
  readonly panicModeAny?: boolean
  readonly fallbackList?: boolean
}

/** The `envoy.lb` of a `metadata_match`: flat lists, values as those of hosts. */
export interface NativeMetadataMatch {
  readonly criteria: readonly string[]
  /** `criteria` merged with each entry of its `fallback_list`. */
  readonly variants?: readonly (readonly string[])[]
}

/** What of a request a hashing balancer goes by. */
export interface NativeHashPolicy {
  readonly kind: 'header' | 'cookie' | 'source-ip' | 'query'
  /** Of the header, cookie or query parameter. */
  readonly name?: string
  /** Of the header's value. */
  readonly rewrite?: NativeRegexRewrite
  /** Seconds; there: a cookie that is missing is made. */
  readonly ttl?: number
  /** Of that cookie. */
  readonly path?: string
  readonly attributes?: readonly (readonly [string, string])[]
  /** When there is a hash by now, later policies are not looked at. */
  readonly terminal?: boolean
}

export interface NativeBalancing {
  readonly hashPolicies?: readonly NativeHashPolicy[]
  readonly metadataMatch?: NativeMetadataMatch
}
