/** Clusters: hosts, limits and options of their connections. */

import type { NativeCluster } from '../../native/index.ts'
import type {
  Cluster,
  Http1ProtocolOptions,
  HttpProtocolOptions,
  LbEndpoint,
  TcpKeepalive,
  HttpHttpProtocolOptions as UpstreamOptions,
} from '../schema/messages.generated.ts'
import type { ClusterDefinition, HostDefinition } from '../types.ts'
import { compileAddress, socketAddress } from './address.ts'
import { compileBreakers } from './breakers.ts'
import { type Context, unpack } from './context.ts'

const kHour = 3_600_000
const kOptionsName = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'

export function compileCluster(context: Context, cluster: Cluster): ClusterDefinition {
  const { options, common, http1 } = httpOptions(context, cluster)
  if (options !== undefined) checkOptions(context, common, http1)
  const { name = '', alt_stat_name: statName = '', upstream_bind_config: bindConfig } = cluster
  const keepalive = cluster.upstream_connection_options?.tcp_keepalive
  const bind = bindConfig?.source_address && socketAddress(context, bindConfig.source_address)
  return {
    name,
    statName: statName === '' ? name : statName,
    hosts: compileHosts(context, cluster),
    localities: [],
    lb: { policy: 'round-robin', panicThreshold: 50 },
    connectTimeout: cluster.connect_timeout ?? 5000,
    idleTimeout: common?.idle_timeout ?? kHour,
    maxConnectionDuration: common?.max_connection_duration ?? 0,
    maxRequestsPerConnection:
      common?.max_requests_per_connection ?? cluster.max_requests_per_connection ?? 0,
    bufferLimit: cluster.per_connection_buffer_limit_bytes ?? 1_048_576,
    maxResponseHeaderBytes: 80 * 1024,
    maxResponseHeaders: common?.max_headers_count ?? 100,
    enableTrailers: http1?.enable_trailers ?? false,
    breakers: compileBreakers(context, name, cluster.circuit_breakers),
    ...(keepalive && { keepalive: compileKeepalive(keepalive) }),
    ...(bind && { bind }),
  }
}

/** The options of the extension, or else the older ones of the cluster itself. */
function httpOptions(
  context: Context,
  cluster: Cluster,
): {
  options: UpstreamOptions | undefined
  common: HttpProtocolOptions | undefined
  http1: Http1ProtocolOptions | undefined
} {
  const extensions = cluster.typed_extension_protocol_options ?? {}
  for (const key of Object.keys(extensions)) {
    if (key === kOptionsName) continue
    const text = `the key of these options is ${kOptionsName}`
    context.origins.add(cluster, ['typed_extension_protocol_options'], 'bad-value', text)
  }
  const options = unpack(extensions[kOptionsName], kOptionsName)
  if (options === undefined) {
    const { common_http_protocol_options: common, http_protocol_options: http1 } = cluster
    return { options: undefined, common, http1 }
  }
  if (options.explicit_http_config === undefined) {
    const text = 'needs explicit_http_config'
    context.origins.addMissing(options, text, 'with http_protocol_options: {} for HTTP/1.1')
  }
  const http1 = options.explicit_http_config?.http_protocol_options
  return { options, common: options.common_http_protocol_options, http1 }
}

/** Fields that are built for clients' connections, and not for those to upstreams. */
function checkOptions(
  context: Context,
  common: HttpProtocolOptions | undefined,
  http1: Http1ProtocolOptions | undefined,
): void {
  const later = 'not supported yet on connections to upstreams'
  if (common?.max_stream_duration !== undefined) {
    context.origins.add(common, ['max_stream_duration'], 'not-supported', later)
  }
  if (http1?.header_key_format !== undefined) {
    context.origins.add(http1, ['header_key_format'], 'not-supported', later)
  }
}

function compileHosts(context: Context, cluster: Cluster): HostDefinition[] {
  // Of a kind of discovery that was refused, the endpoints are names, as they should be.
  if (context.origins.wasRefused(cluster, 'type')) return []
  const endpoints = cluster.load_assignment?.endpoints ?? []
  return endpoints
    .flatMap((locality) => locality.lb_endpoints ?? [])
    .flatMap((endpoint) => compileHost(context, endpoint) ?? [])
}

function compileHost(context: Context, lbEndpoint: LbEndpoint): HostDefinition | undefined {
  const { endpoint, load_balancing_weight: weight = 1, health_status: health } = lbEndpoint
  if (endpoint === undefined) {
    context.origins.addMissing(lbEndpoint, 'needs endpoint')
    return undefined
  }
  const address = compileAddress(context, endpoint.address, endpoint, 'an endpoint')
  if (address === undefined) return undefined
  const socket = endpoint.address?.socket_address
  if (socket?.port_value === 0) {
    const text = 'the port of an endpoint must not be 0'
    context.origins.add(socket, ['port_value'], 'bad-value', text)
  }
  const healthy = health === undefined || health === 'UNKNOWN' || health === 'HEALTHY'
  return {
    address,
    hostname: endpoint.hostname ?? '',
    weight,
    priority: 0,
    locality: 0,
    health: healthy ? 'healthy' : 'unhealthy',
  }
}

/** Absent numbers are Linux's own defaults. */
function compileKeepalive(keepalive: TcpKeepalive): NonNullable<NativeCluster['keepalive']> {
  return {
    idle: keepalive.keepalive_time ?? 7200,
    interval: keepalive.keepalive_interval ?? 75,
    probes: keepalive.keepalive_probes ?? 9,
  }
}
