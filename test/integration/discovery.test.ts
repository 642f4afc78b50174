// Where hosts come from: DNS with a real server and with bad ones, files of endpoints, and other
// clusters.

import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bootstrap, cluster, httpListener, route } from './support/config.ts'
import { badDns, Dns, withCode } from './support/dns.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { sayingService } from './support/peers.ts'

type Json = Readonly<Record<string, unknown>>

const kCares =
  'type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig'

const resolver = (port: number): Json => ({
  typed_dns_resolver_config: {
    name: 'envoy.network.dns_resolver.cares',
    typed_config: {
      '@type': kCares,
      resolvers: [{ socket_address: { address: '127.0.0.1', port_value: port } }],
      dns_resolver_options: { no_default_search_domain: true },
    },
  },
})

/** A cluster that asks the server at `dns` for names. */
function dnsCluster(
  type: string,
  names: readonly (readonly [name: string, port: Json])[],
  dns: number,
  fields: Json = {},
): Json {
  return {
    name: 'web',
    type,
    dns_lookup_family: 'V4_ONLY',
    dns_refresh_rate: '0.05s',
    ...resolver(dns),
    load_assignment: {
      cluster_name: 'web',
      endpoints: [
        {
          lb_endpoints: names.map(([address, port]) => ({
            endpoint: { address: { socket_address: { address, ...port } } },
          })),
        },
      ],
    },
    ...fields,
  }
}

const listener = httpListener({ routes: [route('/', 'web')] })

async function started(clusters: readonly Json[]): Promise<Millrace> {
  const path = write(temporaryFolder(), 'config.json', bootstrap([listener], clusters))
  return Millrace.start(['-c', path])
}

/** Addresses of a cluster's hosts, as /clusters lists them. */
async function hosts(millrace: Millrace, name = 'web'): Promise<string[]> {
  const text = await (await fetch(millrace.admin('/clusters'))).text()
  const found = [...text.matchAll(new RegExp(`^${name}::(.+)::cx_active::`, 'gm'))]
  return found.map(([, address]) => address as string).sort()
}

const say = async (millrace: Millrace): Promise<string> => (await fetch(millrace.url())).text()

