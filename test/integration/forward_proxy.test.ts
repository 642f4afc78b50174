// The dynamic forward proxy: requests name hosts, which a real DNS server knows, or does not.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { bootstrap, fileLog, httpListener, route } from './support/config.ts'
import { badDns, Dns, withCode } from './support/dns.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { httpService, RawClient, sayingService } from './support/peers.ts'

type Json = Readonly<Record<string, unknown>>

const kExtensions = 'type.googleapis.com/envoy.extensions'
const kFilter = 'envoy.filters.http.dynamic_forward_proxy'

const cache = (dns: number, fields: Json = {}): Json => ({
  name: 'names',
  dns_lookup_family: 'V4_ONLY',
  typed_dns_resolver_config: {
    name: 'envoy.network.dns_resolver.cares',
    typed_config: {
      '@type': `${kExtensions}.network.dns_resolver.cares.v3.CaresDnsResolverConfig`,
      resolvers: [{ socket_address: { address: '127.0.0.1', port_value: dns } }],
      dns_resolver_options: { no_default_search_domain: true },
    },
  },
  ...fields,
})

const cluster = (dns_cache_config: Json, fields: Json = {}): Json => ({
  name: 'any',
  connect_timeout: '2s',
  lb_policy: 'CLUSTER_PROVIDED',
  cluster_type: {
    name: 'envoy.clusters.dynamic_forward_proxy',
    typed_config: {
      '@type': `${kExtensions}.clusters.dynamic_forward_proxy.v3.ClusterConfig`,
      dns_cache_config,
    },
  },
  ...fields,
})

const filters = (dns_cache_config: Json): Json[] => [
  {
    name: kFilter,
    typed_config: {
      '@type': `${kExtensions}.filters.http.dynamic_forward_proxy.v3.FilterConfig`,
      dns_cache_config,
    },
  },
  {
    name: 'envoy.filters.http.router',
    typed_config: { '@type': `${kExtensions}.filters.http.router.v3.Router` },
  },
]

const perRoute = (fields: Json): Json => ({
  typed_per_filter_config: {
    [kFilter]: {
      '@type': `${kExtensions}.filters.http.dynamic_forward_proxy.v3.PerRouteConfig`,
      ...fields,
    },
  },
})

interface Wanted {
  readonly rules?: Json
  readonly fields?: Json
  readonly routes?: readonly Json[]
  readonly log?: string
}

const start = (path: string): Promise<Millrace> =>
  Millrace.start(['-c', path, '--concurrency', '1'])

async function started(dns: number, wanted: Wanted = {}): Promise<Millrace> {
  const names = cache(dns, wanted.rules)
  const access_log = wanted.log
    ? [
        fileLog(
          wanted.log,
          '%REQ(:AUTHORITY)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n',
        ),
      ]
    : []
  const listener = httpListener({
    routes: wanted.routes ?? [route('/', 'any')],
    manager: { http_filters: filters(names), access_log },
  })
  const config = bootstrap([listener], [cluster(names, wanted.fields)])
  return start(write(temporaryFolder(), 'config.json', config))
}

