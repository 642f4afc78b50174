// What becomes of clusters that are wrong, empty, gone, or not there yet: the rows of "Bad input" in
// docs/clusters.md.

import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { createProxy, type Proxy as TestedProxy } from '../../dist/index.js'
import { bootstrap, cluster, httpListener, route, tcpListener } from './support/config.ts'
import { freePort } from './support/dns.ts'
import {
  closedPort,
  get,
  httpService,
  RawClient,
  rawService,
  sayingService,
} from './support/peers.ts'

type Json = Readonly<Record<string, unknown>>

const open = new Set<{ close(): unknown }>()
afterEach(async () => {
  for (const one of open) await one.close()
  open.clear()
})

async function start(configuration: object, options: object = {}): Promise<TestedProxy> {
  const proxy = await createProxy(configuration as never, { concurrency: 2, ...options })
  open.add(proxy)
  return proxy
}

const url = (proxy: TestedProxy): string => `http://127.0.0.1:${proxy.addresses[0]?.port}`

async function said(proxy: TestedProxy, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(url(proxy), { headers })
  return `${response.status} ${await response.text()}`
}

async function count(proxy: TestedProxy, name: string): Promise<number> {
  for await (const sample of proxy.stats({ interval: 1 })) {
    const stat = sample.get(name)
    return stat && 'value' in stat ? stat.value : 0
  }
  return 0
}

const endpoint = (port: number, fields: Json = {}): Json => ({
  endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
  ...fields,
})
const withEndpoints = (...localities: readonly Json[]): Json => ({
  load_assignment: { cluster_name: 'web', endpoints: localities },
})
const listener = httpListener({ routes: [route('/', 'web')] })
const web = (fields: Json): Json => bootstrap([listener], [cluster('web', [], fields)])

