/**
 * Clusters whose hosts are added as requests name them: original destinations, and the dynamic
 * forward proxy.
 */

import type { NativeOnDemand } from '../../native/index.ts'
import type { DiscoveryDefinition, EndpointsDefinition } from '../definitions.ts'
import type { Cluster, DynamicForwardProxyClusterConfig } from '../schema/messages.generated.ts'
import { compileBreakers } from './breakers.ts'
import type { Context } from './context.ts'
import { compileDnsCache } from './dns_cache.ts'

export const kForwardProxy = 'envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig'
export type Found = EndpointsDefinition & {
  readonly discovery?: DiscoveryDefinition
  readonly onDemand?: NativeOnDemand
}

const kHeader = 'x-envoy-original-dst-host'
const kCleanupInterval = 5000
const kConnectTimeout = 5000
/** How much later than its name's time a request gives up: the main thread may be late, too. */
const kGrace = 1000
/** What is about hosts that a balancer chooses among. */
const kUnread = [
  'load_assignment',
  'load_balancing_policy',
  'lb_subset_config',
  'round_robin_lb_config',
  'least_request_lb_config',
  'ring_hash_lb_config',
  'maglev_lb_config',
] as const
const kUnreadCommon = [
  'healthy_panic_threshold',
  'zone_aware_lb_config',
  'locality_weighted_lb_config',
  'consistent_hashing_lb_config',
] as const
/** A field name, or the one pseudo-header that names a host. */
const kFieldName = /^(:authority|[!#$%&'*+\-.^_`|~0-9a-z]+)$/i

export function isOnDemand({ type, cluster_type: custom }: Cluster): boolean {
  return type === 'ORIGINAL_DST' || custom?.typed_config?.['@type'] === kForwardProxy
}

export function compileOriginalDst(context: Context, cluster: Cluster): Found {
  checkProvided(context, cluster, 'a cluster of type ORIGINAL_DST')
  const { default: limits } = compileBreakers(context, cluster.name ?? '', cluster.circuit_breakers)
  return {
    hosts: [],
    localities: [],
    discovery: {
      kind: 'original-dst',
      cleanupInterval: cluster.cleanup_interval ?? kCleanupInterval,
    },
    onDemand: {
      kind: 'original-dst',
      // A host that is asked for is a connection that is being made.
      wait: cluster.connect_timeout ?? kConnectTimeout,
      maxWaiting: limits.maxPendingRequests,
      ...destination(context, cluster),
    },
  }
}

export function compileForwardProxy(
  context: Context,
  cluster: Cluster,
  config: DynamicForwardProxyClusterConfig,
): Found {
  checkProvided(context, cluster, 'a dynamic forward proxy')
  const cache = compileDnsCache(context, config)
  if (cache === undefined) return { hosts: [], localities: [] }
  return {
    hosts: [],
    localities: [],
    discovery: { kind: 'forward-proxy', cache },
    onDemand: {
      kind: 'forward-proxy',
      wait: cache.queryTimeout + kGrace,
      maxWaiting: cache.maxPending,
    },
  }
}

function destination(context: Context, cluster: Cluster): Pick<NativeOnDemand, 'header' | 'port'> {
  const options = cluster.original_dst_lb_config
  if (options === undefined) return {}
  const { use_http_header: useHeader = false, upstream_port_override: port } = options
  const name = options.http_header_name || kHeader
  if (!useHeader && options.http_header_name) {
    const text = 'is read with use_http_header: true only'
    context.origins.add(options, ['http_header_name'], 'conflict', text)
  } else if (!kFieldName.test(name)) {
    const text = `"${name}" is no name of a header`
    context.origins.add(options, ['http_header_name'], 'bad-value', text)
  }
  if (port === 0) {
    context.origins.add(options, ['upstream_port_override'], 'bad-value', 'must not be 0')
  }
  return { ...(useHeader && { header: name.toLowerCase() }), ...(port && { port }) }
}

/** What the cluster does by itself is asked for by name, as Envoy wants it; and nothing else is. */
export function checkProvided(context: Context, cluster: Cluster, what: string): void {
  const { origins } = context
  if (cluster.lb_policy !== 'CLUSTER_PROVIDED' && !origins.wasRefused(cluster, 'lb_policy')) {
    const place = cluster.lb_policy === undefined ? undefined : (['lb_policy'] as const)
    const text = `${what} chooses hosts by itself`
    origins.add(cluster, place, 'bad-value', text, 'lb_policy: CLUSTER_PROVIDED')
  }
  const text = `is not read: the hosts of ${what} are those that requests name`
  for (const field of kUnread) {
    if (cluster[field] !== undefined) origins.add(cluster, [field], 'conflict', text)
  }
  const common = cluster.common_lb_config
  for (const field of kUnreadCommon) {
    if (common?.[field] !== undefined) origins.add(common, [field], 'conflict', text)
  }
}

/** Options of original destinations, in a cluster of another type. */
export function refuseOriginalDst(context: Context, cluster: Cluster): void {
  for (const field of ['original_dst_lb_config', 'cleanup_interval'] as const) {
    if (cluster[field] === undefined) continue
    const text = 'is read with type ORIGINAL_DST only'
    context.origins.add(cluster, [field], 'conflict', text)
  }
}
