/**
 * How a cluster chooses hosts: `lb_policy` with its options, or `load_balancing_policy`, which
 * wins.
 */

import { isDeepStrictEqual } from 'node:util'
import { hostStatuses, type NativeHostStatus, type NativeLb } from '../../native/index.ts'
import type {
  ClientSideWeightedRoundRobin,
  Cluster,
  ClusterLoadAssignment,
  ClusterSlowStartConfig,
  ClusterCommonLbConfig as CommonLbConfig,
  ConsistentHashingLbConfig,
  LeastRequest,
  LoadBalancingPolicy,
  LocalityLbConfig,
  Maglev,
  Random,
  RingHash,
  RoundRobin,
  RuntimeDouble,
  SlowStartConfig,
  WrrLocality,
} from '../schema/messages.generated.ts'
import { type Context, runtimeWithin, unpack } from './context.ts'
import { partOf } from './matchers.ts'
import { compileSubsets, subsetPolicy } from './subsets.ts'

type Mutable<T> = { -readonly [K in keyof T]?: T[K] }
/** What a policy says, without what is common to all. */
type Policy = Mutable<NativeLb> & Pick<NativeLb, 'policy'>

const kPolicies = 'envoy.extensions.load_balancing_policies'
const kClientSide = 'client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin'
/** ms, of the weights that hosts report: as the `.proto` file says. */
const kMinUpdatePeriod = 100
const kRingMin = 1024
const kRingMax = 8_388_608
const kMaglevTable = 65_537
const kMillion = 1_000_000
const kUint32Max = 0xffff_ffff
const kZoneRouting = { enabledPercent: 100, minClusterSize: 6 }
/** Of `common_lb_config`: policies of `load_balancing_policy` have these themselves. */
const kOldOnly = [
  'zone_aware_lb_config',
  'locality_weighted_lb_config',
  'consistent_hashing_lb_config',
] as const

export function compileLb(context: Context, cluster: Cluster): NativeLb {
  const common = cluster.common_lb_config
  const policy =
    cluster.load_balancing_policy === undefined
      ? oldPolicy(context, cluster)
      : newPolicy(context, cluster, cluster.load_balancing_policy)
  const threshold = runtimeWithin(context, 'upstream.healthy_panic_threshold', 0, 100)
  const overrides = common?.override_host_status?.statuses
  return {
    ...policy,
    // An empty list is one too: no host can be asked for.
    ...(common?.override_host_status && { overrideStatuses: statusBits(overrides ?? []) }),
    overprovisioning: 140,
    panicThreshold: threshold ?? Math.min(100, common?.healthy_panic_threshold?.value ?? 50),
    ...dropLimit(context),
    ...maintenance(context, cluster),
    ...assignmentLb(context, cluster.load_assignment),
  }
}

function statusBits(statuses: readonly HealthStatus[]): number {
  return statuses.reduce((bits, name) => bits | (1 << hostStatuses.indexOf(lowered(name))), 0)
}

type HealthStatus = Uppercase<NativeHostStatus>
const lowered = (name: HealthStatus): NativeHostStatus => name.toLowerCase() as NativeHostStatus

/** What an assignment says of balancing; it wins over its cluster. */
export function assignmentLb(
  context: Context,
  assignment: ClusterLoadAssignment | undefined,
): Partial<NativeLb> {
  const rules = assignment?.policy
  const drops = rules?.drop_overloads ?? []
  if (rules !== undefined && drops.length > 1) {
    const text = `has ${drops.length} categories, may have one`
    context.origins.add(rules, ['drop_overloads'], 'bad-value', text)
  }
  const { numerator, denominator } = partOf(context, drops[0]?.drop_percentage)
  const factor = rules?.overprovisioning_factor
  return {
    ...(factor !== undefined && { overprovisioning: factor }),
    ...(rules?.weighted_priority_health && { weightedPriorityHealth: true }),
    ...(numerator > 0 && { dropPerMillion: Math.round((numerator / denominator) * kMillion) }),
  }
}

/** Runtime: percent of requests that `drop_overloads` may take at the most. */
function dropLimit(context: Context): Pick<NativeLb, 'dropLimitPerMillion'> {
  const limit = context.runtime.get('load_balancing_policy.drop_overload_limit')
  return typeof limit === 'number' ? { dropLimitPerMillion: perMillion(limit) } : {}
}

/** Runtime: percent of requests that are answered in the cluster's place. */
function maintenance(
  context: Context,
  { name = '' }: Cluster,
): Pick<NativeLb, 'maintenancePerMillion'> {
  const percent = context.runtime.get(`upstream.maintenance_mode.${name}`)
  return typeof percent === 'number' ? { maintenancePerMillion: perMillion(percent) } : {}
}