describe('an endpoint', () => {
  it('that is there twice is one, as it stands first', async () => {
    const port = await sayingService('x')
    const named = { ...(endpoint(port).endpoint as Json), hostname: 'other' }
    const proxy = await start(
      web(
        withEndpoints(
          {
            lb_endpoints: [
              endpoint(port, { load_balancing_weight: 3 }),
              endpoint(port, { load_balancing_weight: 5 }),
              { endpoint: named },
            ],
          },
          { priority: 1, lb_endpoints: [endpoint(port)] },
        ),
      ),
    )
    expect(proxy.cluster('web').endpoints).toMatchObject([
      { weight: 3, hostname: '', priority: 0 },
      { weight: 1, hostname: 'other' },
    ])
    expect(await said(proxy)).toBe('200 x')
  })

  it.each([
    ['with weight 0', { lb_endpoints: [endpoint(1, { load_balancing_weight: 0 })] }],
    ['whose weight is none', { lb_endpoints: [endpoint(1, { load_balancing_weight: 2 ** 32 })] }],
    [
      'with others beyond all weights',
      {
        lb_endpoints: [
          endpoint(1, { load_balancing_weight: 2 ** 32 - 1 }),
          endpoint(2, { load_balancing_weight: 1 }),
        ],
      },
    ],
    ['at port 0', { lb_endpoints: [endpoint(0)] }],
    ['without an address', { lb_endpoints: [{ endpoint: {} }] }],
    ['at a priority that is none', { priority: 129, lb_endpoints: [endpoint(1)] }],
  ])('%s is refused, and what was in force stays', async (_name, locality) => {
    const proxy = await start(
      web(withEndpoints({ lb_endpoints: [endpoint(await sayingService('x'))] })),
    )
    await expect(proxy.apply(web(withEndpoints(locality)) as never)).rejects.toMatchObject({
      problems: [{ path: expect.stringMatching(/load_assignment\.endpoints\[0\]/) }],
    })
    expect(await said(proxy)).toBe('200 x')
  })

  it('that the system cannot use is refused at every door, and what was in force stays', async () => {
    const port = await sayingService('x')
    const at = (address: string): Json => ({
      endpoint: { address: { socket_address: { address, port_value: port } } },
    })
    const good = web(withEndpoints({ lb_endpoints: [at('127.0.0.1')] }))
    const bad = web(withEndpoints({ lb_endpoints: [at('127.0.0.1'), at('fe80::1%nowhere')] }))
    await expect(start(bad)).rejects.toThrow(/fe80::1%nowhere/)
    const proxy = await start(good)
    await expect(proxy.apply(bad as never)).rejects.toThrow(/fe80::1%nowhere/)
    const change = { set: [`[fe80::1%nowhere]:${port}`, '127.0.0.1:1'] }
    await expect(proxy.cluster('web').updateEndpoints(change)).rejects.toThrow(/fe80::1%nowhere/)
    expect(proxy.cluster('web').endpoints).toMatchObject([{ address: `127.0.0.1:${port}` }])
    expect(await said(proxy)).toBe('200 x')
    // A later call is not told of it again.
    await proxy
      .cluster('web')
      .updateEndpoints({ set: [{ address: `127.0.0.1:${port}`, weight: 2 }] })
    expect(proxy.cluster('web').endpoints).toMatchObject([{ weight: 2 }])
  })

  it('of the greatest weight stands beside one of the least', async () => {
    const port = await sayingService('x')
    const proxy = await start(
      web(
        withEndpoints({
          lb_endpoints: [
            endpoint(port, { load_balancing_weight: 2 ** 32 - 2 }),
            endpoint(await sayingService('y')),
          ],
        }),
      ),
    )
    for (let i = 0; i < 10; i++) expect(await said(proxy)).toMatch(/^200 [xy]$/)
  })

  it('that is this proxy itself: requests go round until a breaker ends that', async () => {
    const port = await freePort()
    const configuration = (to: number): Json =>
      bootstrap(
        [
          httpListener({
            port,
            routes: [
              { match: { prefix: '/alive' }, direct_response: { status: 200 } },
              route('/', 'web'),
            ],
          }),
        ],
        [cluster('web', [to], { circuit_breakers: { thresholds: [{ max_requests: 20 }] } })],
      )
    const proxy = await start(configuration(port))
    const response = await fetch(`${url(proxy)}/`)
    expect(response.status).toBe(503)
    expect(await response.text()).toContain('overflow')
    expect(await count(proxy, 'cluster.web.upstream_rq_total')).toBeLessThanOrEqual(22)
    await expect.poll(() => count(proxy, 'cluster.web.upstream_rq_active')).toBe(0)
    expect((await fetch(`${url(proxy)}/alive`)).status).toBe(200)
  })

  it('that is this proxy itself: bounded by connections until the endpoint is another', async () => {
    const port = await freePort()
    const listening = httpListener({
      port,
      routes: [
        { match: { prefix: '/alive' }, direct_response: { status: 200 } },
        route('/', 'web', { timeout: '2s' }),
      ],
    })
    const proxy = await start(
      bootstrap(
        [listening],
        [cluster('web', [port], { circuit_breakers: { thresholds: [{ max_connections: 20 }] } })],
      ),
    )
    const answer = fetch(`${url(proxy)}/`)
    await expect.poll(() => count(proxy, 'cluster.web.upstream_cx_overflow')).toBeGreaterThan(0)
    // One more of each worker may pass the limit.
    expect(await count(proxy, 'cluster.web.upstream_cx_active')).toBeLessThanOrEqual(22)
    expect((await fetch(`${url(proxy)}/alive`)).status).toBe(200)
    await proxy.cluster('web').setEndpoints([await sayingService('out')])
    expect([200, 503, 504]).toContain((await answer).status)
    await expect.poll(() => count(proxy, 'cluster.web.upstream_rq_active')).toBe(0)
    expect(await said(proxy)).toBe('200 out')
  })
})

