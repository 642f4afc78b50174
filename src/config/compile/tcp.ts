/** The TCP proxy. */

import type { NativeClusterChoice, NativeTcpProxy } from '../../native/index.ts'
import type { TcpProxy } from '../schema/messages.generated.ts'
import { compileAccessLogs } from './access_log.ts'
import { type Context, checkCluster } from './context.ts'
import { kMostHeld } from './runtime_values.ts'

export function compileTcpProxy(context: Context, proxy: TcpProxy): NativeTcpProxy {
  return {
    kind: 'tcp',
    statPrefix: proxy.stat_prefix ?? '',
    cluster: compileChoice(context, proxy),
    idleTimeout: proxy.idle_timeout ?? 3_600_000,
    maxConnectAttempts: proxy.max_connect_attempts ?? 1,
    maxDownstreamDuration: proxy.max_downstream_connection_duration ?? 0,
    mostHeldFlag: context.resolver.runtime(kMostHeld),
    ...(proxy.hash_policy?.some((policy) => policy.source_ip !== undefined) && {
      hashSourceIp: true,
    }),
    accessLogs: compileAccessLogs(context, proxy.access_log),
  }
}

function compileChoice(context: Context, proxy: TcpProxy): NativeClusterChoice {
  if (proxy.weighted_clusters === undefined) {
    const name = proxy.cluster ?? ''
    checkCluster(context, proxy, 'cluster', name)
    return { kind: 'cluster', name, slot: context.resolver.cluster(name) }
  }
  const clusters = (proxy.weighted_clusters.clusters ?? []).map((entry) => {
    const { name = '', weight = 0 } = entry
    checkCluster(context, entry, 'name', name)
    return { name, slot: context.resolver.cluster(name), weight }
  })
  const totalWeight = clusters.reduce((sum, entry) => sum + entry.weight, 0)
  return { kind: 'weighted', clusters, totalWeight }
}