/** Of a whole percentage of the runtime's, as Envoy takes it. */
const perMillion = (percent: number): number =>
  Math.min(100, Math.max(0, Math.trunc(percent))) * (kMillion / 100)

// ---- lb_policy

const policies = {
  ROUND_ROBIN: 'round-robin',
  LEAST_REQUEST: 'least-request',
  RANDOM: 'random',
  RING_HASH: 'ring-hash',
  MAGLEV: 'maglev',
} as const

const optionsOf = {
  round_robin_lb_config: 'ROUND_ROBIN',
  least_request_lb_config: 'LEAST_REQUEST',
  ring_hash_lb_config: 'RING_HASH',
  maglev_lb_config: 'MAGLEV',
} as const

function oldPolicy(context: Context, cluster: Cluster): Policy {
  const name = cluster.lb_policy ?? 'ROUND_ROBIN'
  if (name === 'LOAD_BALANCING_POLICY_CONFIG') {
    context.origins.add(cluster, ['lb_policy'], 'missing', 'needs load_balancing_policy')
    return { policy: 'round-robin' }
  }
  if (name === 'CLUSTER_PROVIDED') {
    // The hosts of an aggregate cluster are chosen in turn within each priority.
    // Others have no balancer: requests name their hosts.
    if (cluster.cluster_type === undefined && cluster.type !== 'ORIGINAL_DST') {
      const text = 'is for clusters of a custom type and of type ORIGINAL_DST only'
      context.origins.add(cluster, ['lb_policy'], 'bad-value', text)
    }
    return { policy: 'round-robin' }
  }
  for (const [field, reader] of Object.entries(optionsOf)) {
    if (reader === name || cluster[field as keyof typeof optionsOf] === undefined) continue
    const text = `is read with lb_policy ${reader} only, and that is ${name} here`
    context.origins.add(cluster, [field], 'conflict', text)
  }
  const policy: Policy = { policy: policies[name] }
  if (name === 'ROUND_ROBIN') {
    setSlowStart(context, policy, cluster.round_robin_lb_config?.slow_start_config)
  } else if (name === 'LEAST_REQUEST') {
    const options = cluster.least_request_lb_config
    setLeastRequest(context, policy, options)
    setSlowStart(context, policy, options?.slow_start_config)
  } else if (name === 'RING_HASH') {
    const options = cluster.ring_hash_lb_config
    setRing(context, policy, options, options?.hash_function === 'MURMUR_HASH_2')
  } else if (name === 'MAGLEV') {
    setMaglev(context, policy, cluster.maglev_lb_config)
  }
  const subsets = cluster.lb_subset_config && compileSubsets(context, cluster.lb_subset_config)
  if (subsets) policy.subsets = subsets
  const common = cluster.common_lb_config
  setLocalities(context, policy, common)
  const hashing = common?.consistent_hashing_lb_config
  if (hashes(policy)) setHashing(policy, hashing)
  return policy
}

// ---- load_balancing_policy

function newPolicy(context: Context, cluster: Cluster, asked: LoadBalancingPolicy): Policy {
  const common = cluster.common_lb_config
  for (const field of kOldOnly) {
    if (common?.[field] === undefined) continue
    const text =
      'is not read with load_balancing_policy, whose policies have this option themselves'
    context.origins.add(common, [field], 'conflict', text)
  }
  for (const field of Object.keys(optionsOf) as (keyof typeof optionsOf)[]) {
    if (cluster[field] === undefined) continue
    context.origins.add(cluster, [field], 'conflict', 'is not read with load_balancing_policy')
  }
  if (cluster.lb_subset_config !== undefined) {
    const text = 'is not read with load_balancing_policy'
    context.origins.add(cluster, ['lb_subset_config'], 'conflict', text)
  }
  const subset = subsetPolicy(asked)
  if (subset === undefined) return firstPolicy(context, asked)
  const inner = subset.subset_lb_policy ?? {}
  if (subsetPolicy(inner) !== undefined) {
    context.origins.add(subset, ['subset_lb_policy'], 'bad-value', 'subsets have no subsets')
  }
  const policy = firstPolicy(context, inner)
  const subsets = compileSubsets(context, subset)
  if (subsets) policy.subsets = subsets
  return policy
}

