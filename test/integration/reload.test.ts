// SIGHUP: only what changed is touched, and a bad file changes nothing.

import { describe, expect, it } from 'vitest'
import { bootstrap, cluster, httpListener, route, simple } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Load } from './support/load.ts'
import { Millrace } from './support/millrace.ts'
import { get, httpService, RawClient, rawService, sayingService, sleep } from './support/peers.ts'

type Json = Readonly<Record<string, unknown>>

/** A proxy with a configuration that can be written anew. */
async function started(
  config: Json,
): Promise<{ millrace: Millrace; rewrite: (c: unknown) => void }> {
  const folder = temporaryFolder()
  const path = write(folder, 'config.json', config)
  const millrace = await Millrace.start(['-c', path, '--drain-time-s', '5'])
  const rewrite = (content: unknown): void => {
    write(folder, 'config.json', content)
    millrace.signal('SIGHUP')
  }
  return { millrace, rewrite }
}

const text = async (url: string): Promise<string> => (await fetch(url)).text()

function twoRoutes(a: number, b: number, prefix = '/b'): Json {
  return bootstrap(
    [httpListener({ routes: [route(prefix, 'b'), route('/', 'a')] })],
    [cluster('a', [a]), cluster('b', [b])],
  )
}

describe('a good configuration', () => {
  it('that changes one route publishes that table alone', async () => {
    const [a, b] = await Promise.all([sayingService('a'), sayingService('b')])
    const { millrace, rewrite } = await started(twoRoutes(a, b))
    expect(await text(millrace.url('/b'))).toBe('b')
    rewrite(twoRoutes(a, b, '/c'))
    const {
      msg: _msg,
      level: _level,
      time: _time,
      ...changes
    } = await millrace.log('configuration reloaded')
    expect(changes).toMatchObject({
      listenersAdded: [],
      listenersModified: [],
      listenersRemoved: [],
      clustersPublished: [],
      clustersRemoved: [],
    })
    expect(changes.routesPublished).toHaveLength(1)
    await expect.poll(() => text(millrace.url('/c'))).toBe('b')
    expect(await text(millrace.url('/b'))).toBe('a')
    expect(await millrace.stat('configuration.reload_success')).toBe(1)
  })

  it('that is the same changes nothing', async () => {
    const [a, b] = await Promise.all([sayingService('a'), sayingService('b')])
    const { millrace, rewrite } = await started(twoRoutes(a, b))
    rewrite(twoRoutes(a, b))
    expect(await millrace.log('configuration reloaded')).toMatchObject({
      listenersModified: [],
      clustersPublished: [],
      routesPublished: [],
    })
  })

  it('moves a cluster to other hosts; counters and client connections live on', async () => {
    const [a, b] = await Promise.all([sayingService('a'), sayingService('b')])
    const { millrace, rewrite } = await started(simple([a]))
    const client = await RawClient.connect(millrace.port())
    client.send(get('/'))
    await client.until((received) => received.endsWith('\r\n\r\na'))
    rewrite(simple([b]))
    expect(await millrace.log('configuration reloaded')).toMatchObject({
      listenersModified: [],
      clustersPublished: ['web'],
    })
    await expect.poll(() => text(millrace.url())).toBe('b')
    client.send(get('/'))
    await client.until((received) => received.endsWith('\r\n\r\nb'))
    expect(await millrace.stat('cluster.web.upstream_rq_total')).toBeGreaterThanOrEqual(3)
  })

  it('adds and removes listeners and clusters', async () => {
    const [a, b] = await Promise.all([sayingService('a'), sayingService('b')])
    const first = httpListener({ name: 'first', routes: [route('/', 'a')] })
    const second = httpListener({ name: 'second', routes: [route('/', 'b')] })
    const both = bootstrap([first, second], [cluster('a', [a]), cluster('b', [b])])
    const { millrace, rewrite } = await started(bootstrap([first], [cluster('a', [a])]))
    const firstUrl = millrace.url('/', 'first')
    rewrite(both)
    expect(await millrace.log('configuration reloaded')).toMatchObject({
      listenersAdded: ['second'],
      clustersPublished: ['b'],
    })
    const listeners = (await text(millrace.admin('/listeners'))).trim().split('\n')
    const secondUrl = `http://${listeners.find((line) => line.startsWith('second::'))?.slice(8)}`
    expect(await text(secondUrl)).toBe('b')
    rewrite(bootstrap([first], [cluster('a', [a])]))
    expect(await millrace.log('configuration reloaded', 1)).toMatchObject({
      listenersRemoved: ['second'],
      clustersRemoved: ['b'],
    })
    await expect.poll(() => text(secondUrl).catch(() => 'refused')).toBe('refused')
    expect(await text(firstUrl)).toBe('a')
  })

  it('moves a listener to another address', async () => {
    const a = await sayingService('a')
    const { millrace, rewrite } = await started(simple([a]))
    const old = millrace.url()
    const moved = httpListener({
      routes: [route('/', 'web')],
      fields: { address: { socket_address: { address: '127.0.0.2', port_value: 0 } } },
    })
    rewrite(bootstrap([moved], [cluster('web', [a])]))
    expect(await millrace.log('configuration reloaded')).toMatchObject({
      listenersModified: ['main'],
    })
    const now = (await text(millrace.admin('/listeners'))).trim().replace('main::', 'http://')
    expect(now).toContain('127.0.0.2')
    expect(await text(now)).toBe('a')
    await expect.poll(() => text(old).catch(() => 'refused')).toBe('refused')
  })

  it('fails no request, however often it comes under load', async () => {
    const [a, b] = await Promise.all([sayingService('x'), sayingService('x')])
    const { millrace, rewrite } = await started(simple([a]))
    const load = new Load(millrace.url(), 16)
    for (let i = 0; i < 20; i++) {
      const manager = { server_name: `millrace-${i % 3}` } // a changed filter chain, too
      rewrite(simple(i % 2 === 0 ? [a, b] : [b], { manager }))
      await millrace.log('configuration reloaded', i)
      await sleep(20)
    }
    const { completed, failures } = await load.stop()
    expect(failures).toEqual([])
    expect(completed).toBeGreaterThan(100)
  })

  it('does not touch a request in flight on a route that goes', async () => {
    let finish: (() => void) | undefined
    const slow = await httpService((_request, response) => {
      response.write('begun ')
      finish ??= () => response.end('finished')
    })
    const other = await sayingService('other')
    const config = (routes: Json[]): Json =>
      bootstrap([httpListener({ routes })], [cluster('slow', [slow]), cluster('other', [other])])
    const { millrace, rewrite } = await started(
      config([route('/slow', 'slow'), route('/', 'other')]),
    )
    const response = await fetch(millrace.url('/slow'))
    rewrite(
      bootstrap([httpListener({ routes: [route('/', 'other')] })], [cluster('other', [other])]),
    )
    await millrace.log('configuration reloaded')
    // A worker may take the new table a moment later: then this waits for the slow service, too.
    const briefly = async (): Promise<string> => {
      const signal = AbortSignal.timeout(500)
      return (await fetch(millrace.url('/slow'), { signal })).text()
    }
    await expect.poll(() => briefly().catch(String)).toBe('other')
    finish?.()
    expect(await response.text()).toBe('begun finished')
  })
})