describe('STRICT_DNS', () => {
  it('has a host for every address, and follows what the server says', async () => {
    const dns = await Dns.start(['127.0.0.2 web.test', '127.0.0.3 web.test'])
    const millrace = await started([
      dnsCluster('STRICT_DNS', [['web.test', { port_value: 81 }]], dns.port),
    ])
    expect(await hosts(millrace)).toEqual(['127.0.0.2:81', '127.0.0.3:81'])
    dns.set(['127.0.0.3 web.test', '127.0.0.4 web.test'])
    await expect.poll(() => hosts(millrace)).toEqual(['127.0.0.3:81', '127.0.0.4:81'])
    expect(await millrace.stat('cluster.web.membership_change')).toBe(2)
    expect(await millrace.stat('cluster.web.update_success')).toBeGreaterThan(1)
  })

  it('loses its hosts when the name is gone, and keeps them when the server is', async () => {
    const dns = await Dns.start(['127.0.0.2 web.test'])
    const millrace = await started([
      dnsCluster('STRICT_DNS', [['web.test', { port_value: 81 }]], dns.port, {
        ...resolver(dns.port),
      }),
    ])
    expect(await hosts(millrace)).toEqual(['127.0.0.2:81'])
    dns.stop()
    await expect.poll(() => millrace.stat('cluster.web.update_failure')).toBeGreaterThan(0)
    expect(await hosts(millrace)).toEqual(['127.0.0.2:81'])
    const again = await Dns.start(['127.0.0.5 web.test'], [], dns.port)
    await expect.poll(() => hosts(millrace)).toEqual(['127.0.0.5:81'])
    again.set(['127.0.0.5 other.test'])
    await expect.poll(() => hosts(millrace)).toEqual([])
    expect((await fetch(millrace.url())).status).toBe(503)
  })

  it('takes families as it is told', async () => {
    const dns = await Dns.start(['127.0.0.2 both.test', '::2 both.test', '127.0.0.3 four.test'])
    const both = [['both.test', { port_value: 81 }]] as const
    const family = (dns_lookup_family: string): Json => ({
      dns_lookup_family,
      name: dns_lookup_family,
    })
    const millrace = await started([
      cluster('web', []),
      ...['V4_ONLY', 'V6_ONLY', 'AUTO', 'V4_PREFERRED', 'ALL'].map((name) =>
        dnsCluster('STRICT_DNS', both, dns.port, family(name)),
      ),
      dnsCluster('STRICT_DNS', [['four.test', { port_value: 81 }]], dns.port, {
        dns_lookup_family: 'AUTO',
        name: 'fallback',
      }),
    ])
    expect(await hosts(millrace, 'V4_ONLY')).toEqual(['127.0.0.2:81'])
    expect(await hosts(millrace, 'V6_ONLY')).toEqual(['[::2]:81'])
    expect(await hosts(millrace, 'AUTO')).toEqual(['[::2]:81'])
    expect(await hosts(millrace, 'V4_PREFERRED')).toEqual(['127.0.0.2:81'])
    expect(await hosts(millrace, 'ALL')).toEqual(['127.0.0.2:81', '[::2]:81'])
    expect(await hosts(millrace, 'fallback')).toEqual(['127.0.0.3:81'])
  })

  it('looks up services by SRV records, ports and weights included', async () => {
    const dns = await Dns.start(
      ['127.0.0.2 a.test', '127.0.0.3 b.test'],
      [
        '--srv-host=_http._tcp.web.test,a.test,8081,1,3',
        '--srv-host=_http._tcp.web.test,b.test,8082,1,5',
        '--srv-host=_http._tcp.web.test,b.test,8083,2,5',
      ],
    )
    const millrace = await started([
      dnsCluster('STRICT_DNS', [['web.test', { named_port: 'http' }]], dns.port),
    ])
    expect(await hosts(millrace)).toEqual(['127.0.0.2:8081', '127.0.0.3:8082'])
    const text = await (await fetch(millrace.admin('/clusters'))).text()
    expect(text).toContain('web::127.0.0.3:8082::weight::5\n')
  })

  it('takes a thousand records', async () => {
    const lines = Array.from({ length: 1000 }, (_, i) => `127.1.${i >> 8}.${i & 255} web.test`)
    const dns = await Dns.start(lines)
    const millrace = await started([
      dnsCluster('STRICT_DNS', [['web.test', { port_value: 81 }]], dns.port, {
        dns_refresh_rate: '5s',
      }),
    ])
    expect(await hosts(millrace)).toHaveLength(1000)
  })

  it.each([
    ['NXDOMAIN', withCode(3), 'update_success'],
    ['an empty answer', withCode(0), 'update_success'],
    ['SERVFAIL', withCode(2), 'update_failure'],
    ['REFUSED', withCode(5), 'update_failure'],
  ] as const)('starts without hosts when the server says %s', async (_name, answer, counter) => {
    const port = await badDns(answer)
    const millrace = await started([
      dnsCluster('STRICT_DNS', [['web.test', { port_value: 81 }]], port),
    ])
    expect(await hosts(millrace)).toEqual([])
    expect((await fetch(millrace.url())).status).toBe(503)
    expect(await millrace.stat(`cluster.web.${counter}`)).toBeGreaterThan(0)
  })

  it('does not wait for a server that talks nonsense, where it is told so', async () => {
    const port = await badDns((query) =>
      Buffer.concat([query.subarray(0, 2), Buffer.alloc(40, 255)]),
    )
    const millrace = await started([
      dnsCluster('STRICT_DNS', [['web.test', { port_value: 81 }]], port, {
        wait_for_warm_on_init: false,
      }),
    ])
    expect((await fetch(millrace.url())).status).toBe(503)
  })
})

describe('LOGICAL_DNS', () => {
  it('has one host, which stays while it is among the answers', async () => {
    const port = await sayingService('one')
    const dns = await Dns.start(['127.0.0.1 web.test'])
    const millrace = await started([
      dnsCluster('LOGICAL_DNS', [['web.test', { port_value: port }]], dns.port),
    ])
    expect(await say(millrace)).toBe('one')
    dns.set(['127.0.0.9 web.test', '127.0.0.1 web.test'])
    await expect.poll(() => millrace.stat('cluster.web.version')).toBeGreaterThan(2)
    expect(await hosts(millrace)).toEqual([`127.0.0.1:${port}`])
    dns.set(['127.0.0.9 web.test'])
    await expect.poll(() => hosts(millrace)).toEqual([`127.0.0.9:${port}`])
  })
})

