/** Clusters: hosts, limits and options of their connections. */

import type { ClusterDefinition } from '../definitions.ts'
import type {
  Cluster,
  Http1ProtocolOptions,
  HttpProtocolOptions,
  HttpHttpProtocolOptions as UpstreamOptions,
} from '../schema/messages.generated.ts'
import { compileLb } from './balancing.ts'
import { compileBreakers } from './breakers.ts'
import { compileConnections } from './connections.ts'
import { type Context, unpack } from './context.ts'
import { compileDiscovery } from './discovery.ts'
import { compileHealthCheck } from './health_checks.ts'
import { compileOutlier } from './outlier.ts'

const kHour = 3_600_000
const kMergeWindow = 1000
const kOptionsName = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'

export function compileCluster(context: Context, cluster: Cluster): ClusterDefinition {
  const { options, common, http1 } = httpOptions(context, cluster)
  if (options !== undefined) checkOptions(context, common, http1)
  const { name = '', alt_stat_name: statName = '' } = cluster
  const healthCheck = compileHealthCheck(context, cluster)
  return {
    name,
    statName: statName === '' ? name : statName,
    ...compileDiscovery(context, cluster),
    lb: compileLb(context, cluster),
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
    ...compileConnections(context, cluster),
    ...compileOutlier(context, cluster),
    ...(healthCheck && { healthCheck, reportImmediateFail: true }),
    updateMergeWindow: cluster.common_lb_config?.update_merge_window ?? kMergeWindow,
    ignoreHealthOnHostRemoval: cluster.ignore_health_on_host_removal ?? false,
    ignoreNewHostsUntilFirstCheck:
      cluster.common_lb_config?.ignore_new_hosts_until_first_hc ?? false,
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
