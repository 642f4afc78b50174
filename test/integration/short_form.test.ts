// What the short form promises of targets and of paths, with real services.

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterEach, describe, expect, it } from 'vitest'
import { createProxy, type Proxy as TestedProxy } from '../../dist/index.js'
import { RawClient } from './support/peers.ts'

const open = new Set<{ close(): unknown }>()
afterEach(async () => {
  for (const one of open) await one.close()
  open.clear()
})

async function serviceAt(address: string, says: string): Promise<number> {
  const server: Server = createServer((request, response) => response.end(`${says} ${request.url}`))
  server.listen(0, address)
  await once(server, 'listening')
  open.add({
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  })
  return (server.address() as AddressInfo).port
}

async function start(configuration: object): Promise<TestedProxy> {
  const proxy = await createProxy({ listen: '127.0.0.1:0', ...configuration } as never, {
    concurrency: 1,
  })
  open.add(proxy)
  return proxy
}

const portOf = (proxy: TestedProxy): number => proxy.addresses[0]?.port ?? 0
const hasIPv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
)

const families = hasIPv6 ? ['127.0.0.1', '::1'] : ['127.0.0.1']
if (!hasIPv6) console.log('this machine has no ::1: only IPv4 is tried')

describe('a target', () => {
  it.each(families)('localhost is a service that listens on %s alone', async (address) => {
    const port = await serviceAt(address, 'here')
    for (const to of [`http://localhost:${port}`, port, [`localhost:${port}`]]) {
      const proxy = await start({ routes: { '/': to } })
      // Each of them, though every second one begins with the other address.
      for (let i = 0; i < 4; i++) {
        const response = await fetch(`http://127.0.0.1:${portOf(proxy)}/${i}`)
        expect(await response.text()).toBe(`here /${i}`)
      }
      await proxy.close()
      open.delete(proxy)
    }
  })

  it('is a name, by itself and beside others', async () => {
    const port = await serviceAt('127.0.0.1', 'named')
    const other = await serviceAt(families.at(-1) as string, 'other')
    const proxy = await start({
      upstreams: { app: { to: [`http://app.localhost:${port}`, `localhost:${other}`] } },
      routes: { '/': `http://app.localhost:${port}`, '/two': 'app' },
    })
    const url = `http://127.0.0.1:${portOf(proxy)}`
    expect(await (await fetch(`${url}/`)).text()).toBe('named /')
    const said = new Set<string>()
    for (let i = 0; i < 6; i++) said.add(await (await fetch(`${url}/two`)).text())
    expect([...said].sort()).toEqual(['named /two', 'other /two'])
  })
})

describe('listen: localhost', () => {
  it('is both of its addresses, where this machine has both', async () => {
    const proxy = await start({ listen: 'localhost:0', routes: { '/': { respond: 200 } } })
    expect(proxy.addresses.map(({ host }) => host)).toEqual(families)
    for (const { text } of proxy.addresses) {
      expect((await fetch(`http://${text}/`)).status).toBe(200)
    }
  })
})

