// node pool_chaos.mjs SEED ROUNDS: clients, mirrors and retries through one proxy whose cluster has
// other options in each round, while hosts leave and come, connections end at every point of an
// exchange, clients leave, and the configuration is applied anew. Prints one line of JSON: what was
// answered, what was wrong, and what is left when all is over. It judges nothing about speed: who
// looks for faults of memory runs it under AddressSanitizer.
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createProxy } from '../../../dist/index.js'

const SEED = Number(process.argv[2] ?? 1)
const ROUNDS = Number(process.argv[3] ?? 40)
const ORIGINS = 3
const CLIENTS = 10
const REQUESTS_OF_A_CLIENT = 6
const ROUND_MS = 2_000
const SETTLE_MS = 20_000

let state = SEED >>> 0
/** A whole number below n (mulberry32). */
function random(n) {
  state = (state + 0x6d2b79f5) >>> 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) % n
}
const chance = (percent) => random(100) < percent
const anyOf = (list) => list[random(list.length)]

// ---- Origins

/** How an exchange goes at an origin; each ends its connection or leaves it as it may. */
const MANNERS = [
  (socket, body) => socket.write(response(body)),
  (socket, body) => socket.write(response(body)),
  (socket, body) => socket.write(response(body)),
  (socket, body) => socket.end(response(body)),
  (socket, body) => socket.end(response(body, 'connection: close\r\n')),
  (socket, body) => socket.write(response(body) + response('/stray')),
  (socket, body) => {
    socket.write(response(body))
    setTimeout(() => socket.destroyed || socket.end(response('/stray')), 1)
  },
  (socket, body) => setTimeout(() => socket.destroyed || socket.write(response(body)), random(30)),
  (socket) => socket.resetAndDestroy(),
  (socket) => socket.end(),
  (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-le')
    setImmediate(() => socket.resetAndDestroy())
  },
  (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf')
    setTimeout(() => socket.resetAndDestroy(), random(10))
  },
  (socket) => socket.write('HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n'),
  (socket) => socket.write('HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end'),
  () => {}, // never answers
]

const response = (body, fields = '') =>
  `HTTP/1.1 200 OK\r\n${fields}content-length: ${body.length}\r\n\r\n${body}`

const sockets = new Set()
function keep(socket) {
  sockets.add(socket)
  socket.on('error', () => {})
  socket.on('close', () => sockets.delete(socket))
}

function serve(socket) {
  keep(socket)
  if (chance(3)) return socket.resetAndDestroy()
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk) => {
    text += chunk
    for (;;) {
      const head = /(?:^|\r\n)(GET|PUT|POST) (\S+) HTTP\/1.1\r\n[\s\S]*?\r\n\r\n/.exec(text)
      if (head === null) return
      const size = Number(/content-length: (\d+)/i.exec(head[0])?.[1] ?? 0)
      const end = head.index + head[0].length + size
      if (text.length < end) return
      text = text.slice(end)
      anyOf(MANNERS)(socket, head[2])
    }
  })
  return undefined
}

