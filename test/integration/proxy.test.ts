// The class Proxy: a proxy inside a program.

import { renameSync } from 'node:fs'
import { createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import {
  ConfigError,
  createProxy,
  type HealthEvent,
  type LogEvent,
  loadConfiguration,
  MillraceError,
  type ProxyConfiguration,
  type ProxyOptions,
  type Proxy as TestedProxy,
} from '../../dist/index.js'
import { httpListener, route, simple } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { httpService, sayingService } from './support/peers.ts'

const open = new Set<TestedProxy>()
afterEach(async () => {
  for (const proxy of open) await proxy.close()
  open.clear()
})

async function start(
  configuration: ProxyConfiguration,
  options: ProxyOptions = {},
): Promise<TestedProxy> {
  const proxy = await createProxy(configuration, { concurrency: 2, ...options })
  open.add(proxy)
  return proxy
}

const kListen = '127.0.0.1:0'
const short = (port: number): ProxyConfiguration => ({
  listen: kListen,
  routes: { '/': 'app' },
  upstreams: { app: port },
})

async function said(proxy: TestedProxy, path = '/'): Promise<string> {
  const response = await fetch(`http://${proxy.addresses[0]?.text}${path}`)
  return `${response.status} ${await response.text()}`
}

/** What a promise rejects with. */
async function failure(promise: Promise<unknown>): Promise<MillraceError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(MillraceError)
  return error as MillraceError
}

describe('a configuration', () => {
  it('may be the short form', async () => {
    const proxy = await start(short(await sayingService('short')))
    expect(proxy.addresses).toEqual([
      {
        listener: 'http',
        text: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
        host: '127.0.0.1',
        port: expect.any(Number),
      },
    ])
    expect(proxy.clusters).toEqual(['app'])
    expect(await said(proxy)).toBe('200 short')
  })

  it("may be Envoy's messages", async () => {
    const proxy = await start(simple([await sayingService('envoy')]))
    expect(await said(proxy)).toBe('200 envoy')
  })

  it('may be a text', async () => {
    const port = await sayingService('text')
    const proxy = await start(`listen: ${kListen}\nroutes:\n  /: http://127.0.0.1:${port}\n`)
    expect(await said(proxy)).toBe('200 text')
  })

  it('may be a file, read anew by each apply', async () => {
    const folder = temporaryFolder()
    const file = write(folder, 'a.json', short(await sayingService('one')))
    const proxy = await start({ file })
    expect(await said(proxy)).toBe('200 one')
    write(folder, 'a.json', short(await sayingService('two')))
    await proxy.apply({ file: new URL(`file://${file}`) })
    expect(await said(proxy)).toBe('200 two')
  })

  it.each([
    [undefined, 'configuration'],
    [null, 'configuration'],
    [7, 'configuration'],
    ['envoy.yaml', 'configuration'],
    [{ file: 7 }, 'configuration.file'],
    [{ file: '' }, 'configuration.file'],
    [{ file: 'a.yaml', other: 1 }, 'configuration.other'],
    [{ file: new URL('http://x/') }, 'configuration.file'],
  ])('%j is none', async (configuration, path) => {
    const error = await failure(createProxy(configuration as never))
    expect(error).toMatchObject({ code: 'ERR_MILLRACE_ARGUMENT', path })
  })

  it('that is wrong is refused with every problem', async () => {
    const error = await failure(
      createProxy({
        listen: 'nowhere',
        routes: { '/': () => 1, '/b': 'nobody' },
        access_log: Number.NaN,
        admin: new Map(),
        timeout: 5n,
      } as never),
    )
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as ConfigError).problems.map(({ path, message }) => [path, message])).toEqual([
      ['listen', expect.stringContaining('is an address')],
      ['routes["/"]', 'is no value of a configuration: a function'],
      ['routes["/b"]', 'no upstream is called "nobody"'],
      ['access_log', 'is a finite number, not NaN'],
      ['admin', 'is a plain object, not a Map'],
      ['timeout', 'is no value of a configuration: a bigint'],
    ])
  })

  it('that contains itself, or cannot be read, is refused', async () => {
    const routes: Record<string, unknown> = {}
    routes['/'] = routes
    const upstreams = {
      get app(): never {
        throw new Error('no')
      },
    }
    const error = await failure(createProxy({ listen: kListen, routes, upstreams } as never))
    expect((error as ConfigError).problems).toMatchObject([
      { path: 'routes["/"]', message: 'contains itself' },
      { path: 'upstreams.app', message: 'cannot be read: Error: no' },
    ])
  })

  it.each([undefined, null, 7, {}, { kind: 'file' }, { kind: 'text', text: 'x' }, { kind: 'x' }])(
    '%j is nothing that loadConfiguration reads',
    async (source) => {
      const error = await failure(loadConfiguration(source as never))
      expect(error).toMatchObject({ code: 'ERR_MILLRACE_ARGUMENT', path: 'source' })
    },
  )

  it('that is missing as a file is refused', async () => {
    const error = await failure(createProxy({ file: '/nowhere/at.all' }))
    expect((error as ConfigError).problems).toMatchObject([{ code: 'unreadable' }])
  })
})

