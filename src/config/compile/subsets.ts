/** Subsets of a cluster's hosts, and the metadata of routes that choose one. */

import type {
  NativeMetadataMatch,
  NativeSubsetSelector,
  NativeSubsets,
} from '../../native/index.ts'
import type {
  Cluster,
  ClusterLbSubsetConfig,
  LoadBalancingPolicy,
  Metadata,
  ClusterLbSubsetConfigLbSubsetSelector as Selector,
  Subset,
} from '../schema/messages.generated.ts'
import { type Context, unpack } from './context.ts'
import { flatMetadata } from './endpoints.ts'

type Json = Readonly<Record<string, unknown>>
type Options = Omit<Subset, 'subset_lb_policy'>

const kNamespace = 'envoy.lb'
const kFallbackList = 'fallback_list'
/** A worker compares this many on its stack. */
const kMaxKeys = 32

/** The subset policy of a list of policies, if it is the one that counts. */
export function subsetPolicy(asked: LoadBalancingPolicy | undefined): Subset | undefined {
  const config = asked?.policies?.[0]?.typed_extension_config?.typed_config
  return unpack(config, 'envoy.extensions.load_balancing_policies.subset.v3.Subset')
}

/** `list_as_any`: whether a list in a host's metadata stands for each of its elements. */
export function listAsAny(cluster: Cluster): boolean {
  const options = subsetPolicy(cluster.load_balancing_policy) ?? cluster.lb_subset_config
  return options?.list_as_any ?? false
}

const fallbacks = { NO_FALLBACK: 'none', ANY_ENDPOINT: 'any', DEFAULT_SUBSET: 'default' } as const
const selectorFallbacks = { ...fallbacks, NOT_DEFINED: 'not-defined', KEYS_SUBSET: 'keys' } as const

export function compileSubsets(
  context: Context,
  options: ClusterLbSubsetConfig | Options,
): NativeSubsets | undefined {
  const selectors = options.subset_selectors ?? []
  // As in Envoy: without selectors there are no subsets.
  if (selectors.length === 0) return undefined
  const defaultSubset = flatMetadata((options.default_subset ?? {}) as Json)
  return {
    fallback: fallbacks[options.fallback_policy ?? 'NO_FALLBACK'],
    ...(defaultSubset.length > 0 && { defaultSubset }),
    selectors: selectors.map((selector) => compileSelector(context, selector)),
    ...('allow_redundant_keys' in options &&
      options.allow_redundant_keys && { allowRedundantKeys: true }),
    ...(options.locality_weight_aware && { localityWeightAware: true }),
    ...(options.scale_locality_weight && { scaleLocalityWeight: true }),
    ...(options.panic_mode_any && { panicModeAny: true }),
    ...(options.metadata_fallback_policy === 'FALLBACK_LIST' && { fallbackList: true }),
  }
}

function compileSelector(context: Context, selector: Selector): NativeSubsetSelector {
  const { keys = [], fallback_keys_subset: fallbackKeys = [] } = selector
  const fallback = selectorFallbacks[selector.fallback_policy ?? 'NOT_DEFINED']
  const bad = (field: string, text: string): void =>
    context.origins.add(selector, [field], 'bad-value', text)
  if (keys.length > kMaxKeys) bad('keys', `has ${keys.length} keys, may have at most ${kMaxKeys}`)
  if (selector.single_host_per_subset && new Set(keys).size !== 1) {
    bad('single_host_per_subset', 'needs a selector of exactly one key')
  }
  if (fallback === 'keys') checkFallbackKeys(context, selector, keys, fallbackKeys)
  else if (fallbackKeys.length > 0) {
    bad('fallback_keys_subset', 'is read with fallback_policy KEYS_SUBSET only')
  }
  return {
    keys,
    ...(selector.single_host_per_subset && { singleHost: true }),
    fallback,
    ...(fallback === 'keys' && { fallbackKeys }),
  }
}

function checkFallbackKeys(
  context: Context,
  selector: Selector,
  keys: readonly string[],
  fallbackKeys: readonly string[],
): void {
  if (fallbackKeys.length === 0) {
    context.origins.addMissing(selector, 'needs fallback_keys_subset, for KEYS_SUBSET')
    return
  }
  const known = new Set(keys)
  const stranger = fallbackKeys.find((key) => !known.has(key))
  if (stranger !== undefined) {
    const text = `"${stranger}" is none of the keys of this selector`
    context.origins.add(selector, ['fallback_keys_subset'], 'bad-value', text)
  } else if (new Set(fallbackKeys).size === known.size) {
    const text = 'must be fewer than the keys of this selector'
    context.origins.add(selector, ['fallback_keys_subset'], 'bad-value', text)
  }
}

/**
 * What `metadata_match` says to balancers; later ones win, key by key. Undefined where none says
 * anything.
 */
export function compileMetadataMatch(
  ...matches: readonly (Metadata | undefined)[]
): NativeMetadataMatch | undefined {
  const data: Record<string, unknown> = {}
  for (const match of matches) Object.assign(data, match?.filter_metadata?.[kNamespace])
  if (Object.keys(data).length === 0) return undefined
  const { [kFallbackList]: list, ...base } = data
  const variants = (Array.isArray(list) ? list : []).filter(
    (entry): entry is Json => typeof entry === 'object' && entry !== null && !Array.isArray(entry),
  )
  return {
    criteria: flatMetadata(data),
    ...(variants.length > 0 && {
      variants: variants.map((entry) => flatMetadata({ ...base, ...entry })),
    }),
  }
}
