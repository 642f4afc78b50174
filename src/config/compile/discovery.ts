/** Where a cluster's hosts come from, other than its own list. */

import type {
  Address,
  CaresDnsResolverConfig,
  Cluster,
  DnsResolverOptions,
  TypedExtensionConfig,
} from '../schema/messages.generated.ts'
import { didYouMean } from '../suggest.ts'
import type {
  AggregateDefinition,
  DiscoveryDefinition,
  DnsDefinition,
  DnsFamily,
  DnsResolverDefinition,
  EdsDefinition,
  EndpointsDefinition,
} from '../upstream.ts'
import { addressText, socketAddress } from './address.ts'
import { type Context, unpack } from './context.ts'
import { compileEndpoints, compileTargets } from './endpoints.ts'
import { listAsAny } from './subsets.ts'

const kAggregate = 'envoy.extensions.clusters.aggregate.v3.ClusterConfig'
const kCares = 'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig'

const families: Readonly<Record<string, DnsFamily>> = {
  AUTO: 'auto',
  V4_ONLY: 'v4-only',
  V6_ONLY: 'v6-only',
  V4_PREFERRED: 'v4-preferred',
  ALL: 'all',
}

export type Found = EndpointsDefinition & { readonly discovery?: DiscoveryDefinition }

const kNothing: Found = { hosts: [], localities: [] }

export function compileDiscovery(context: Context, cluster: Cluster): Found {
  // Of a kind of discovery that was refused, the endpoints are what that kind takes.
  if (context.origins.wasRefused(cluster, 'type')) return kNothing
  if (context.origins.wasRefused(cluster, 'cluster_type')) return kNothing
  if (cluster.cluster_type !== undefined) return compileCustom(context, cluster)
  const type = cluster.type ?? 'STATIC'
  if (type === 'STATIC')
    return compileEndpoints(context, cluster.load_assignment, listAsAny(cluster))
  if (type === 'EDS') {
    const eds = compileEds(context, cluster)
    return eds === undefined ? kNothing : { ...kNothing, discovery: eds }
  }
  const { targets, localities } = compileTargets(
    context,
    cluster.load_assignment,
    listAsAny(cluster),
  )
  if (type === 'LOGICAL_DNS') checkLogical(context, cluster)
  const discovery = compileDns(context, cluster, type === 'STRICT_DNS', targets)
  return { hosts: [], localities, discovery }
}

function checkLogical(context: Context, cluster: Cluster): void {
  const localities = cluster.load_assignment?.endpoints ?? []
  if (localities.length === 1 && localities[0]?.lb_endpoints?.length === 1) return
  const text = 'a LOGICAL_DNS cluster has one locality with one endpoint'
  const hint = 'use STRICT_DNS for more than one name'
  const place = cluster.load_assignment === undefined ? undefined : (['load_assignment'] as const)
  context.origins.add(cluster, place, 'bad-value', text, hint)
}

function compileDns(
  context: Context,
  cluster: Cluster,
  strict: boolean,
  targets: DnsDefinition['targets'],
): DnsDefinition {
  const failure = cluster.dns_failure_refresh_rate
  const base = failure?.base_interval ?? 0
  const max = failure?.max_interval ?? 10 * base
  if (failure && max < base) {
    const text = `must not be below base_interval, which is ${base} ms`
    context.origins.add(failure, ['max_interval'], 'bad-value', text)
  }
  return {
    kind: 'dns',
    strict,
    targets,
    refresh: cluster.dns_refresh_rate ?? 5000,
    ...(failure && { failureRefresh: { base, max } }),
    respectTtl: cluster.respect_dns_ttl ?? false,
    jitter: cluster.dns_jitter ?? 0,
    family: families[cluster.dns_lookup_family ?? 'AUTO'] ?? 'auto',
    resolver: compileResolver(context, cluster),
    waitForWarm: cluster.wait_for_warm_on_init ?? true,
  }
}

/** Those of the cluster, newest field first, or else those of the bootstrap. */
function compileResolver(context: Context, cluster: Cluster): DnsResolverDefinition {
  for (const part of [cluster, context.dns ?? {}]) {
    const { typed_dns_resolver_config: typed, dns_resolution_config: older } = part
    const cares = typed && caresOf(context, typed)
    if (cares) return resolver(context, cares.resolvers, cares.dns_resolver_options, cares)
    if (older) return resolver(context, older.resolvers, older.dns_resolver_options)
  }
  return resolver(context, cluster.dns_resolvers, undefined)
}

function caresOf(
  context: Context,
  { typed_config: config, name: _name }: TypedExtensionConfig,
): CaresDnsResolverConfig | undefined {
  const cares = unpack(config, kCares)
  if (config !== undefined && cares === undefined) {
    context.origins.add(config, undefined, 'bad-value', 'is no DNS resolver')
  }
  return cares
}

function resolver(
  context: Context,
  addresses: readonly Address[] | undefined,
  options: DnsResolverOptions | undefined,
  cares: CaresDnsResolverConfig = {},
): DnsResolverDefinition {
  const servers = (addresses ?? []).flatMap((address) => {
    const socket = address.socket_address
    if (socket === undefined) {
      context.origins.addMissing(address, 'a DNS server needs a socket_address')
      return []
    }
    const found = socketAddress(context, socket)
    if (found === undefined || !('ip' in found)) return []
    return [addressText({ ...found, port: found.port || 53 })]
  })
  return {
    servers,
    serversAsFallback: cares.use_resolvers_as_fallback ?? false,
    search: !(options?.no_default_search_domain ?? false),
    routableOnly: cares.filter_unroutable_families ?? false,
  }
}

function compileEds(context: Context, cluster: Cluster): EdsDefinition | undefined {
  const { name = '', eds_cluster_config: config } = cluster
  const source = config?.eds_config
  if (source === undefined) {
    context.origins.addMissing(cluster, 'an EDS cluster needs eds_cluster_config.eds_config')
    return undefined
  }
  const path = source.path_config_source?.path ?? source.path
  if (path === undefined) {
    context.origins.addMissing(source, 'needs path_config_source')
    return undefined
  }
  if (cluster.load_assignment !== undefined) {
    const text = 'the endpoints of an EDS cluster are in its file'
    context.origins.add(cluster, ['load_assignment'], 'conflict', text)
  }
  const watched = source.path_config_source?.watched_directory?.path
  return {
    kind: 'eds',
    path,
    ...(watched !== undefined && watched !== '' && { watchedDirectory: watched }),
    serviceName: config?.service_name || name,
    namesService: Boolean(config?.service_name),
    listAsAny: listAsAny(cluster),
  }
}

function compileCustom(context: Context, cluster: Cluster): Found {
  const aggregate = unpack(cluster.cluster_type?.typed_config, kAggregate)
  if (aggregate === undefined) {
    const custom = cluster.cluster_type
    if (custom && !context.origins.isTouched(custom)) {
      context.origins.addMissing(custom, 'needs typed_config')
    }
    return kNothing
  }
  const clusters = aggregate.clusters ?? []
  clusters.forEach((name, i) => {
    if (name === cluster.name) {
      const text = 'an aggregate cluster cannot be a part of itself'
      context.origins.add(aggregate, ['clusters', i], 'bad-reference', text)
    } else if (!context.clusters.has(name)) {
      const hint = didYouMean(name, context.clusters)
      const text = `no cluster is called "${name}"`
      context.origins.add(aggregate, ['clusters', i], 'bad-reference', text, hint)
    }
  })
  const discovery: AggregateDefinition = { kind: 'aggregate', clusters }
  return { ...kNothing, discovery }
}