describe('options', () => {
  it.each([
    [7, 'options'],
    [new AbortController().signal, 'options'],
    [{ concurency: 2 }, 'options.concurency'],
    [{ concurrency: 0 }, 'options.concurrency'],
    [{ concurrency: 1.5 }, 'options.concurrency'],
    [{ drainTime: -1 }, 'options.drainTime'],
    [{ flushInterval: '1s' }, 'options.flushInterval'],
    [{ admin: 'x' }, 'options.admin'],
    [{ admin: 70_000 }, 'options.admin'],
    [{ log: console.log }, 'options.log'],
    [{ signal: {} }, 'options.signal'],
  ])('%j are refused', async (options, path) => {
    const error = await failure(createProxy(short(1), options as never))
    expect(error).toMatchObject({ code: 'ERR_MILLRACE_ARGUMENT', path })
  })

  it('admin opens the admin interface', async () => {
    const proxy = await start(short(1), { admin: 0 })
    expect(await (await fetch(`${proxy.adminUrl}/ready`)).text()).toBe('LIVE\n')
    const { adminUrl } = proxy
    await proxy.close()
    await expect(fetch(`${adminUrl}/ready`)).rejects.toThrow('fetch failed')
  })

  it('log takes a logger, and the event log says the same', async () => {
    const lines: [string, string][] = []
    const say =
      (level: string) =>
      (_fields: object, message: string): void => {
        lines.push([level, message])
      }
    const log = { level: 'info', debug: say('debug'), info: say('info'), warn: say('warn') }
    const proxy = await start(short(1), { log: { ...log, error: say('error') } })
    const events: LogEvent[] = []
    proxy.on('log', (event) => events.push(event))
    await proxy.apply(short(2))
    expect(lines).toEqual([['info', 'configuration reloaded']])
    expect(events).toMatchObject([{ level: 'info', message: 'configuration reloaded' }])
  })
})

describe('apply', () => {
  it('is in force when it resolves', async () => {
    const [a, b] = [await sayingService('a'), await sayingService('b')]
    const proxy = await start(short(a))
    for (let i = 0; i < 20; i++) {
      await proxy.apply(short(i % 2 === 0 ? b : a))
      expect(await said(proxy)).toBe(i % 2 === 0 ? '200 b' : '200 a')
    }
  })

  it('that is refused changes nothing', async () => {
    const proxy = await start(short(await sayingService('kept')))
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as { port: number }
    const [free] = [await freePort()]
    const error = await failure(
      proxy.apply({ listen: [`127.0.0.1:${free}`, `127.0.0.1:${port}`], routes: { '/': 1 } }),
    )
    expect(error).toMatchObject({ code: 'ERR_MILLRACE_BIND' })
    expect(error.message).toContain('EADDRINUSE')
    expect(proxy.clusters).toEqual(['app'])
    expect(await said(proxy)).toBe('200 kept')
    // Nothing is left open: the address that could be had is free at once.
    const again = createServer()
    await new Promise<void>((resolve, reject) => {
      again.once('error', reject)
      again.listen(free, '127.0.0.1', resolve)
    })
    again.close()
    taken.close()
  })

  it('with an admin address in use changes nothing', async () => {
    const proxy = await start(short(await sayingService('kept')))
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as { port: number }
    const next = { ...(short(1) as object), admin: port } as ProxyConfiguration
    const error: NodeJS.ErrnoException = await proxy.apply(next).then(
      () => undefined,
      (reason) => reason,
    )
    expect(error.message).toContain('EADDRINUSE')
    expect(await said(proxy)).toBe('200 kept')
    taken.close()
  })

  it('waits for the one before', async () => {
    const ports = await Promise.all(['a', 'b', 'c'].map(sayingService))
    const proxy = await start(short(1))
    await Promise.all(ports.map((port) => proxy.apply(short(port))))
    expect(await said(proxy)).toBe('200 c')
  })
})

