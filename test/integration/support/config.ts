// Envoy bootstraps for tests, as objects.

type Json = Readonly<Record<string, unknown>>

const kFilters = 'type.googleapis.com/envoy.extensions.filters'
const kHcm = `${kFilters}.network.http_connection_manager.v3.HttpConnectionManager`
const kRouter = `${kFilters}.http.router.v3.Router`
const kTcpProxy = `${kFilters}.network.tcp_proxy.v3.TcpProxy`
const kFileLog = 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog'

export function socketAddress(port: number): Json {
  return { socket_address: { address: '127.0.0.1', port_value: port } }
}

export function cluster(name: string, ports: readonly number[], fields: Json = {}): Json {
  return {
    name,
    type: 'STATIC',
    connect_timeout: '2s',
    load_assignment: {
      cluster_name: name,
      endpoints: [
        { lb_endpoints: ports.map((port) => ({ endpoint: { address: socketAddress(port) } })) },
      ],
    },
    ...fields,
  }
}

/** A route of everything under `prefix` to a cluster. */
export function route(prefix: string, to: string, action: Json = {}): Json {
  return { match: { prefix }, route: { cluster: to, ...action } }
}

/** One line for each request, `%REQ(:PATH)%` first, into a file. */
export function fileLog(
  path: string,
  format = '%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS%\n',
): Json {
  return {
    name: 'envoy.access_loggers.file',
    typed_config: {
      '@type': kFileLog,
      path,
      log_format: { text_format_source: { inline_string: format } },
    },
  }
}

interface HttpListener {
  readonly name?: string
  readonly port?: number
  readonly routes: readonly Json[]
  /** Of the connection manager. */
  readonly manager?: Json
  /** Of the listener. */
  readonly fields?: Json
}

export function httpListener({
  name = 'main',
  port = 0,
  routes,
  manager,
  fields,
}: HttpListener): Json {
  const typed_config = {
    '@type': kHcm,
    stat_prefix: name,
    route_config: {
      name: `${name}-routes`,
      virtual_hosts: [{ name: 'all', domains: ['*'], routes }],
    },
    http_filters: [{ name: 'envoy.filters.http.router', typed_config: { '@type': kRouter } }],
    ...manager,
  }
  const filter = { name: 'envoy.filters.network.http_connection_manager', typed_config }
  return {
    name,
    address: socketAddress(port),
    filter_chains: [{ filters: [filter] }],
    ...fields,
  }
}

export function tcpListener(name: string, to: string, fields: Json = {}): Json {
  const typed_config = { '@type': kTcpProxy, stat_prefix: name, cluster: to, ...fields }
  const filter = { name: 'envoy.filters.network.tcp_proxy', typed_config }
  return { name, address: socketAddress(0), filter_chains: [{ filters: [filter] }] }
}

export function bootstrap(listeners: readonly Json[], clusters: readonly Json[]): Json {
  return { static_resources: { listeners, clusters } }
}

/** One listener that sends everything to one cluster. */
export function simple(ports: readonly number[], more: Partial<HttpListener> = {}): Json {
  return bootstrap(
    [httpListener({ routes: [route('/', 'web')], ...more })],
    [cluster('web', ports)],
  )
}
