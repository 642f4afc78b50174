/** DNS caches of the dynamic forward proxy, as its clusters and its filters name them. */

import { isIPv6 } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import type { DnsCacheDefinition } from '../definitions.ts'
import type { DnsCacheConfig, SocketAddress } from '../schema/messages.generated.ts'
import type { Context } from './context.ts'
import { compileFailureRefresh, compileFamily, compileResolver } from './dns.ts'

/** A cluster or a filter: a message that has such a cache. */
interface HasCache {
  readonly dns_cache_config?: DnsCacheConfig
}

/** Undefined: there is none, which was said. */
export function compileDnsCache(
  context: Context,
  message: HasCache,
): DnsCacheDefinition | undefined {
  const config = message.dns_cache_config
  if (config === undefined) {
    context.origins.addMissing(message, 'needs dns_cache_config')
    return undefined
  }
  const { name = '' } = config
  const cache: DnsCacheDefinition = {
    name,
    family: compileFamily(config.dns_lookup_family),
    resolver: compileResolver(context, config),
    refresh: config.dns_refresh_rate ?? 60_000,
    minRefresh: config.dns_min_refresh_rate ?? 5_000,
    ...compileFailureRefresh(context, config.dns_failure_refresh_rate),
    queryTimeout: config.dns_query_timeout ?? 5_000,
    hostTtl: config.host_ttl ?? 300_000,
    maxHosts: config.max_hosts ?? 1024,
    maxPending: config.dns_cache_circuit_breaker?.max_pending_requests ?? 1024,
    preresolve: (config.preresolve_hostnames ?? []).flatMap((host) => keyOf(context, host) ?? []),
  }
  const known = context.dnsCaches.get(name)
  if (known === undefined) {
    context.dnsCaches.set(name, cache)
  } else if (!isDeepStrictEqual(known, cache)) {
    const text = `another DNS cache "${name}" has other settings, and both must have the same`
    context.origins.add(config, undefined, 'conflict', text)
  }
  return cache
}

/** As workers name hosts. */
function keyOf(context: Context, host: SocketAddress): string | undefined {
  const { address = '', port_value: port } = host
  if (port === undefined || port === 0) {
    context.origins.addMissing(host, 'needs port_value')
    return undefined
  }
  const name = address.toLowerCase()
  return isIPv6(name) ? `[${name}]:${port}` : `${name}:${port}`
}
