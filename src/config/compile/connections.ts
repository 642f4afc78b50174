/** How connections to the hosts of a cluster are made. */

import { isIPv4 } from 'node:net'
import type { NativeAddress, NativeCluster, NativeConnect } from '../../native/index.ts'
import type {
  BindConfig,
  Cluster,
  SocketAddress,
  SocketOption,
  TcpKeepalive,
  TransportSocket,
} from '../schema/messages.generated.ts'
import { socketAddress } from './address.ts'
import { type Context, unpack } from './context.ts'

const kProxyProtocol =
  'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport'

export function compileConnections(
  context: Context,
  cluster: Cluster,
): Pick<NativeCluster, 'keepalive' | 'connect'> {
  const options = cluster.upstream_connection_options
  const keepalive = options?.tcp_keepalive
  const connect: NativeConnect = {
    ...compileBind(context, cluster.upstream_bind_config),
    ...compileHappyEyeballs(options?.happy_eyeballs_config),
    ...compilePreconnect(cluster.preconnect_policy),
    ...proxyProtocol(context, cluster.transport_socket),
    ...(cluster.connection_pool_per_downstream_connection && { poolPerDownstream: true }),
    ...(cluster.close_connections_on_host_health_failure && { closeOnHealthFailure: true }),
  }
  return {
    ...(keepalive && { keepalive: compileKeepalive(keepalive) }),
    ...(Object.keys(connect).length > 0 && { connect }),
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

type Bind = Pick<NativeConnect, 'bind' | 'freebind' | 'socketOptions'>

function compileBind(context: Context, config: BindConfig | undefined): Bind {
  if (config === undefined) return {}
  const bind = [config.source_address, extraAddress(context, config)].flatMap(
    (address) => (address && socketAddress(context, address)) ?? [],
  )
  checkFamilies(context, config, bind)
  const options = config.socket_options ?? []
  return {
    ...(bind.length > 0 && { bind }),
    ...(config.freebind !== undefined && { freebind: config.freebind }),
    ...(options.length > 0 && {
      socketOptions: options.map((option) => compileOption(context, option)),
    }),
  }
}

/** One may be there, of the other family (default_local_address_selector.proto). */
function extraAddress(context: Context, config: BindConfig): SocketAddress | undefined {
  const extra = config.extra_source_addresses ?? []
  const older = config.additional_source_addresses ?? []
  if (extra.length + older.length > 1) {
    const field = extra.length > 1 ? 'extra_source_addresses' : 'additional_source_addresses'
    const text = 'at most one address beside source_address, of the other IP version'
    context.origins.add(config, [field], 'bad-value', text)
  }
  for (const one of extra) {
    if (one.socket_options === undefined) continue
    const text = 'options of one address alone are not supported yet'
    context.origins.add(one, ['socket_options'], 'not-supported', text)
  }
  return extra[0]?.address ?? older[0]
}

function checkFamilies(context: Context, config: BindConfig, bind: readonly NativeAddress[]): void {
  const [first, second] = bind.map((address) => 'ip' in address && isIPv4(address.ip))
  if (second === undefined || first !== second) return
  const text = 'the addresses to bind must be of different IP versions'
  context.origins.add(config, ['extra_source_addresses'], 'bad-value', text)
}

function compileOption(
  context: Context,
  option: SocketOption,
): NonNullable<NativeConnect['socketOptions']>[number] {
  const { level = 0, name = 0, int_value: int, buf_value: buffer, state } = option
  if (state !== undefined && state !== 'STATE_PREBIND') {
    const text = `${state} is for listeners; connections are set up with STATE_PREBIND`
    context.origins.add(option, ['state'], 'bad-value', text)
  }
  if (int !== undefined && (int | 0) !== int) {
    context.origins.add(option, ['int_value'], 'bad-value', 'must fit into 32 bits')
  }
  const value = buffer ?? new Uint8Array(Int32Array.of(int ?? 0).buffer)
  return { level: Number(level), name: Number(name), value }
}

function compileHappyEyeballs(
  config: NonNullable<Cluster['upstream_connection_options']>['happy_eyeballs_config'],
): Pick<NativeConnect, 'firstFamily' | 'firstFamilyCount'> {
  const family = config?.first_address_family_version ?? 'DEFAULT'
  const count = config?.first_address_family_count
  return {
    ...(family !== 'DEFAULT' && { firstFamily: family === 'V4' ? 'v4' : 'v6' }),
    ...(count !== undefined && { firstFamilyCount: count }),
  }
}

function compilePreconnect(
  policy: Cluster['preconnect_policy'],
): Pick<NativeConnect, 'perUpstreamPreconnect' | 'predictivePreconnect'> {
  const { per_upstream_preconnect_ratio: ratio, predictive_preconnect_ratio: predictive } =
    policy ?? {}
  return {
    ...(ratio !== undefined && { perUpstreamPreconnect: ratio }),
    ...(predictive !== undefined && { predictivePreconnect: predictive }),
  }
}

function proxyProtocol(
  context: Context,
  socket: TransportSocket | undefined,
): Pick<NativeConnect, 'proxyProtocol'> {
  const wrapper = unpack(socket?.typed_config, kProxyProtocol)
  if (wrapper === undefined) return {}
  if (wrapper.transport_socket === undefined) {
    const text = 'needs transport_socket'
    context.origins.addMissing(wrapper, text, 'with envoy.transport_sockets.raw_buffer')
  } else if (unpack(wrapper.transport_socket.typed_config, kProxyProtocol) !== undefined) {
    const text = 'one PROXY header is enough: the inner socket must be raw_buffer'
    context.origins.add(wrapper, ['transport_socket'], 'bad-value', text)
  }
  return { proxyProtocol: wrapper.config?.version === 'V2' ? 'v2' : 'v1' }
}

/** It is for upstreams only; a listener reads PROXY headers in a listener filter. */
export function refuseProxyProtocol(
  context: Context,
  chain: object,
  socket?: TransportSocket,
): void {
  if (unpack(socket?.typed_config, kProxyProtocol) === undefined) return
  const text = 'the PROXY protocol transport socket is for clusters'
  context.origins.add(chain, ['transport_socket'], 'bad-value', text)
}
