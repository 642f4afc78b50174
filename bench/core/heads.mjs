// What the worst head that the limits allow costs a worker, for each feature that looks at heads:
// every feature meets every head, and the dearest is shown. CPU time of the worker's thread, so
// that the client and the machine are not in it. test/native/worker/worst_heads_test.cc counts
// instead, and decides.
import { connect } from 'node:net'
import { createProxy } from '../../dist/index.js'
import { median, threadCpuMs, threadsNamed } from './measure.mjs'

const BYTES = 56 * 1024
const FIELDS = 95
const ROUTES = 1_000
const REQUESTS = 5
const WORST_MS = 50

const repeat = (piece, bytes = BYTES) =>
  piece.repeat(Math.max(0, Math.floor(bytes / (piece.length || 1))))
const request = (path, fields = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
const one = (name, piece) => request('/', `${name}: ${repeat(piece)}\r\n`)
const many = (name, piece) =>
  request(
    '/',
    Array.from({ length: FIELDS }, (_, i) => {
      const key = name(String(i).padStart(2, '0'))
      return `${key}: ${repeat(piece, BYTES / FIELDS - key.length - 4)}\r\n`
    }).join(''),
  )

const heads = {
  'a long path': request(`/${repeat('a')}`),
  'a path of dots': request(`/${repeat('../')}`),
  'a path of escapes': request(`/${repeat('%2e%2e%2F')}`),
  'a path of x/': request(`/${repeat('x/')}`),
  'a query of many parameters': request(`/?${repeat('p=1&q&')}`),
  'one long value': one('x-user', 'a'),
  'one value of quotes': one('x-user', '"'),
  'one name in many lines': many(() => 'x-user', 'a'),
  'many names alike': many((i) => `x-h${i}`, 'a'),
  'many names with underscores': many((i) => `x_${i}`, 'a'),
  'long names': many((i) => `${'x'.repeat(BYTES / FIELDS - 8)}${i}`, ''),
  cookies: one('Cookie', 'a=b; '),
  'X-Forwarded-For in many lines': many(() => 'X-Forwarded-For', '1.1.1.1,'),
  'Connection of commas': one('Connection', ','),
}

const http = 'type.googleapis.com/envoy.extensions.filters'
const routes = (matches) =>
  matches.map((match) => ({ match: { prefix: '/', ...match }, direct_response: { status: 404 } }))
const list = (of, count = ROUTES) => Array.from({ length: count }, (_, i) => of(i))
const string = (of) => list((i) => ({ headers: [{ name: 'x-user', string_match: of(i) }] }))
const formats = ['%REQ(X-USER)%', '%REQ(:PATH)%', '%REQ(COOKIE)%', '%QUERY_PARAM(none)%']
const rewriting = { pattern: { regex: 'a(.*b)?' }, substitution: 'c' }
const fileLog = (format) => ({
  name: 'envoy.access_loggers.file',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
    path: '/dev/null',
    log_format: format,
  },
})
const added = formats.map((value, i) => ({ header: { key: `x-made-${i}`, value } }))