describe('updateEndpoints', () => {
  it('changes what it names, of what is configured, set or found', async () => {
    const [one, two] = [await sayingService('one'), await sayingService('two')]
    const proxy = await start(short(one))
    const cluster = proxy.cluster('app')
    const addresses = (): string[] => cluster.endpoints.map(({ address }) => address)
    expect(await said(proxy)).toBe('200 one')
    await cluster.updateEndpoints({ set: [{ address: two, hostname: 'second' }], remove: [one, 9] })
    expect(await said(proxy)).toBe('200 two')
    await cluster.updateEndpoints({ set: [{ address: two, weight: 5 }] })
    expect(cluster.endpoints).toMatchObject([{ hostname: 'second', weight: 5, rqTotal: 1 }])
    await cluster.updateEndpoints({})
    await cluster.setEndpoints([one, two])
    await cluster.updateEndpoints({ remove: [two] })
    expect(addresses()).toEqual([`127.0.0.1:${one}`])
    await cluster.setEndpoints([one, two])
    expect(cluster.endpoints).toHaveLength(2)
    await cluster.updateEndpoints({ remove: [one, two] })
    expect(await said(proxy)).toBe('503 no healthy upstream')
  })

  it('leaves endpoints of a file where they are, and the file out of it from then on', async () => {
    const folder = temporaryFolder()
    const file = (ports: readonly number[]): string =>
      JSON.stringify({
        resources: [
          {
            '@type': 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
            cluster_name: 'app',
            endpoints: ports.map((port_value, i) => ({
              locality: { zone: `z${i}` },
              lb_endpoints: [
                { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value } } } },
              ],
            })),
          },
        ],
      })
    const path = write(folder, 'eds.json', file([1001, 1002, 1003]))
    const proxy = await start({
      static_resources: {
        clusters: [
          {
            name: 'app',
            type: 'EDS',
            eds_cluster_config: {
              eds_config: { resource_api_version: 'V3', path_config_source: { path } },
            },
          },
        ],
      },
    } as never)
    const cluster = proxy.cluster('app')
    await cluster.updateEndpoints({ set: [{ address: 1003, weight: 5 }, 1004], remove: [1001] })
    const expected = [
      { address: '127.0.0.1:1002', locality: 1, weight: 1 },
      { address: '127.0.0.1:1003', locality: 2, weight: 5 },
      { address: '127.0.0.1:1004', locality: 0, weight: 1 },
    ]
    const sorted = (): unknown =>
      cluster.endpoints.toSorted((a, b) => a.address.localeCompare(b.address))
    expect(sorted()).toMatchObject(expected)
    renameSync(write(folder, 'new', file([1001])), path)
    await new Promise((resolve) => setTimeout(resolve, 200))
    await cluster.updateEndpoints({ set: [1004] })
    expect(sorted()).toMatchObject(expected)
    await cluster.setEndpoints([1003])
    expect(sorted()).toMatchObject([{ address: '127.0.0.1:1003', locality: 2, weight: 1 }])
  })

  it('makes an endpoint healthy that was configured as draining', async () => {
    const port = await sayingService('x')
    const draining = {
      health_status: 'DRAINING',
      endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
    }
    const proxy = await start({
      static_resources: {
        listeners: [httpListener({ routes: [route('/', 'app')] })],
        clusters: [
          {
            name: 'app',
            common_lb_config: { healthy_panic_threshold: { value: 0 } },
            load_assignment: { cluster_name: 'app', endpoints: [{ lb_endpoints: [draining] }] },
          },
        ],
      },
    } as never)
    expect(await said(proxy)).toMatch(/^503/)
    await proxy.cluster('app').updateEndpoints({ set: [{ address: port, health: 'healthy' }] })
    expect(await said(proxy)).toBe('200 x')
  })

  it('takes another name of an address for another host', async () => {
    const proxy = await start(short(1))
    const cluster = proxy.cluster('app')
    const [before] = cluster.endpoints
    await cluster.updateEndpoints({ set: [{ address: 1, hostname: 'other' }] })
    expect(cluster.endpoints).toMatchObject([{ hostname: 'other' }])
    expect(cluster.endpoints[0]?.id).not.toBe(before?.id)
  })

  it.each([
    [5, 'change'],
    [{ add: [] }, 'change.add'],
    [{ set: 1 }, 'change.set'],
    [{ remove: 'x' }, 'change.remove'],
    [{ set: [1, 'nowhere'] }, 'change.set[1]'],
    [{ set: [1, { address: 1 }] }, 'change.set[1]'],
    [{ set: Array(1) }, 'change.set[0]'],
    [{ remove: [{ address: 1 }] }, 'change.remove[0]'],
    [{ set: [2], remove: [1, '127.0.0.1:2'] }, 'change.remove[1]'],
  ])('%j is refused', async (change, path) => {
    const proxy = await start(short(1))
    const error = await failure(proxy.cluster('app').updateEndpoints(change as never))
    expect(error).toMatchObject({ code: 'ERR_MILLRACE_ARGUMENT', path })
    expect(proxy.cluster('app').endpoints).toMatchObject([{ address: '127.0.0.1:1' }])
  })
})