/** The first policy of the list; whatever is not built was refused by name. */
function firstPolicy(context: Context, asked: LoadBalancingPolicy): Policy {
  const config = asked.policies?.[0]?.typed_extension_config?.typed_config
  const roundRobin = unpack(config, `${kPolicies}.round_robin.v3.RoundRobin`)
  if (roundRobin !== undefined) return fromRoundRobin(context, roundRobin)
  const leastRequest = unpack(config, `${kPolicies}.least_request.v3.LeastRequest`)
  if (leastRequest !== undefined) return fromLeastRequest(context, leastRequest)
  const random = unpack(config, `${kPolicies}.random.v3.Random`)
  if (random !== undefined) return fromRandom(context, random)
  const ring = unpack(config, `${kPolicies}.ring_hash.v3.RingHash`)
  if (ring !== undefined) return fromRing(context, ring)
  const maglev = unpack(config, `${kPolicies}.maglev.v3.Maglev`)
  if (maglev !== undefined) return fromMaglev(context, maglev)
  const reports = unpack(config, `${kPolicies}.${kClientSide}`)
  if (reports !== undefined) return fromClientSide(context, reports)
  const wrr = unpack(config, `${kPolicies}.wrr_locality.v3.WrrLocality`)
  if (wrr !== undefined) return fromWrrLocality(context, wrr)
  if (config === undefined) {
    context.origins.addMissing(asked, 'needs a policy with typed_config')
  } else if (config['@type'].startsWith(kPolicies)) {
    context.origins.add(config, undefined, 'bad-value', 'is no policy that can stand here')
  } else {
    context.origins.add(config, undefined, 'bad-value', `${config['@type']} balances nothing`)
  }
  return { policy: 'round-robin' }
}

function fromRoundRobin(context: Context, options: RoundRobin): Policy {
  const policy: Policy = { policy: 'round-robin' }
  setSlowStart(context, policy, options.slow_start_config)
  setLocalities(context, policy, options.locality_lb_config)
  return policy
}

function fromLeastRequest(context: Context, options: LeastRequest): Policy {
  const policy: Policy = { policy: 'least-request' }
  setLeastRequest(context, policy, options)
  setSlowStart(context, policy, options.slow_start_config)
  setLocalities(context, policy, options.locality_lb_config)
  if (options.enable_full_scan || options.selection_method === 'FULL_SCAN') policy.fullScan = true
  return policy
}

function fromClientSide(context: Context, options: ClientSideWeightedRoundRobin): Policy {
  const policy: Policy = { policy: 'round-robin' }
  policy.clientWeights = {
    blackout: options.blackout_period ?? 10_000,
    expiration: options.weight_expiration_period ?? 180_000,
    errorPenalty: options.error_utilization_penalty ?? 1,
    updatePeriod: Math.max(kMinUpdatePeriod, options.weight_update_period ?? 1000),
  }
  setLocalities(context, policy, undefined)
  return policy
}

/** The weights of localities, and a policy to choose among the hosts of one. */
function fromWrrLocality(context: Context, options: WrrLocality): Policy {
  const inner = options.endpoint_picking_policy ?? {}
  const config = inner.policies?.[0]?.typed_extension_config?.typed_config
  const children = [
    ...['round_robin.v3.RoundRobin', 'least_request.v3.LeastRequest', 'random.v3.Random'],
    kClientSide,
  ]
  const name = config?.['@type'] ?? ''
  if (config !== undefined && !children.includes(name.slice(kPolicies.length + 1))) {
    const text = `${name} does not choose among the hosts of one locality`
    context.origins.add(config, undefined, 'bad-value', text)
    return { policy: 'round-robin' }
  }
  return { ...firstPolicy(context, inner), localityWeighted: true }
}

function fromRandom(context: Context, options: Random): Policy {
  const policy: Policy = { policy: 'random' }
  setLocalities(context, policy, options.locality_lb_config)
  return policy
}

function fromRing(context: Context, options: RingHash): Policy {
  const policy: Policy = { policy: 'ring-hash' }
  setRing(context, policy, options, options.hash_function === 'MURMUR_HASH_2')
  setHashing(policy, options)
  setHashing(policy, options.consistent_hashing_lb_config)
  if (options.locality_weighted_lb_config !== undefined) policy.localityWeighted = true
  return policy
}

function fromMaglev(context: Context, options: Maglev): Policy {
  const policy: Policy = { policy: 'maglev' }
  setMaglev(context, policy, options)
  setHashing(policy, options.consistent_hashing_lb_config)
  if (options.locality_weighted_lb_config !== undefined) policy.localityWeighted = true
  return policy
}

// ---- Options that both ways of writing have

function setLeastRequest(
  context: Context,
  policy: Policy,
  options: Pick<LeastRequest, 'choice_count' | 'active_request_bias'> | undefined,
): void {
  if (options?.choice_count !== undefined) policy.choiceCount = options.choice_count
  const bias = options?.active_request_bias
  if (bias === undefined) return
  policy.activeRequestBias = runtimeDouble(context, bias, (value) => value >= 0)
  if ((bias.default_value ?? 0) < 0) {
    context.origins.add(bias, ['default_value'], 'bad-value', 'must not be below 0')
  }
}

