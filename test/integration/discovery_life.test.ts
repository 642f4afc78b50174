// How discovery goes on: when names are asked for again, and which changes of a file are seen.

import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bootstrap, httpListener, route } from './support/config.ts'
import { badDns, Dns, endOfQuestion, records, withCode } from './support/dns.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { sayingService } from './support/peers.ts'

type Json = Readonly<Record<string, unknown>>

const listener = httpListener({ routes: [route('/', 'web')] })

async function started(cluster: Json): Promise<Millrace> {
  const path = write(temporaryFolder(), 'config.json', bootstrap([listener], [cluster]))
  return Millrace.start(['-c', path])
}

async function hosts(millrace: Millrace): Promise<string[]> {
  const text = await (await fetch(millrace.admin('/clusters'))).text()
  const found = [...text.matchAll(/^web::(.+)::cx_active::/gm)]
  return found.map(([, address]) => address as string).sort()
}

describe('a name', () => {
  /** Asked for once an hour, but for what `fields` say. */
  const named = (dns: number, fields: Json, port: Json = { port_value: 81 }): Json => ({
    name: 'web',
    type: 'STRICT_DNS',
    dns_lookup_family: 'V4_ONLY',
    dns_refresh_rate: '3600s',
    typed_dns_resolver_config: {
      name: 'envoy.network.dns_resolver.cares',
      typed_config: {
        '@type':
          'type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
        resolvers: [{ socket_address: { address: '127.0.0.1', port_value: dns } }],
        dns_resolver_options: { no_default_search_domain: true },
      },
    },
    load_assignment: {
      cluster_name: 'web',
      endpoints: [
        {
          lb_endpoints: [
            { endpoint: { address: { socket_address: { address: 'web.test', ...port } } } },
          ],
        },
      ],
    },
    ...fields,
  })

  it('is asked for again when its answer is out of date', async () => {
    const dns = await Dns.start(['127.0.0.2 web.test'], ['--local-ttl=1'])
    const millrace = await started(named(dns.port, { respect_dns_ttl: true }))
    expect(await hosts(millrace)).toEqual(['127.0.0.2:81'])
    dns.set(['127.0.0.3 web.test'])
    await expect.poll(() => hosts(millrace)).toEqual(['127.0.0.3:81'])
    // An answer that is the one before changes nothing.
    await expect.poll(() => millrace.stat('cluster.web.update_no_rebuild')).toBeGreaterThan(1)
    expect(await millrace.stat('cluster.web.membership_change')).toBe(2)
  })

  it('keeps the family that it has when a reload loses a packet', async () => {
    let lost = 0
    let asked = 0
    const both = records({ A: [['127.0.0.1', 3600]], AAAA: [['fd00::1', 3600]] })
    const port = await badDns((query) => {
      if (query.readUInt16BE(endOfQuestion(query) - 4) !== 28) return both(query)
      asked++
      return lost-- > 0 ? undefined : both(query)
    })
    const folder = temporaryFolder()
    const configured = (port_value: number): string => {
      const cluster = named(port, { dns_lookup_family: 'AUTO' }, { port_value })
      return write(folder, 'config.json', bootstrap([listener], [cluster]))
    }
    const path = configured(81)
    const millrace = await Millrace.start(['-c', path])
    expect(await hosts(millrace)).toEqual(['[fd00::1]:81'])
    // So that names are asked for anew: another port than before.
    lost = 1
    asked = 0
    configured(82)
    const successes = await millrace.stat('cluster.web.update_success')
    millrace.signal('SIGHUP')
    const seen = new Set<string>()
    await expect
      .poll(async () => {
        for (const host of await hosts(millrace)) seen.add(host)
        return (await millrace.stat('cluster.web.update_success')) - successes
      })
      .toBe(1)
    expect(asked).toBe(2)
    expect([...seen].sort()).toEqual(['[fd00::1]:81', '[fd00::1]:82'])
  })

  it('of services too, with the TTL of their addresses', async () => {
    const dns = await Dns.start(
      ['127.0.0.2 a.test'],
      ['--local-ttl=1', '--srv-host=_http._tcp.web.test,a.test,8081,1,3'],
    )
    const fields = { respect_dns_ttl: true }
    const millrace = await started(named(dns.port, fields, { named_port: 'http' }))
    expect(await hosts(millrace)).toEqual(['127.0.0.2:8081'])
    dns.set(['127.0.0.2 a.test', '127.0.0.3 a.test'])
    await expect.poll(() => hosts(millrace)).toEqual(['127.0.0.2:8081', '127.0.0.3:8081'])
  })

  it('is asked for again and again after failures, faster than after answers', async () => {
    let good = false
    const answer = records({ A: [['127.0.0.4', 3600]] })
    const port = await badDns((query) => (good ? answer(query) : withCode(2)(query)))
    const millrace = await started(
      named(port, { dns_failure_refresh_rate: { base_interval: '0.01s', max_interval: '0.05s' } }),
    )
    await expect.poll(() => millrace.stat('cluster.web.update_failure')).toBeGreaterThan(3)
    good = true
    await expect.poll(() => hosts(millrace)).toEqual(['127.0.0.4:81'])
    const failures = await millrace.stat('cluster.web.update_failure')
    expect(await millrace.stat('cluster.web.update_success')).toBe(1)
    expect(await millrace.stat('cluster.web.update_failure')).toBe(failures)
  })
})