describe('setEndpoints', () => {
  it('replaces the endpoints of a cluster', async () => {
    const proxy = await start(short(1))
    const port = await sayingService('set')
    const health: HealthEvent[] = []
    proxy.on('health', (event) => health.push(event))
    const cluster = proxy.cluster('app')
    await cluster.setEndpoints([`http://127.0.0.1:${port}`])
    expect(await said(proxy)).toBe('200 set')
    await cluster.setEndpoints([
      { address: `127.0.0.1:${port}`, health: 'unhealthy' },
      { address: await sayingService('other'), weight: 3, hostname: 'o' },
    ])
    expect(await said(proxy)).toBe('200 other')
    const address = `127.0.0.1:${port}`
    expect(health).toEqual([{ cluster: 'app', address, health: 'unhealthy', was: 'healthy' }])
    expect(cluster.endpoints).toMatchObject([
      { address: `127.0.0.1:${port}`, health: 'unhealthy', rqTotal: 1 },
      { hostname: 'o', weight: 3, rqTotal: 1 },
    ])
    await cluster.setEndpoints([])
    expect(await said(proxy)).toBe('503 no healthy upstream')
  })

  it('keeps the connections of an endpoint that stays', async () => {
    let connections = 0
    const port = await httpService((_, response) => response.end('x'))
    const proxy = await start(short(port), { concurrency: 1 })
    for (let i = 0; i < 5; i++) {
      await proxy.cluster('app').setEndpoints([port, 1 + i].slice(0, 1 + (i % 2)))
      await proxy.cluster('app').setEndpoints([port])
      expect(await said(proxy)).toBe('200 x')
      connections = proxy.cluster('app').endpoints[0]?.cxTotal ?? 0
    }
    expect(connections).toBe(1)
  })

  it('holds until the configuration says something else of the endpoints', async () => {
    const [set, other] = [await sayingService('set'), await sayingService('other')]
    const proxy = await start(short(1))
    await proxy.cluster('app').setEndpoints([set])
    await proxy.apply({
      ...(short(1) as object),
      timeouts: { connect: '3s' },
    } as ProxyConfiguration)
    expect(await said(proxy)).toBe('200 set')
    await proxy.apply(short(other))
    expect(await said(proxy)).toBe('200 other')
    await proxy.apply(short(1))
    expect(await said(proxy)).toMatch(/^503/)
  })

  it('of a cluster that went is refused', async () => {
    const proxy = await start(short(1))
    const cluster = proxy.cluster('app')
    await cluster.setEndpoints([2])
    await proxy.apply({ listen: kListen, routes: { '/': 3 } })
    const error = await failure(cluster.setEndpoints([3]))
    expect(error).toMatchObject({ code: 'ERR_MILLRACE_UNKNOWN_CLUSTER' })
    expect(() => cluster.endpoints).toThrow(error.message)
    await proxy.apply(short(1))
    expect(cluster.endpoints).toMatchObject([{ address: '127.0.0.1:1' }])
  })

  it.each([
    ['x', 'endpoints'],
    [[undefined], 'endpoints[0]'],
    [[1, {}], 'endpoints[1].address'],
    [['nowhere'], 'endpoints[0]'],
    [['example.com:80'], 'endpoints[0]'],
    [[70_000], 'endpoints[0]'],
    [[0], 'endpoints[0]'],
    [[`unix:/${'x'.repeat(107)}`], 'endpoints[0]'],
    [['unix:/a\0b'], 'endpoints[0]'],
    [['[fe80::1%nowhere]:80'], 'endpoints[0]'],
    [[{ address: 1, port: 2 }], 'endpoints[0].port'],
    [[{ address: 1, weight: 0 }], 'endpoints[0].weight'],
    [[{ address: 1, health: true }], 'endpoints[0].health'],
    [[{ address: 1, priority: 129 }], 'endpoints[0].priority'],
    [[{ address: 1, hostname: 1 }], 'endpoints[0].hostname'],
    [[1, 2, '127.0.0.1:1'], 'endpoints[2]'],
    [Array(2), 'endpoints[0]'],
  ])('%j is refused', async (endpoints, path) => {
    const proxy = await start(short(1))
    const error = await failure(proxy.cluster('app').setEndpoints(endpoints as never))
    expect(error).toMatchObject({ code: 'ERR_MILLRACE_ARGUMENT', path })
    expect(proxy.cluster('app').endpoints).toMatchObject([{ address: '127.0.0.1:1' }])
  })

  it('says whose health is another one, once', async () => {
    const proxy = await start(short(1))
    const health: HealthEvent[] = []
    proxy.on('health', (event) => health.push(event))
    const cluster = proxy.cluster('app')
    for (let i = 0; i < 2; i++) await cluster.setEndpoints([{ address: 1, health: 'degraded' }, 2])
    await cluster.updateEndpoints({ set: [1] })
    const address = '127.0.0.1:1'
    expect(health).toEqual([
      { cluster: 'app', address, health: 'degraded', was: 'healthy' },
      { cluster: 'app', address, health: 'healthy', was: 'degraded' },
    ])
  })

  it('takes the same list in any order, in other words, and from objects that it was in', async () => {
    const proxy = await start(short(1))
    const cluster = proxy.cluster('app')
    const ids = (): number[] => cluster.endpoints.map(({ id }) => id).sort()
    const list = Array.from({ length: 20 }, (_, i) => ({ address: `10.0.0.1:${1 + i}`, weight: 1 }))
    await cluster.setEndpoints(list)
    const before = ids()
    await cluster.setEndpoints([...list].reverse())
    await cluster.setEndpoints(list.map(({ address }) => `http://${address}`))
    await cluster.setEndpoints(list.map(({ address }) => address))
    expect(ids()).toEqual(before)
    for (const one of list) one.weight = 7
    await cluster.setEndpoints(list)
    for (const one of list) one.weight = 8
    await cluster.setEndpoints(list)
    expect(ids()).toEqual(before)
    expect(cluster.endpoints.every(({ weight }) => weight === 8)).toBe(true)
    const twice = await failure(cluster.setEndpoints([...list, list[3] as never]))
    expect(twice).toMatchObject({ path: 'endpoints[20]' })
    expect(twice.message).toContain('and so is endpoints[3]')
  })

  it.each([
    ['aap', expect.stringContaining('"app"')],
    ['nobody', 'there are: app'],
  ])('there is no cluster %s', async (name, hint) => {
    const proxy = await start(short(1))
    expect(() => proxy.cluster(name)).toThrow(
      expect.objectContaining({ code: 'ERR_MILLRACE_UNKNOWN_CLUSTER', hint }),
    )
    expect(() => proxy.cluster(7 as never)).toThrow(
      expect.objectContaining({ code: 'ERR_MILLRACE_ARGUMENT', path: 'name' }),
    )
  })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
