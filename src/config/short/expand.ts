/**
 * The short form to Envoy's: listen, routes, hosts, upstreams, timeouts, access_log, admin. Every
 * node that is made points at what it was made from, so that whatever is found wrong later is said
 * in the user's own words.
 */

import { kindOf } from '../check/scalars.ts'
import type { Problems } from '../problems.ts'
import type { SourceNode } from '../source/tree.ts'
import { listenAddresses, loopbacksHere } from './address.ts'
import { kShortKeys } from './keys.ts'
import { nodeAt, type Spot, type Value } from './nodes.ts'
import { type Field, isNull, Reader, spotOf } from './reader.ts'
import { expandRotate } from './rotate.ts'
import { Routes } from './routes.ts'
import { Upstreams } from './upstreams.ts'

export const kTimeoutKeys: readonly string[] = [
  'connect',
  'response',
  'idle',
  'stream_idle',
  'headers',
  'request',
]
const kLaterKeys: Readonly<Record<string, string>> = { tls: 'TLS is not built yet' }

/** By words in lower case. */
const kStandardLogs: ReadonlyMap<string, 'stdout' | 'stderr'> = new Map([
  ['true', 'stdout'],
  ['yes', 'stdout'],
  ['on', 'stdout'],
  ['stdout', 'stdout'],
  ['stderr', 'stderr'],
])

const type = (name: string): string => `type.googleapis.com/envoy.extensions.${name}`
const kRotatingFile =
  'type.googleapis.com/millrace.access_loggers.rotating_file.v1.RotatingFileAccessLog'
const kManager = type('filters.network.http_connection_manager.v3.HttpConnectionManager')

/** The tree of a bootstrap; what cannot be expanded is left out, and said. */
export function expandShortForm(root: SourceNode, problems: Problems): SourceNode {
  const reader = new Reader(problems)
  const fields = reader.known(root, '', 'a configuration', kShortKeys, kLaterKeys)
  // A message is pointed at by its first line.
  const top: Spot = { start: root.start, end: root.start + 1, path: '' }
  const admin = fields.get('admin')
  return nodeAt(top, {
    ...(admin && !isOff(admin.node) ? { admin: expandAdmin(reader, admin) } : {}),
    static_resources: expandResources(reader, fields, top),
  })
}

function expandResources(reader: Reader, fields: ReadonlyMap<string, Field>, top: Spot): Value {
  const upstreams = new Upstreams(reader)
  const routes = new Routes(reader, upstreams)
  const timeouts = readTimeouts(reader, fields.get('timeouts'))
  upstreams.setConnectTimeout(timeouts.connect)
  routes.setTimeout(timeouts.response)
  const normalizes = readSwitch(reader, fields.get('normalize_paths')) ?? true
  routes.setNormalizes(normalizes)
  const named = fields.get('upstreams')
  if (named !== undefined) upstreams.define(named)
  const listed = fields.get('routes')
  if (listed !== undefined) routes.addRoutes(listed, '*')
  const hosts = fields.get('hosts')
  if (hosts !== undefined) routes.addHosts(hosts)
  if (listed === undefined && hosts === undefined) {
    reader.refuse(top, 'missing', 'needs routes', 'routes: {"/": "http://127.0.0.1:3000"}')
  }
  const addresses = expandListen(reader, fields.get('listen'), top)
  const log = fields.get('access_log')
  const manager = {
    '@type': kManager,
    stat_prefix: 'http',
    server_name: 'millrace',
    // What stands at the edge trusts nobody's X-Forwarded-For, and compares hosts and paths as
    // servers will read them.
    use_remote_address: true,
    normalize_path: normalizes,
    merge_slashes: normalizes,
    path_with_escaped_slashes_action: normalizes ? 'UNESCAPE_AND_FORWARD' : undefined,
    strip_trailing_host_dot: true,
    request_headers_timeout: timeouts.headers ?? '10s',
    request_timeout: timeouts.request,
    stream_idle_timeout: timeouts.stream_idle,
    common_http_protocol_options: timeouts.idle && { idle_timeout: timeouts.idle },
    access_log: log && expandLogs(reader, log),
    route_config: {
      name: 'routes',
      ignore_port_in_host_matching: true,
      virtual_hosts: routes.virtualHosts(),
    },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': type('filters.http.router.v3.Router') },
      },
    ],
  }
  const filter = { name: 'envoy.filters.network.http_connection_manager', typed_config: manager }
  const [address, ...more] = addresses
  const listener = address && {
    name: 'http',
    address,
    additional_addresses: more.length > 0 ? more.map((other) => ({ address: other })) : undefined,
    filter_chains: [{ filters: [filter] }],
  }
  return { listeners: listener ? [listener] : [], clusters: upstreams.clusters }
}

function expandListen(reader: Reader, field: Field | undefined, top: Spot): readonly SourceNode[] {
  if (field === undefined) {
    reader.refuse(top, 'missing', 'needs listen', 'listen: 8080')
    return []
  }
  const { node, path } = field
  const items = node.kind === 'list' ? node.items : [node]
  if (items.length === 0) reader.refuse(field.spot, 'bad-value', 'needs at least one address')
  return items.flatMap((item, i) => {
    const spot = spotOf(item, node.kind === 'list' ? `${path}[${i}]` : path)
    return listenAddresses(reader, item, spot, { anyHost: '0.0.0.0', localhost: loopbacksHere() })
  })
}