describe('a file of endpoints', () => {
  const port = (port_value: number): Json => ({
    endpoint: { address: { socket_address: { address: '127.0.0.1', port_value } } },
  })
  const response = (endpoints: readonly Json[], more: readonly Json[] = []): Json => ({
    resources: [
      {
        '@type': 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
        cluster_name: 'web',
        endpoints,
      },
      ...more,
    ],
  })
  const listed = (...ports: readonly number[]): Json =>
    response([{ lb_endpoints: ports.map(port) }])

  const eds = (path: string, fields: Json = {}, config: Json = {}): Json => ({
    name: 'web',
    type: 'EDS',
    eds_cluster_config: {
      eds_config: { resource_api_version: 'V3', path_config_source: { path, ...fields } },
      ...config,
    },
  })

  it('is read again when a folder is exchanged behind a link, as volumes are', async () => {
    const folder = temporaryFolder()
    const version = (name: string, content: Json): void => {
      mkdirSync(join(folder, name))
      write(join(folder, name), 'eds.json', content)
      symlinkSync(name, join(folder, 'new'))
      renameSync(join(folder, 'new'), join(folder, 'data'))
    }
    version('v1', listed(1001))
    const path = join(folder, 'data/eds.json')
    const millrace = await started(eds(path, { watched_directory: { path: folder } }))
    expect(await hosts(millrace)).toEqual(['127.0.0.1:1001'])
    version('v2', listed(1001, 1002))
    await expect.poll(() => hosts(millrace)).toEqual(['127.0.0.1:1001', '127.0.0.1:1002'])
    version('v3', listed(1003))
    await expect.poll(() => hosts(millrace)).toEqual(['127.0.0.1:1003'])
  })

  it('is found whatever becomes of its folder', async () => {
    const root = temporaryFolder()
    const at = (name: string, ...ports: readonly number[]): string => {
      mkdirSync(join(root, name))
      return write(join(root, name), 'eds.json', listed(...ports))
    }
    at('now', 1001)
    const millrace = await started(eds(join(root, 'now/eds.json')))
    const shows = (port: number): Promise<void> =>
      expect.poll(() => hosts(millrace)).toEqual([`127.0.0.1:${port}`])
    await shows(1001)
    // Made anew, perhaps under the same number.
    rmSync(join(root, 'now'), { recursive: true })
    at('now', 1002)
    await shows(1002)
    // Away for a while, and what is moved into the new one is seen.
    renameSync(join(root, 'now'), join(root, 'old'))
    await new Promise((resolve) => setTimeout(resolve, 1500))
    await shows(1002)
    mkdirSync(join(root, 'now'))
    renameSync(at('prepared', 1003), join(root, 'now/eds.json'))
    await shows(1003)
    // Exchanged by names.
    at('next', 1004)
    renameSync(join(root, 'now'), join(root, 'older'))
    renameSync(join(root, 'next'), join(root, 'now'))
    await shows(1004)
  })

  it('is read again when a link that is a part of its path leads elsewhere', async () => {
    const root = temporaryFolder()
    const release = (name: string, port: number): void => {
      mkdirSync(join(root, name))
      write(join(root, name), 'eds.json', listed(port))
      symlinkSync(name, join(root, 'new'))
      renameSync(join(root, 'new'), join(root, 'current'))
    }
    release('r1', 1001)
    const millrace = await started(eds(join(root, 'current/eds.json')))
    expect(await hosts(millrace)).toEqual(['127.0.0.1:1001'])
    release('r2', 1002)
    await expect.poll(() => hosts(millrace)).toEqual(['127.0.0.1:1002'])
    write(join(root, 'r2'), 'new', listed(1003))
    renameSync(join(root, 'r2/new'), join(root, 'r2/eds.json'))
    await expect.poll(() => hosts(millrace)).toEqual(['127.0.0.1:1003'])
  })

  it('is not read while it is written, but when the next one is moved there', async () => {
    const folder = temporaryFolder()
    const path = write(folder, 'eds.json', listed(1001))
    const millrace = await started(eds(path))
    write(folder, 'eds.json', listed(1001, 1002))
    write(folder, 'other.json', listed(1009))
    renameSync(join(folder, 'other.json'), join(folder, 'another.json'))
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await millrace.stat('cluster.web.update_attempt')).toBe(1)
    expect(await hosts(millrace)).toEqual(['127.0.0.1:1001'])
    write(folder, 'new', listed(1003))
    renameSync(join(folder, 'new'), path)
    await expect.poll(() => hosts(millrace)).toEqual(['127.0.0.1:1003'])
  })

  it('that goes changes nothing, and is read when it comes back', async () => {
    const folder = temporaryFolder()
    const path = write(folder, 'eds.json', listed(1001))
    const millrace = await started(eds(path))
    rmSync(path)
    write(folder, 'new', listed(1002))
    renameSync(join(folder, 'new'), path)
    await expect.poll(() => hosts(millrace)).toEqual(['127.0.0.1:1002'])
    expect(await millrace.stat('cluster.web.update_rejected')).toBe(0)
  })

  it('that is not there is said, and the cluster is empty until it comes', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'eds.json')
    const millrace = await started(eds(path))
    expect((await millrace.log('update rejected')).error).toContain('is not there')
    expect((await fetch(millrace.url())).status).toBe(503)
    const service = await sayingService('here')
    write(folder, 'new', listed(service))
    renameSync(join(folder, 'new'), path)
    await expect.poll(async () => (await fetch(millrace.url())).status).toBe(200)
  })

  it('may be of many clusters: each takes its own, by another name too', async () => {
    const folder = temporaryFolder()
    const others = Array.from({ length: 100 }, (_, i) => ({
      '@type': 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
      cluster_name: `other-${i}`,
      endpoints: [{ lb_endpoints: [port(2000 + i)] }],
    }))
    const path = write(folder, 'eds.json', response([{ lb_endpoints: [port(1)] }], others))
    const millrace = await started(eds(path, {}, { service_name: 'other-42' }))
    expect(await hosts(millrace)).toEqual(['127.0.0.1:2042'])
    const text = await (await fetch(millrace.admin('/clusters'))).text()
    expect(text).toContain('web::eds_service_name::other-42\n')
  })

  it('may have thousands of localities, of which one changes', async () => {
    const folder = temporaryFolder()
    const localities = (weight: number): Json =>
      response(
        Array.from({ length: 3000 }, (_, i) => ({
          locality: { region: `r${i % 10}`, zone: `z${i}` },
          load_balancing_weight: i === 1500 ? weight : 1,
          lb_endpoints: [port(1000 + i)],
        })),
      )
    const path = write(folder, 'eds.json', localities(1))
    const millrace = await started({
      ...eds(path),
      common_lb_config: { locality_weighted_lb_config: {} },
    })
    expect(await hosts(millrace)).toHaveLength(3000)
    const version = await millrace.stat('cluster.web.version')
    write(folder, 'new', localities(5))
    renameSync(join(folder, 'new'), path)
    await expect.poll(() => millrace.stat('cluster.web.version')).toBe(version + 1)
    const text = await (await fetch(millrace.admin('/clusters'))).text()
    expect(text).toContain('web::127.0.0.1:2500::zone::z1500\n')
    // The same once more is nothing new.
    write(folder, 'new', localities(5))
    renameSync(join(folder, 'new'), path)
    await expect.poll(() => millrace.stat('cluster.web.update_no_rebuild')).toBeGreaterThan(0)
    expect(await millrace.stat('cluster.web.version')).toBe(version + 1)
  })

  it.each([
    ['an endpoint twice', [port(1001), port(1001)], ['127.0.0.1:1001']],
    ['no endpoint', [], []],
  ])('may have %s', async (_name, lb_endpoints, expected) => {
    const path = write(temporaryFolder(), 'eds.json', response([{ lb_endpoints }]))
    const millrace = await started(eds(path))
    expect(await hosts(millrace)).toEqual(expected)
  })

  it.each([
    ['weight 0', { ...port(1002), load_balancing_weight: 0 }, /load_balancing_weight/],
    ['no address', { endpoint: {} }, /address/],
    ['a field that is none', { ...port(1002), wieght: 1 }, /load_balancing_weight|no such field/],
  ])('with %s is refused as a whole', async (_name, endpoint, why) => {
    const folder = temporaryFolder()
    const path = write(folder, 'eds.json', listed(1001))
    const millrace = await started(eds(path))
    writeFileSync(
      join(folder, 'new'),
      JSON.stringify(response([{ lb_endpoints: [port(1003), endpoint] }])),
    )
    renameSync(join(folder, 'new'), path)
    expect((await millrace.log('update rejected')).error).toMatch(why)
    expect(await hosts(millrace)).toEqual(['127.0.0.1:1001'])
  })
})