describe('a cluster', () => {
  it('without hosts, or with none but those of weight 0, answers 503', async () => {
    const proxy = await start(web({}))
    expect(await said(proxy)).toBe('503 no healthy upstream')
    await proxy.apply(web(withEndpoints({ lb_endpoints: [] }, { priority: 3 })) as never)
    expect(await said(proxy)).toBe('503 no healthy upstream')
    await proxy.apply(web({ load_assignment: { cluster_name: 'web' } }) as never)
    expect(await said(proxy)).toBe('503 no healthy upstream')
  })

  it('without hosts closes the connections of a TCP proxy', async () => {
    const proxy = await start(bootstrap([tcpListener('tcp', 'web')], [cluster('web', [])]))
    const client = new RawClient(proxy.addresses[0]?.port ?? 0)
    await client.all()
    expect(client.text).toBe('')
    expect(await count(proxy, 'cluster.web.upstream_cx_none_healthy')).toBe(1)
  })

  it('that a route names and nobody has is refused, with the name that was meant', async () => {
    const configuration = bootstrap(
      [httpListener({ routes: [route('/', 'wbe')] })],
      [cluster('web', [1])],
    )
    await expect(createProxy(configuration as never)).rejects.toMatchObject({
      problems: [{ code: 'bad-reference', hint: expect.stringContaining('"web"') }],
    })
  })

  it('that a request names before it is there: 503, until it is', async () => {
    const byHeader = httpListener({
      routes: [{ match: { prefix: '/' }, route: { cluster_header: 'x-cluster' } }],
    })
    const proxy = await start(bootstrap([byHeader], [cluster('web', [1])]))
    const late = { 'x-cluster': 'late' }
    expect((await fetch(url(proxy), { headers: late })).status).toBe(503)
    expect(await count(proxy, 'http.main.no_cluster')).toBe(1)
    const port = await sayingService('late')
    await proxy.apply(
      bootstrap([byHeader], [cluster('web', [1]), cluster('late', [port])]) as never,
    )
    expect(await said(proxy, late)).toBe('200 late')
    await proxy.apply(bootstrap([byHeader], [cluster('web', [1])]) as never)
    expect((await fetch(url(proxy), { headers: late })).status).toBe(503)
  })

  it('that is taken away finishes what it has under way', async () => {
    let release: () => void = () => {}
    const slow = await httpService((_request, response) => {
      response.write('begin ')
      release = () => response.end('end')
    })
    const echo = await rawService((socket) => socket.pipe(socket))
    const other = await sayingService('other')
    const tcp = tcpListener('tcp', 'echo')
    const proxy = await start(
      bootstrap([listener, tcp], [cluster('web', [slow]), cluster('echo', [echo])]),
    )
    const port = proxy.addresses.find(({ listener: name }) => name === 'tcp')?.port ?? 0
    const tunnel = await RawClient.connect(port)
    tunnel.send('one')
    await tunnel.until((text) => text === 'one')
    const client = new RawClient(proxy.addresses[0]?.port ?? 0)
    client.send(get('/'))
    await client.until((text) => text.includes('begin '))
    const next = bootstrap(
      [httpListener({ routes: [route('/', 'other')] })],
      [cluster('other', [other])],
    )
    await proxy.apply(next as never)
    expect(proxy.clusters).toEqual(['other'])
    expect(await said(proxy)).toBe('200 other')
    tunnel.send(' two')
    expect(await tunnel.until((text) => text.endsWith('two'))).toBe('one two')
    release()
    expect(await client.until((text) => text.includes('end'))).toContain('begin')
    tunnel.socket.destroy()
    client.socket.destroy()
  })

  it('of which nobody listens answers 503 and is asked again by the next request', async () => {
    const proxy = await start(web(withEndpoints({ lb_endpoints: [endpoint(await closedPort())] })))
    expect(await said(proxy)).toMatch(/^503 upstream connect error/)
    expect(await said(proxy)).toMatch(/^503 upstream connect error/)
    expect(await count(proxy, 'cluster.web.upstream_cx_connect_fail')).toBe(2)
  })
})

it('every row of the table has a test in this file, or says where it is', () => {
  const page = readFileSync('docs/clusters.md', 'utf8')
  const table = /### Bad input\n\n\| \| \|\n\|---\|---\|\n((?:\|.*\n)+)/.exec(page)?.[1] ?? ''
  const rows = table
    .trim()
    .split('\n')
    .map((row) => row.split('|')[1]?.trim())
  expect(rows).toEqual(Object.keys(kTested))
  for (const [file, ...names] of Object.values(kTested)) {
    const text = readFileSync(file ?? '', 'utf8')
    for (const name of names) expect(text, `${file}: ${name}`).toContain(name)
  }
})

const kHere = 'test/integration/bad_clusters.test.ts'
const kTested: Readonly<Record<string, readonly string[]>> = {
  'an endpoint twice (same addresses, same hostname)': [kHere, 'that is there twice is one'],
  'weight 0': [kHere, 'with weight 0', 'none but those of weight 0'],
  "weights of a locality's endpoints above 2³² − 1 together": [kHere, 'beyond all weights'],
  'no host, or none with a weight': [kHere, 'without hosts'],
  'thousands of localities or subsets': [
    'test/native/upstream/balancer_test.cc',
    'thousands of localities',
  ],
  'a schedule of more than 65,536 places, and of more than 16 a host': [
    'test/native/upstream/cluster_test.cc',
    'huge weights are scaled, and no host loses its last place',
  ],
  'a cluster that a route names and nobody has': [kHere, 'that a route names and nobody has'],
  'a cluster that a request names (`cluster_header`) before it is there': [
    kHere,
    'that a request names before it is there',
  ],
  'a cluster that is taken away with requests under way': [kHere, 'that is taken away finishes'],
  'an endpoint that is this proxy itself': [kHere, 'that is this proxy itself'],
}