/** The status of a request for a path as it stands. */
async function statusOf(proxy: TestedProxy, path: string, host = 'a.test'): Promise<number> {
  const client = await RawClient.connect(portOf(proxy))
  client.send(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`)
  const answer = await client.all()
  return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1])
}

describe('a route that keeps out', () => {
  /** Ways to write /private/x and /private that some server takes for it. */
  const ways = [
    '/private',
    '/private/',
    '/private/x',
    '//private',
    '///private//x',
    '/./private',
    '/a/../private',
    '/a/%2e%2e/private',
    '/%70rivate',
    '/%2fprivate',
    '/%2Fprivate%2Fx',
    '/private%2fx',
    '/private%5cx',
    '/private\\x',
    '/\\private',
    '/private;x',
    '/private;',
    '/private;v=1/x',
    '/private;a;b=c,d/x;y',
    '/private;x?q=/',
    '/;x/private',
    '/./;x/private',
    '/a/..;/private',
    '/a/..;x=1/private/x',
    '/.;/private',
    '/a;x/../private',
    '/private%2f..%2fprivate/x',
    '//%2e/private;x//y',
  ]
  const configuration = async (more: object = {}): Promise<object> => ({
    routes: {
      '/': `127.0.0.1:${await serviceAt('127.0.0.1', 'public')}`,
      '/private': { respond: 403 },
    },
    ...more,
  })

  it('does so for each way to write its path', async () => {
    const proxy = await start(await configuration())
    const passed: string[] = []
    for (const path of ways) {
      const status = await statusOf(proxy, path)
      if (status !== 403 && status !== 400) passed.push(`${path} ${status}`)
    }
    expect(passed).toEqual([])
    for (const path of [
      '/',
      '/privateer',
      '/private.html',
      '/a;x/b',
      '/;session=1',
      '/a%20b',
      '/a..;',
    ]) {
      expect(`${path} ${await statusOf(proxy, path)}`).toBe(`${path} 200`)
    }
  })

  it('does so where it is one of a deeper path, an exact one, or one with a slash', async () => {
    const proxy = await start(
      await configuration({
        routes: {
          '/': `127.0.0.1:${await serviceAt('127.0.0.1', 'public')}`,
          '/a.b/c': { respond: 403 },
          '= /one': { respond: 403 },
          '/d/e/': { respond: 403 },
        },
      }),
    )
    for (const path of [
      '/a.b/c',
      '/a.b;x/c',
      '/a.b/c;x',
      '/a.b;/c;/d',
      '/one',
      '/one;x',
      '/d/e/',
      '/d;x/e;y/',
    ]) {
      expect(`${path} ${await statusOf(proxy, path)}`).toBe(`${path} 403`)
    }
    for (const path of ['/aXb;x/c', '/one/x', '/one;x/y', '/d/e', '/d;x/e;y', '/a.b/cd;x']) {
      expect(`${path} ${await statusOf(proxy, path)}`).toBe(`${path} 200`)
    }
  })

  it('takes paths as they are written when it is told so', async () => {
    const proxy = await start(await configuration({ normalize_paths: false }))
    expect(await statusOf(proxy, '/private')).toBe(403)
    expect(await statusOf(proxy, '/private;x')).toBe(200)
    expect(await statusOf(proxy, '//private')).toBe(200)
    expect(await statusOf(proxy, '/private%2fx')).toBe(200)
  })

  it('strips and rewrites paths with parameters as those without', async () => {
    const to = `127.0.0.1:${await serviceAt('127.0.0.1', 'at')}`
    const proxy = await start({
      routes: {
        '/': to,
        '/strip': { to, strip_prefix: true },
        '/new': { to, rewrite: '/v2' },
        '= /one': { to, rewrite: '/two' },
      },
    })
    const url = `http://127.0.0.1:${portOf(proxy)}`
    const paths: [string, string][] = [
      ['/strip/a', '/a'],
      ['/strip;x/a', '/a'],
      ['/strip;x', '/'],
      ['/new;x', '/v2'],
      ['/new;x/a;y?b=c', '/v2/a;y?b=c'],
      ['/one;x?b', '/two?b'],
      ['/other;x', '/other;x'],
    ]
    for (const [path, expected] of paths) {
      expect(`${path}: ${await (await fetch(url + path)).text()}`).toBe(`${path}: at ${expected}`)
    }
  })

  it('is that of its host, however the name of that is written', async () => {
    const to = `127.0.0.1:${await serviceAt('127.0.0.1', 'public')}`
    const proxy = await start({
      routes: { '/': to },
      hosts: { 'a.test': { routes: { '/': { respond: 403 } } } },
    })
    for (const host of ['a.test', 'A.test', 'a.test.', 'A.TEST.:80', 'a.test:80']) {
      expect(`${host} ${await statusOf(proxy, '/', host)}`).toBe(`${host} 403`)
    }
    expect(await statusOf(proxy, '/', 'b.test')).toBe(200)
  })
})