function setSlowStart(
  context: Context,
  policy: Policy,
  options: SlowStartConfig | ClusterSlowStartConfig | undefined,
): void {
  const window = options?.slow_start_window ?? 0
  if (window === 0) return
  const aggression = options?.aggression
  policy.slowStart = {
    window,
    aggression: aggression ? runtimeDouble(context, aggression, (value) => value > 0) : 1,
    minWeightPercent: options?.min_weight_percent?.value ?? 10,
  }
  if (aggression !== undefined && (aggression.default_value ?? 0) <= 0) {
    context.origins.add(aggression, ['default_value'], 'bad-value', 'must be above 0')
  }
}

function setRing(
  context: Context,
  policy: Policy,
  options: Pick<RingHash, 'minimum_ring_size' | 'maximum_ring_size'> | undefined,
  murmur: boolean,
): void {
  const { minimum_ring_size: min = kRingMin, maximum_ring_size: max = kRingMax } = options ?? {}
  if (options !== undefined && min > max) {
    const field = options.maximum_ring_size === undefined ? 'minimum' : 'maximum'
    const text = `the smallest ring, ${min}, is larger than the largest, ${max}`
    context.origins.add(options, [`${field}_ring_size`], 'bad-value', text)
  }
  policy.ringMin = Math.max(1, min)
  policy.ringMax = Math.max(1, max)
  if (murmur) policy.murmur = true
}

function setMaglev(
  context: Context,
  policy: Policy,
  options: Pick<Maglev, 'table_size'> | undefined,
): void {
  const size = options?.table_size ?? kMaglevTable
  if (options !== undefined && !isPrime(size)) {
    const text = `must be a prime number, and ${size} is none`
    const hint = `${nextPrime(size)} is the next one`
    context.origins.add(options, ['table_size'], 'bad-value', text, hint)
  }
  policy.maglevTableSize = size
}

function setHashing(policy: Policy, options: ConsistentHashingLbConfig | undefined): void {
  if (options?.use_hostname_for_hashing) policy.hashHostname = true
  if (options?.hash_balance_factor !== undefined) {
    policy.hashBalanceFactor = options.hash_balance_factor
  }
}

/**
 * Zones matter to every policy that does not hash, also where nothing is said of them; whether
 * anything comes of it depends on the local cluster.
 */
function setLocalities(
  context: Context,
  policy: Policy,
  options: LocalityLbConfig | CommonLbConfig | undefined,
): void {
  if (options?.locality_weighted_lb_config !== undefined) policy.localityWeighted = true
  const zones = options?.zone_aware_lb_config
  if (hashes(policy)) {
    if (options === undefined || zones === undefined) return
    const text = `is not read by ${policy.policy}, which goes by hashes`
    context.origins.add(options, ['zone_aware_lb_config'], 'conflict', text)
    return
  }
  const enabled = runtimeWithin(context, 'upstream.zone_routing.enabled', 0, 100)
  const size = runtimeWithin(context, 'upstream.zone_routing.min_cluster_size', 0, kUint32Max)
  const own = zones?.routing_enabled?.value ?? kZoneRouting.enabledPercent
  const enabledPercent = Math.round(enabled ?? own)
  const least = zones?.min_cluster_size ?? kZoneRouting.minClusterSize
  const minClusterSize = Math.floor(size ?? least)
  const zoneAware = { enabledPercent, minClusterSize }
  if (!isDeepStrictEqual(zoneAware, kZoneRouting)) policy.zoneAware = zoneAware
  if (zones?.fail_traffic_on_panic) policy.failTrafficOnPanic = true
}

const hashes = ({ policy }: Policy): boolean => policy === 'ring-hash' || policy === 'maglev'

/** A runtime key that is there wins, where its value fits. */
function runtimeDouble(
  context: Context,
  { default_value: value = 0, runtime_key: key = '' }: RuntimeDouble,
  fits: (value: number) => boolean,
): number {
  const own = key === '' ? undefined : context.runtime.get(key)
  return typeof own === 'number' && fits(own) ? own : value
}

export function isPrime(n: number): boolean {
  if (n < 2) return false
  for (let divisor = 2; divisor * divisor <= n; divisor++) {
    if (n % divisor === 0) return false
  }
  return true
}

function nextPrime(n: number): number {
  let candidate = Math.max(2, n)
  while (!isPrime(candidate)) candidate++
  return candidate
}