async function origin() {
  const server = createServer({ allowHalfOpen: chance(50) }, serve)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

// ---- Configurations

const type = (name) => `type.googleapis.com/envoy.extensions.${name}`
const address = (port) => ({ socket_address: { address: '127.0.0.1', port_value: port } })
const rawBuffer = {
  name: 'envoy.transport_sockets.raw_buffer',
  typed_config: { '@type': type('transport_sockets.raw_buffer.v3.RawBuffer') },
}
const proxied = (version) => ({
  name: 'envoy.transport_sockets.upstream_proxy_protocol',
  typed_config: {
    '@type': type('transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport'),
    config: { version },
    transport_socket: rawBuffer,
  },
})

function clusterOptions() {
  const options = {}
  if (chance(35)) options.connection_pool_per_downstream_connection = true
  if (chance(35)) options.transport_socket = proxied(anyOf(['V1', 'V2']))
  if (chance(30)) {
    options.preconnect_policy = { per_upstream_preconnect_ratio: 2, predictive_preconnect_ratio: 2 }
  }
  if (chance(40)) {
    const limits = {}
    if (chance(50)) limits.max_connections = 1 + random(3)
    if (chance(40)) limits.max_pending_requests = random(3)
    if (chance(30)) limits.max_requests = 1 + random(4)
    if (chance(30)) limits.max_connection_pools = 1 + random(3)
    options.circuit_breakers = { thresholds: [limits] }
  }
  if (chance(30)) options.upstream_connection_options = { tcp_keepalive: { keepalive_time: 60 } }
  if (chance(20)) options.upstream_bind_config = { source_address: address(0).socket_address }
  if (chance(30)) {
    const common = { idle_timeout: anyOf(['0.005s', '60s']), max_requests_per_connection: 2 }
    options.typed_extension_protocol_options = {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': type('upstreams.http.v3.HttpProtocolOptions'),
        common_http_protocol_options: common,
        explicit_http_config: { http_protocol_options: {} },
      },
    }
  }
  return options
}

function cluster(name, ports, options) {
  const endpoints = [
    { lb_endpoints: ports.map((port) => ({ endpoint: { address: address(port) } })) },
  ]
  const load_assignment = { cluster_name: name, endpoints }
  return { name, type: 'STATIC', connect_timeout: '0.5s', load_assignment, ...options }
}

function onDemand(options) {
  return {
    name: 'named',
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    connect_timeout: '0.5s',
    cleanup_interval: '0.05s',
    original_dst_lb_config: { use_http_header: true },
    ...options,
  }
}

function routeAction(to) {
  const action = { cluster: to, timeout: '2s' }
  if (chance(50)) action.request_mirror_policies = [{ cluster: 'shadow' }]
  if (chance(60)) {
    action.retry_policy = {
      retry_on: '5xx,reset,connect-failure',
      num_retries: 2,
      per_try_timeout: '0.1s',
      retry_back_off: { base_interval: '0.001s' },
    }
    if (chance(40)) action.hedge_policy = { hedge_on_per_try_timeout: true }
  }
  return action
}

function configuration(ports, rules) {
  const routes = [
    { match: { prefix: '/named' }, route: rules.named },
    { match: { prefix: '/' }, route: rules.web },
  ]
  const manager = {
    '@type': type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'in',
    route_config: { name: 'all', virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': type('filters.http.router.v3.Router') },
      },
    ],
  }
  const filters = [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }]
  const { shadow, ...rest } = ports
  return {
    static_resources: {
      listeners: [{ name: 'in', address: address(0), filter_chains: [{ filters }] }],
      clusters: [
        cluster('web', rest.web, rules.webOptions),
        cluster('shadow', shadow, rules.shadowOptions),
        onDemand(rules.namedOptions),
      ],
    },
  }
}

const rules = () => ({
  web: routeAction('web'),
  named: routeAction('named'),
  webOptions: clusterOptions(),
  shadowOptions: clusterOptions(),
  namedOptions: {},
})

// ---- Clients

// `late`: got what an origin said unasked, a while after its answer: no proxy can tell that from an
// answer once it has sent another request there, nor from the other half of one.
const count = { answered: 0, wrong: 0, late: 0, refused: 0, cut: 0 }

function request(path, to) {
  const method = anyOf(['GET', 'GET', 'PUT', 'POST'])
  const body = method === 'GET' ? '' : 'x'.repeat(random(3) === 0 ? 20_000 : 10)
  const fields = [
    `${method} ${path} HTTP/1.1`,
    'host: a',
    `x-envoy-original-dst-host: 127.0.0.1:${to}`,
    `content-length: ${body.length}`,
  ]
  return `${fields.join('\r\n')}\r\n\r\n${body}`
}

