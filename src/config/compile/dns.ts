/** How names are resolved, and how often: of DNS clusters and of DNS caches. */

import type { DnsDefinition, DnsFamily, DnsResolverDefinition } from '../definitions.ts'
import type {
  Address,
  CaresDnsResolverConfig,
  Cluster,
  ClusterRefreshRate,
  DnsResolverOptions,
  TypedExtensionConfig,
} from '../schema/messages.generated.ts'
import { addressText, socketAddress } from './address.ts'
import { type Context, unpack } from './context.ts'

const kCares = 'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig'

const families: Readonly<Record<string, DnsFamily>> = {
  AUTO: 'auto',
  V4_ONLY: 'v4-only',
  V6_ONLY: 'v6-only',
  V4_PREFERRED: 'v4-preferred',
  ALL: 'all',
}

export function compileDns(
  context: Context,
  cluster: Cluster,
  strict: boolean,
  targets: DnsDefinition['targets'],
): DnsDefinition {
  return {
    kind: 'dns',
    strict,
    targets,
    refresh: cluster.dns_refresh_rate ?? 5000,
    ...compileFailureRefresh(context, cluster.dns_failure_refresh_rate),
    respectTtl: cluster.respect_dns_ttl ?? false,
    jitter: cluster.dns_jitter ?? 0,
    family: compileFamily(cluster.dns_lookup_family),
    resolver: compileResolver(context, cluster),
    waitForWarm: cluster.wait_for_warm_on_init ?? true,
  }
}

export const compileFamily = (family = 'AUTO'): DnsFamily => families[family] ?? 'auto'

export function compileFailureRefresh(
  context: Context,
  rate: ClusterRefreshRate | undefined,
): Pick<DnsDefinition, 'failureRefresh'> {
  if (rate === undefined) return {}
  const base = rate.base_interval ?? 0
  const max = rate.max_interval ?? 10 * base
  if (max < base) {
    const text = `must not be below base_interval, which is ${base} ms`
    context.origins.add(rate, ['max_interval'], 'bad-value', text)
  }
  return { failureRefresh: { base, max } }
}

type AsksDns = NonNullable<Context['dns']> & Pick<Cluster, 'dns_resolvers'>

/** What a message says itself, newest field first, or else what the bootstrap says. */
export function compileResolver(context: Context, message: AsksDns): DnsResolverDefinition {
  for (const part of [message, context.dns ?? {}]) {
    const { typed_dns_resolver_config: typed, dns_resolution_config: older } = part
    const cares = typed && caresOf(context, typed)
    if (cares) return resolver(context, cares.resolvers, cares.dns_resolver_options, cares)
    if (older) return resolver(context, older.resolvers, older.dns_resolver_options)
  }
  return resolver(context, message.dns_resolvers, undefined)
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