/** What each changes: routes in front, of the last route, of the connection manager. */
const features = {
  nothing: {},
  [`${ROUTES} routes by one header, exact`]: {
    before: routes(string((i) => ({ exact: `u${i}` }))),
  },
  [`${ROUTES} routes by a header each`]: {
    before: routes(list((i) => ({ headers: [{ name: `x-h${i}`, present_match: true }] }))),
  },
  [`${ROUTES} routes by one header, contains`]: {
    before: routes(string((i) => ({ contains: `aaaaaaab${i}` }))),
  },
  [`${ROUTES} routes by one header, expression`]: {
    before: routes(string((i) => ({ safe_regex: { regex: `.*b${i % 9}` } }))),
  },
  [`${ROUTES} routes by parameters`]: {
    before: routes(list((i) => ({ query_parameters: [{ name: `p${i}`, present_match: true }] }))),
  },
  [`${ROUTES} routes by expressions of the path`]: {
    before: list((i) => ({
      match: { safe_regex: { regex: `.*\\.x${i % 9}` } },
      direct_response: { status: 404 },
    })),
  },
  [`${ROUTES} prefixes within one another`]: {
    before: list((i) => ({
      match: { prefix: `/${'a'.repeat(i)}`, headers: [{ name: 'x-none', present_match: true }] },
      direct_response: { status: 404 },
    })),
  },
  'a path normalised': {
    manager: {
      normalize_path: true,
      merge_slashes: true,
      path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD',
    },
  },
  'a redirect with an expression': {
    last: { redirect: { regex_rewrite: rewriting }, direct_response: undefined },
  },
  'response headers by formats': { last: { response_headers_to_add: added } },
  'a text log': {
    manager: {
      access_log: [fileLog({ text_format_source: { inline_string: `${formats.join(' ')}\n` } })],
    },
  },
  'a JSON log': {
    manager: {
      access_log: [fileLog({ json_format: Object.fromEntries(formats.entries()) })],
    },
  },
  'names with underscores dropped': {
    manager: { common_http_protocol_options: { headers_with_underscores_action: 'DROP_HEADER' } },
  },
  'forwarded fields and Via': {
    manager: { use_remote_address: true, xff_num_trusted_hops: 10, via: '1.1 here' },
  },
}

function configuration({ before = [], last = {}, manager = {} }) {
  const host = {
    name: 'v',
    domains: ['*'],
    routes: [...before, { match: { prefix: '/' }, direct_response: { status: 200 }, ...last }],
  }
  const typed = {
    '@type': `${http}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'a',
    route_config: { virtual_hosts: [host] },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': `${http}.http.router.v3.Router` },
      },
    ],
    ...manager,
  }
  const filter = { name: 'envoy.filters.network.http_connection_manager', typed_config: typed }
  const address = { socket_address: { address: '127.0.0.1', port_value: 0 } }
  return JSON.parse(
    JSON.stringify({
      static_resources: {
        listeners: [{ name: 'a', address, filter_chains: [{ filters: [filter] }] }],
      },
    }),
  )
}

/** Ends with the answer. Resolves with its status. */
function exchange(port, head) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let status
    socket.on('error', reject)
    socket.on('data', (data) => {
      status ??= Number(data.toString('latin1', 9, 12))
    })
    socket.on('close', () => resolve(status))
    socket.write(head.replace('\r\n', '\r\nConnection: close\r\n'))
  })
}

async function worstHeads({ rounds }) {
  const rows = []
  for (const [way, feature] of Object.entries(features)) {
    const proxy = await createProxy(configuration(feature), { concurrency: 1 })
    const [tid] = threadsNamed('millrace-w')
    const port = proxy.addresses[0].port
    const us = async (head) => {
      const times = []
      let status
      for (let round = 0; round < rounds; round++) {
        const before = threadCpuMs(tid)
        for (let i = 0; i < REQUESTS; i++) status = await exchange(port, head)
        times.push(((threadCpuMs(tid) - before) * 1000) / REQUESTS)
      }
      return { us: median(times), status }
    }
    const small = await us(request('/'))
    let worst = { us: 0 }
    for (const [head, text] of Object.entries(heads)) {
      const found = await us(text)
      if (found.us > worst.us) worst = { head, ...found }
    }
    await proxy.close()
    rows.push({ way, small: small.us, ...worst, reached: worst.us <= WORST_MS * 1000 })
  }
  return rows
}

export const scenarios = [
  {
    name: 'heads',
    title: 'The worst head for each feature that looks at heads',
    goal: `at most ${WORST_MS} ms of a worker for one request, whatever is configured`,
    columns: {
      small: 'a usual request, µs',
      us: 'the worst, µs',
      head: 'which is',
      status: 'answered with',
    },
    run: worstHeads,
  },
]