describe('a bad configuration', () => {
  it('is logged with all its errors and counted, and the one in force stays', async () => {
    const a = await sayingService('a')
    const { millrace, rewrite } = await started(simple([a]))
    rewrite({ static_resources: { listenrs: [], clusters: [{ nam: 'x' }] } })
    const refused = await millrace.log('reload refused: the configuration in force stays')
    const problems = refused.problems as { message: string; line: number }[]
    expect(problems.length).toBeGreaterThanOrEqual(2)
    expect(await text(millrace.url())).toBe('a')
    expect(await millrace.stat('configuration.reload_rejected')).toBe(1)
    rewrite(simple([await sayingService('b')]))
    await millrace.log('configuration reloaded')
    await expect.poll(() => text(millrace.url())).toBe('b')
  })

  it('because a port is taken: nothing of it is in force', async () => {
    const [a, b] = await Promise.all([sayingService('a'), sayingService('b')])
    const { millrace, rewrite } = await started(simple([a]))
    const taken = await rawService(() => {})
    const more = httpListener({ name: 'more', port: taken, routes: [route('/', 'web')] })
    const main = httpListener({ routes: [route('/', 'web')] })
    rewrite(bootstrap([main, more], [cluster('web', [b])]))
    const refused = await millrace.log('reload refused: the configuration in force stays')
    expect(refused.error).toContain('EADDRINUSE')
    expect(await text(millrace.url())).toBe('a')
    expect(await text(millrace.admin('/listeners'))).not.toContain('more')
  })
})