describe('EDS from a file', () => {
  const assignment = (ports: readonly number[], more: Json = {}): Json => ({
    version_info: '1',
    resources: [
      {
        '@type': 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
        cluster_name: 'web',
        endpoints: [
          {
            lb_endpoints: ports.map((port_value) => ({
              endpoint: { address: { socket_address: { address: '127.0.0.1', port_value } } },
            })),
          },
        ],
        ...more,
      },
    ],
  })

  const eds = (path: string): Json => ({
    name: 'web',
    type: 'EDS',
    eds_cluster_config: {
      eds_config: { resource_api_version: 'V3', path_config_source: { path } },
    },
  })

  /** Writes beside the file, and moves it there. */
  function move(folder: string, content: unknown): void {
    write(folder, 'eds.new', content)
    renameSync(join(folder, 'eds.new'), join(folder, 'eds.json'))
  }

  it('is read again when another file is moved there; a bad one changes nothing', async () => {
    const folder = temporaryFolder()
    const path = write(folder, 'eds.json', assignment([1001]))
    const millrace = await started([eds(path)])
    expect(await hosts(millrace)).toEqual(['127.0.0.1:1001'])
    move(folder, assignment([1001, 1002]))
    await expect.poll(() => hosts(millrace)).toEqual(['127.0.0.1:1001', '127.0.0.1:1002'])
    move(folder, assignment([99_999]))
    await expect.poll(() => millrace.stat('cluster.web.update_rejected')).toBe(1)
    expect((await millrace.log('update rejected')).error).toMatch(/port_value/)
    expect(await hosts(millrace)).toHaveLength(2)
    move(folder, 'resources: [')
    await expect.poll(() => millrace.stat('cluster.web.update_rejected')).toBe(2)
    move(folder, assignment([1003]))
    await expect.poll(() => hosts(millrace)).toEqual(['127.0.0.1:1003'])
  })

  it('counts hosts as unhealthy when it is stale', async () => {
    const folder = temporaryFolder()
    const policy = { policy: { endpoint_stale_after: '0.3s' } }
    const path = write(folder, 'eds.json', assignment([1001], policy))
    const millrace = await started([eds(path)])
    const flags = async (): Promise<string | undefined> => {
      const text = await (await fetch(millrace.admin('/clusters'))).text()
      return /1001::health_flags::(.*)$/m.exec(text)?.[1]
    }
    await expect.poll(flags).toBe('/failed_eds_health')
    expect(await millrace.stat('cluster.web.assignment_timeout_received')).toBe(1)
    expect(await millrace.stat('cluster.web.assignment_stale')).toBe(1)
    expect(await millrace.stat('cluster.web.warming_state')).toBe(0)
    expect(await millrace.stat('cluster_manager.warming_clusters')).toBe(0)
    move(folder, assignment([1001]))
    await expect.poll(flags).toBe('healthy')
  })
})

it('an aggregate cluster falls over from one cluster to the next', async () => {
  const port = await sayingService('second')
  const folder = temporaryFolder()
  const aggregate = {
    name: 'web',
    lb_policy: 'CLUSTER_PROVIDED',
    cluster_type: {
      name: 'envoy.clusters.aggregate',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig',
        clusters: ['first', 'second'],
      },
    },
  }
  const dead = cluster('first', [1])
  const unhealthy = {
    ...dead,
    load_assignment: {
      cluster_name: 'first',
      endpoints: [
        {
          lb_endpoints: [
            {
              health_status: 'UNHEALTHY',
              endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: 1 } } },
            },
          ],
        },
      ],
    },
  }
  const path = write(
    folder,
    'config.json',
    bootstrap([listener], [aggregate, unhealthy, cluster('second', [port])]),
  )
  const millrace = await Millrace.start(['-c', path])
  for (let i = 0; i < 5; i++) expect(await say(millrace)).toBe('second')
  const text = await (await fetch(millrace.admin('/clusters'))).text()
  expect(text).toContain(`web::127.0.0.1:${port}::priority::1\n`)
})