/** What the proxy answers a request with this authority. */
async function ask(millrace: Millrace, host: string, headers = '', path = '/'): Promise<string> {
  const client = await RawClient.connect(millrace.port())
  client.send(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${headers}Connection: close\r\n\r\n`)
  const text = await client.all(30_000)
  const [head = '', body = ''] = text.split('\r\n\r\n')
  return `${head.slice(9, 12)} ${body}`
}

const figure = (millrace: Millrace, leaf: string): Promise<number> =>
  millrace.stat(`dns_cache.names.${leaf}`)

/** Names and addresses of the cluster's hosts, as /clusters lists them. */
async function hosts(millrace: Millrace): Promise<string[]> {
  const text = await (await fetch(millrace.admin('/clusters'))).text()
  const found = [...text.matchAll(/^any::(.+)::hostname::(.+)$/gm)]
  return found.map(([, address, name]) => `${name} ${address}`).sort()
}

/** Says which authority it was asked for. */
const echo = (): Promise<number> =>
  httpService((request, response) => {
    request.resume()
    response.end(request.headers.host)
  })

describe('a request that names a host', () => {
  it('goes to where DNS says, however it is written', async () => {
    const dns = await Dns.start(['127.0.0.1 a.test', '127.0.0.1 b.test'])
    const port = await echo()
    const millrace = await started(dns.port)
    expect(await ask(millrace, `a.test:${port}`)).toBe(`200 a.test:${port}`)
    expect(await ask(millrace, `A.Test:${port}`)).toBe(`200 A.Test:${port}`)
    expect(await ask(millrace, `b.test:${port}`)).toBe(`200 b.test:${port}`)
    expect(await ask(millrace, `127.0.0.1:${port}`)).toBe(`200 127.0.0.1:${port}`)
    expect(await hosts(millrace)).toEqual([
      `127.0.0.1:${port} 127.0.0.1:${port}`,
      `a.test:${port} 127.0.0.1:${port}`,
      `b.test:${port} 127.0.0.1:${port}`,
    ])
    expect(await figure(millrace, 'num_hosts')).toBe(3)
    expect(await figure(millrace, 'host_added')).toBe(3)
    // An address is no question.
    expect(await figure(millrace, 'dns_query_attempt')).toBe(2)
    expect(await figure(millrace, 'dns_query_success')).toBe(2)
    expect(await figure(millrace, 'circuit_breakers.rq_pending_open')).toBe(0)
    expect(await figure(millrace, 'circuit_breakers.rq_pending_remaining')).toBe(1024)
  })

  it('that DNS does not know is answered at once, and asked for again in its time', async () => {
    const dns = await Dns.start(['127.0.0.1 a.test'])
    const port = await echo()
    const log = `${temporaryFolder()}/access.log`
    const millrace = await started(dns.port, { log, rules: { dns_refresh_rate: '0.2s' } })
    const name = `later.test:${port}`
    expect(await ask(millrace, name)).toBe('503 DNS resolution failure')
    expect(await ask(millrace, name)).toBe('503 DNS resolution failure')
    dns.set([`127.0.0.1 later.test`])
    await expect.poll(() => ask(millrace, name), { interval: 100 }).toBe(`200 ${name}`)
    await millrace.stop()
    expect(readFileSync(log, 'utf8').split('\n')[0]).toBe(`${name} 503 DF dns_resolution_failure`)
  })

  it('keeps its address when DNS fails, and takes a new one', async () => {
    const dns = await Dns.start(['127.0.0.1 a.test'])
    const port = await sayingService('here')
    const millrace = await started(dns.port, {
      rules: { dns_min_refresh_rate: '1s', dns_refresh_rate: '1s', dns_query_timeout: '0.5s' },
    })
    expect(await ask(millrace, `a.test:${port}`)).toBe('200 here')
    dns.stop()
    await expect.poll(() => figure(millrace, 'dns_query_failure')).toBeGreaterThan(0)
    expect(await ask(millrace, `a.test:${port}`)).toBe('200 here')
    const again = await Dns.start(['127.0.0.2 a.test'], [], dns.port)
    await expect.poll(() => hosts(millrace)).toEqual([`a.test:${port} 127.0.0.2:${port}`])
    expect(await figure(millrace, 'host_address_changed')).toBe(2)
    // The name goes: an empty answer changes nothing.
    again.set(['127.0.0.2 other.test'])
    const before = await figure(millrace, 'dns_query_success')
    await expect.poll(() => figure(millrace, 'dns_query_success')).toBeGreaterThan(before + 1)
    expect(await hosts(millrace)).toEqual([`a.test:${port} 127.0.0.2:${port}`])
  })

  it('tries the other addresses of its name', async () => {
    const dns = await Dns.start(['127.0.0.9 a.test', '127.0.0.1 a.test'])
    const port = await sayingService('second') // at 127.0.0.1 only
    const millrace = await started(dns.port)
    expect(await ask(millrace, `a.test:${port}`)).toBe('200 second')
  })

  it('waits for as long as a question may take, and no longer', async () => {
    const silent = await badDns(() => undefined)
    const millrace = await started(silent, { rules: { dns_query_timeout: '0.3s' } })
    expect(await ask(millrace, 'a.test')).toBe('503 DNS resolution failure')
    expect(await figure(millrace, 'dns_query_timeout')).toBe(1)
    expect(await figure(millrace, 'dns_query_failure')).toBe(1)
  })

  it('is refused when as many wait as may, and when there are as many hosts as may be', async () => {
    const dns = await Dns.start(['127.0.0.1 a.test', '127.0.0.1 b.test'])
    const port = await echo()
    const silent = await badDns(() => undefined)
    const waits = await started(silent, {
      rules: { dns_cache_circuit_breaker: { max_pending_requests: 1 }, dns_query_timeout: '20s' },
    })
    const client = await RawClient.connect(waits.port())
    client.send('GET / HTTP/1.1\r\nHost: first.test\r\n\r\n')
    await expect.poll(() => figure(waits, 'circuit_breakers.rq_pending_open')).toBe(1)
    expect(await ask(waits, 'second.test')).toBe(
      '503 Dynamic forward proxy pending request overflow',
    )
    expect(await figure(waits, 'dns_rq_pending_overflow')).toBe(1)
    // The client leaves: its place is free.
    client.socket.resetAndDestroy()
    await expect.poll(() => figure(waits, 'circuit_breakers.rq_pending_open')).toBe(0)

    const full = await started(dns.port, { rules: { max_hosts: 1 } })
    expect(await ask(full, `a.test:${port}`)).toBe(`200 a.test:${port}`)
    expect(await ask(full, `b.test:${port}`)).toBe('503 DNS cache overflow')
    expect(await ask(full, `a.test:${port}`)).toBe(`200 a.test:${port}`)
    expect(await figure(full, 'host_overflow')).toBe(1)
    expect(await figure(full, 'num_hosts')).toBe(1)
  })

  it('makes room for others when it is not named any more', async () => {
    const dns = await Dns.start(['127.0.0.1 a.test', '127.0.0.1 b.test'], ['--local-ttl=1'])
    const port = await echo()
    const millrace = await started(dns.port, {
      rules: { max_hosts: 1, host_ttl: '0.5s', dns_min_refresh_rate: '1s' },
    })
    expect(await ask(millrace, `a.test:${port}`)).toBe(`200 a.test:${port}`)
    await expect
      .poll(() => ask(millrace, `b.test:${port}`), { interval: 200 })
      .toBe(`200 b.test:${port}`)
    expect(await figure(millrace, 'host_removed')).toBeGreaterThan(0)
  })

  it('that is bad input is a failure, and nothing else', async () => {
    const refusing = await badDns(withCode(5))
    const millrace = await started(refusing, { rules: { dns_query_timeout: '1s' } })
    const long = 'x'.repeat(300)
    for (const host of ['a:0', long, `${'a.'.repeat(120)}b`, '-', '..', 'a..b', '[::1]:0', '%41']) {
      expect(await ask(millrace, host), host).toMatch(/^503 DNS resolution failure/)
    }
    expect(await hosts(millrace)).toEqual([])
  })
})

describe('routes', () => {
  it('name another host, literally or by a header', async () => {
    const dns = await Dns.start(['127.0.0.1 a.test', '127.0.0.1 b.test'])
    const port = await echo()
    const millrace = await started(dns.port, {
      routes: [
        { ...route('/literal', 'any'), ...perRoute({ host_rewrite_literal: `a.test:${port}` }) },
        { ...route('/header', 'any'), ...perRoute({ host_rewrite_header: 'X-To' }) },
        route('/', 'any'),
      ],
    })
    expect(await ask(millrace, 'nowhere.test', '', '/literal')).toBe(`200 a.test:${port}`)
    expect(await ask(millrace, 'nowhere.test', `x-to: b.test:${port}\r\n`, '/header')).toBe(
      `200 b.test:${port}`,
    )
    expect(await ask(millrace, `a.test:${port}`, '', '/header')).toBe(`200 a.test:${port}`)
    expect(await hosts(millrace)).toEqual([
      `a.test:${port} 127.0.0.1:${port}`,
      `b.test:${port} 127.0.0.1:${port}`,
    ])
  })
})

describe('a cache', () => {
  it('asks for some names before a request does, and outlives a change of its rules', async () => {
    const dns = await Dns.start(['127.0.0.1 a.test'])
    const port = await echo()
    const folder = temporaryFolder()
    const config = (rules: Json): Json => {
      const names = cache(dns.port, {
        preresolve_hostnames: [{ address: 'A.test', port_value: port }],
        ...rules,
      })
      const manager = { http_filters: filters(names) }
      const listener = httpListener({ routes: [route('/', 'any')], manager })
      return bootstrap([listener], [cluster(names)])
    }
    const path = write(folder, 'config.json', config({}))
    const millrace = await start(path)
    await expect.poll(() => hosts(millrace)).toEqual([`a.test:${port} 127.0.0.1:${port}`])
    expect(await ask(millrace, `a.test:${port}`)).toBe(`200 a.test:${port}`)
    const total = await millrace.stat('cluster.any.upstream_cx_total')
    write(folder, 'config.json', config({ max_hosts: 7, host_ttl: '600s' }))
    millrace.signal('SIGHUP')
    await expect.poll(() => millrace.stat('cluster_manager.cluster_modified')).toBe(1)
    expect(await ask(millrace, `a.test:${port}`)).toBe(`200 a.test:${port}`)
    expect(await figure(millrace, 'dns_query_attempt')).toBe(1)
    expect(await millrace.stat('cluster.any.upstream_cx_total')).toBe(total)
  })
})

describe('a request that comes back to the proxy', () => {
  it('ends at the breakers, and harms nobody else', async () => {
    const dns = await Dns.start(['127.0.0.1 self.test', '127.0.0.1 a.test'])
    const port = await echo()
    const millrace = await started(dns.port, {
      fields: { circuit_breakers: { thresholds: [{ max_requests: 20 }] } },
    })
    expect(await ask(millrace, `self.test:${millrace.port()}`)).toMatch(/^503 .*overflow/)
    expect(await ask(millrace, `a.test:${port}`)).toBe(`200 a.test:${port}`)
  })
})