/** Requests one after the other, or two at once, until there were enough or the client leaves. */
function client(port, ports, number) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const waiting = []
    let text = ''
    let sent = 0
    const leave = () => socket.resetAndDestroy()
    const timer = setTimeout(leave, chance(30) ? random(60) : ROUND_MS)
    const send = () => {
      if (sent === REQUESTS_OF_A_CLIENT) return socket.end()
      const path = `${chance(30) ? '/named' : '/web'}/${number}/${sent++}`
      waiting.push(path)
      socket.write(request(path, anyOf(ports)))
      if (chance(20) && sent < REQUESTS_OF_A_CLIENT) send()
      return undefined
    }
    const one = () => {
      const head = /^HTTP\/1.1 (\d+) [\s\S]*?\r\n\r\n/.exec(text)
      if (head === null) return false
      if (head[1].startsWith('1')) {
        text = text.slice(head[0].length)
        return true
      }
      const length = /content-length: (\d+)/i.exec(head[0])
      if (length === null) return false // until its end: the client leaves in its time
      const end = head[0].length + Number(length[1])
      if (text.length < end) return false
      const body = text.slice(head[0].length, end)
      text = text.slice(end)
      const path = waiting.shift()
      if (head[1] !== '200') count.refused++
      else if (body === path) count.answered++
      else if (body === '/stray' || body === 'halfHTTP/1') count.late++
      else count.wrong++
      if (waiting.length === 0) send()
      return true
    }
    socket.setEncoding('latin1').on('data', (chunk) => {
      text += chunk
      while (one());
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      count.cut += waiting.length
      resolve()
    })
    send()
  })
}

// ---- Rounds

async function gauges(proxy) {
  for await (const sample of proxy.stats({ interval: 1 })) return sample
  throw new Error('the proxy has ended')
}

const servers = await Promise.all(Array.from({ length: ORIGINS + 1 }, origin))
const all = servers.slice(0, ORIGINS).map((server) => server.address().port)
const last = servers[ORIGINS].address().port
const some = () => {
  const left = all.filter(() => chance(60))
  return left.length === 0 ? [anyOf(all)] : left
}
const ports = () => ({ web: some(), shadow: chance(50) ? [last] : some() })

let now = rules()
const proxy = await createProxy(configuration(ports(), now), { concurrency: 2, admin: 0 })
const listening = proxy.addresses[0].port
for (let round = 0; round < ROUNDS; round++) {
  now = rules()
  await proxy.apply(configuration(ports(), now))
  const clients = Array.from({ length: CLIENTS }, (_, i) => client(listening, all, `${round}.${i}`))
  let over = false
  const load = Promise.all(clients).then(() => {
    over = true
  })
  while (!over) {
    await Promise.race([load, sleep(10 + random(40))])
    if (over) break
    if (chance(50))
      await proxy.apply(configuration(ports(), now)) // hosts leave and come
    else if (chance(20)) await proxy.apply(configuration(ports(), { ...now, ...rules() }))
    if (chance(40)) for (const socket of sockets) if (chance(10)) socket.resetAndDestroy()
  }
}

// All is over: nothing may be left but what is idle, and with other hosts not even that.
for (const socket of sockets) socket.resetAndDestroy()
const none = { web: { cluster: 'web' }, named: { cluster: 'named' }, namedOptions: {} }
await proxy.apply(configuration({ web: [1], shadow: [1] }, none))
const names = ['upstream_cx_active', 'upstream_rq_active', 'upstream_rq_pending_active']
let left = {}
for (const deadline = Date.now() + SETTLE_MS; Date.now() < deadline; await sleep(50)) {
  const sample = await gauges(proxy)
  left = {}
  for (const name of ['web', 'shadow', 'named'].flatMap((c) =>
    names.map((n) => `cluster.${c}.${n}`),
  )) {
    const value = sample.get(name)?.value ?? 0
    if (value !== 0) left[name] = value
  }
  if (Object.keys(left).length === 0) break
}
await proxy.close()
for (const server of servers) server.close()
console.log(JSON.stringify({ seed: SEED, rounds: ROUNDS, ...count, left }))
// Not by running out of work: freeing its environment, Node may turn for ever on handles of sockets
// that were reset.
process.exit()