/** An address, where a port alone is one of this machine only; or Envoy's own message. */
function expandAdmin(reader: Reader, field: Field): Value | undefined {
  if (field.node.kind === 'map') return { ...field.node, path: field.path }
  const here = { anyHost: '127.0.0.1', localhost: ['127.0.0.1'] }
  const [address] = listenAddresses(reader, field.node, field.spot, here)
  return address && nodeAt(field.spot, { address })
}

type Timeouts = Readonly<Partial<Record<string, SourceNode>>>

function readTimeouts(reader: Reader, field: Field | undefined): Timeouts {
  if (field === undefined) return {}
  const fields = reader.known(field.node, field.path, 'a map of timeouts', kTimeoutKeys)
  return Object.fromEntries(
    [...fields].flatMap(([key, timeout]) => {
      const text = reader.duration(timeout)
      return text === undefined ? [] : [[key, nodeAt(timeout.spot, text)]]
    }),
  )
}

/** `true` or `false`. */
function readSwitch(reader: Reader, field: Field | undefined): boolean | undefined {
  const { node, spot } = field ?? {}
  if (!node || !spot) return undefined
  if (node.kind === 'scalar' && typeof node.value === 'boolean') return node.value
  return reader.refuse(spot, 'wrong-type', `is true or false, not ${kindOf(node)}`)
}

const isOff = (node: SourceNode): boolean =>
  node.kind === 'scalar' && /^(false|off|no)$/i.test(node.text)

/** `true`, `json`, `stdout`, `stderr`, a path, one or several of them with a format. */
function expandLogs(reader: Reader, field: Field): Value | undefined {
  if (isOff(field.node)) return undefined
  const { node, path } = field
  if (node.kind !== 'list')
    return [expandLog(reader, node, path)].filter((log) => log !== undefined)
  return node.items.flatMap((item, i) => expandLog(reader, item, `${path}[${i}]`) ?? [])
}

function expandLog(reader: Reader, node: SourceNode, path: string): Value | undefined {
  const spot = spotOf(node, path)
  if (node.kind !== 'map') {
    const isJson = node.kind === 'scalar' && node.text.toLowerCase() === 'json'
    if (!isJson) return logTo(reader, { node, spot }, undefined, undefined)
    return standardLog('stdout', spot, nodeAt(spot, { json_format: kJsonFields }))
  }
  const fields = reader.known(node, path, 'an access log', ['to', 'format', 'rotate'])
  const to = fields.get('to')
  if (to === undefined) return reader.refuse(spot, 'missing', 'needs "to"')
  const format = fields.get('format')
  return logTo(reader, to, format && logFormat(reader, format), fields.get('rotate'))
}

function logTo(
  reader: Reader,
  { node, spot }: Pick<Field, 'node' | 'spot'>,
  format: Value | undefined,
  rotate: Field | undefined,
): Value | undefined {
  const text = node.kind === 'scalar' && node.value !== null ? node.text : undefined
  if (text === undefined || text === '') {
    return reader.refuse(spot, 'wrong-type', `is stdout, stderr or a path, not ${kindOf(node)}`)
  }
  const standard = kStandardLogs.get(text.toLowerCase())
  if (standard !== undefined) {
    if (rotate === undefined) return standardLog(standard, spot, format)
    return reader.refuse(rotate.keySpot, 'bad-value', `goes with a path, not with ${standard}`)
  }
  // A word alone is more often a setting than a file.
  if (!/[./]/.test(text)) {
    const wrong = `is stdout, stderr or a path, not "${text}"`
    const hint = text.toLowerCase() === 'json' ? 'write format: json' : `write ./${text} for a file`
    return reader.refuse(spot, 'bad-value', wrong, hint)
  }
  if (rotate !== undefined) {
    return nodeAt(spot, {
      name: 'millrace.access_loggers.rotating_file',
      typed_config: {
        '@type': kRotatingFile,
        path: nodeAt(spot, text),
        log_format: format,
        rotation: expandRotate(reader, rotate),
      },
    })
  }
  return nodeAt(spot, {
    name: 'envoy.access_loggers.file',
    typed_config: {
      '@type': type('access_loggers.file.v3.FileAccessLog'),
      path: nodeAt(spot, text),
      log_format: format,
    },
  })
}

function standardLog(
  standard: 'stdout' | 'stderr',
  spot: Spot,
  format: Value | undefined,
): SourceNode {
  const message = standard === 'stdout' ? 'StdoutAccessLog' : 'StderrAccessLog'
  return nodeAt(spot, {
    name: `envoy.access_loggers.${standard}`,
    typed_config: { '@type': type(`access_loggers.stream.v3.${message}`), log_format: format },
  })
}

/**
 * A text (a line each, so its line feed is added), a map for JSON, or `json` for the usual fields.
 */
function logFormat(reader: Reader, field: Field): Value | undefined {
  const { node, spot } = field
  if (node.kind === 'map') return nodeAt(spot, { json_format: { ...node, path: field.path } })
  const text = isNull(node) ? undefined : reader.text(field, 'a text, a map, or json')
  if (text === undefined) return undefined
  if (text === 'json') return nodeAt(spot, { json_format: kJsonFields })
  const line = text.endsWith('\n') ? text : `${text}\n`
  const quoted = node.kind === 'scalar' && node.quoted
  return nodeAt(spot, {
    text_format_source: {
      inline_string: { kind: 'scalar', value: line, text, quoted, ...spot },
    },
  })
}

const kJsonFields: Readonly<Record<string, string>> = {
  time: '%START_TIME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  status: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration_ms: '%DURATION%',
  client: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  host: '%REQ(:AUTHORITY)%',
  upstream: '%UPSTREAM_HOST%',
}
