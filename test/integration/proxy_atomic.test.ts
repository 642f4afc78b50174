// A request is served by one configuration, however often another one takes its place.

import { afterEach, expect, it } from 'vitest'
import { createProxy, type Proxy as TestedProxy } from '../../dist/index.js'
import { bootstrap, cluster, httpListener, route } from './support/config.ts'
import { get, RawClient, sayingService } from './support/peers.ts'

const open = new Set<{ close(): unknown }>()
afterEach(async () => {
  for (const one of open) await one.close()
  open.clear()
})

interface Version {
  readonly name: string
  readonly upstream: number
  /** Of the second listener, which not all have; it moves where that differs. */
  readonly second?: number
}

/** Every part of a configuration says its name: both listeners, the routes, the cluster. */
function configuration({ name, upstream, second }: Version, ports: readonly number[]): object {
  const listener = (which: string, port: number): object =>
    httpListener({
      name: which,
      port,
      routes: [
        {
          ...route('/', 'web'),
          response_headers_to_add: [{ header: { key: 'x-routes', value: name } }],
        },
      ],
      manager: { server_name: name, stat_prefix: `${which}-${name}` },
    })
  const listeners = [listener('first', ports[0] ?? 0)]
  if (second !== undefined) listeners.push(listener('second', ports[second] ?? 0))
  return bootstrap(listeners as never, [cluster('web', [upstream])])
}

/** The parts of a response that say which configuration they are of. */
function parts(response: string): string[] {
  const [head = '', body = ''] = response.split('\r\n\r\n')
  const header = (name: string): string =>
    new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1] ?? 'none'
  return [header('server'), header('x-routes'), body]
}

/** Requests one after the other, each on a connection that is open, or on a new one. */
class Asker {
  readonly seen = new Map<string, number>()
  readonly #port: number
  readonly #reuse: boolean
  #stopping = false
  readonly done: Promise<void>

  constructor(port: number, reuse: boolean) {
    this.#port = port
    this.#reuse = reuse
    this.done = this.#run()
  }

  async #run(): Promise<void> {
    let client: RawClient | undefined
    while (!this.#stopping) {
      client ??= new RawClient(this.#port)
      const answer = await this.#ask(client)
      if (answer !== '') this.seen.set(answer, (this.seen.get(answer) ?? 0) + 1)
      if (!this.#reuse || answer === '' || client.ended) {
        client.socket.destroy()
        client = undefined
      }
    }
    client?.socket.destroy()
  }

  /** '' where the connection was closed, or could not be had: a listener comes and goes. */
  async #ask(client: RawClient): Promise<string> {
    client.text = ''
    // In two pieces: a configuration may come between them.
    const request = get('/')
    client.send(request.slice(0, 9))
    await new Promise((resolve) => setImmediate(resolve))
    client.send(request.slice(9))
    const text = await client.until(
      (so_far) => /\r\n\r\n[abc]$/.test(so_far) || client.ended || client.error !== undefined,
    )
    return /\r\n\r\n[abc]$/.test(text) ? parts(text).join(' ') : ''
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.done
  }
}

async function freePorts(count: number): Promise<number[]> {
  const proxies = await Promise.all(
    Array.from({ length: count }, () =>
      createProxy({ listen: '127.0.0.1:0', routes: { '/': 1 } }, { concurrency: 1 }),
    ),
  )
  const ports = proxies.map((proxy) => proxy.addresses[0]?.port ?? 0)
  await Promise.all(proxies.map((proxy) => proxy.close()))
  return ports
}

it('never shows half of an apply', async () => {
  const ports = await freePorts(3)
  const versions: Version[] = [
    { name: 'a', upstream: await sayingService('a') },
    { name: 'b', upstream: await sayingService('b'), second: 1 },
    { name: 'c', upstream: await sayingService('c'), second: 2 },
  ]
  const proxy: TestedProxy = await createProxy(configuration(versions[0] as Version, ports), {
    concurrency: 2,
    drainTime: 100,
  })
  open.add(proxy)
  const askers = [0, 0, 0, 1, 2].flatMap((listener, i) => [
    new Asker(ports[listener] ?? 0, true),
    ...(i > 0 ? [new Asker(ports[listener] ?? 0, false)] : []),
  ])
  const until = Date.now() + 4_000
  let applied = 0
  while (Date.now() < until || applied < 50) {
    applied++
    await proxy.apply(configuration(versions[applied % 3] as Version, ports))
    // When apply has resolved, no worker serves what was before.
    const client = new RawClient(ports[0] ?? 0)
    client.send(get('/', 'Connection: close\r\n'))
    const name = versions[applied % 3]?.name
    expect(parts(await client.all())).toEqual([name, name, name])
  }
  await Promise.all(askers.map((asker) => asker.stop()))
  const seen = new Set(askers.flatMap((asker) => [...asker.seen.keys()]))
  expect([...seen].sort()).toEqual(['a a a', 'b b b', 'c c c'])
  for (const asker of askers.slice(0, 5)) expect(asker.seen.size).toBe(3)
})

it('takes many turns for thousands of clusters, and shows none of them early', async () => {
  const kClusters = 2000
  const ports = { a: await sayingService('a'), b: await sayingService('b') }
  // The first and the last say which configuration they are of; a change of all others comes
  // between them.
  const many = (name: 'a' | 'b'): object =>
    bootstrap([httpListener({ routes: [route('/last', 'last'), route('/', 'first')] })] as never, [
      cluster('first', [ports[name]]),
      ...Array.from({ length: kClusters }, (_, i) =>
        cluster(`c${i}`, [name === 'a' ? 1 : 2, 3, 4]),
      ),
      cluster('last', [ports[name]]),
    ])
  const proxy: TestedProxy = await createProxy(many('a'), { concurrency: 1 })
  open.add(proxy)
  const client = new RawClient(proxy.addresses[0]?.port ?? 0)
  const ask = async (path: string): Promise<string> => {
    client.text = ''
    client.send(get(path))
    return (await client.until((text) => /\r\n\r\n[ab]$/.test(text))).slice(-1)
  }
  for (const [from, to] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    let turns = 0
    let applied = false
    const count = (): void => {
      turns++
      if (!applied) setImmediate(count)
    }
    const applying = proxy.apply(many(to)).then(() => {
      applied = true
    })
    setImmediate(count)
    const seen = new Set<string>()
    while (!applied) {
      // A change between the two requests may show the one before it, and then the one after.
      const pair = (await ask('/')) + (await ask('/last'))
      seen.add(pair)
    }
    await applying
    expect(turns).toBeGreaterThan(3)
    expect([...seen].filter((pair) => pair === to + from)).toEqual([])
    expect((await ask('/last')) + (await ask('/'))).toBe(to + to)
  }
  client.socket.destroy()
})

it('may be closed in the middle of an apply', async () => {
  const clusters = Array.from({ length: 1000 }, (_, i) => cluster(`c${i}`, [1, 2, 3]))
  const next = bootstrap([httpListener({ routes: [] })] as never, clusters)
  for (let turns = 1; turns < 200; turns *= 2) {
    const proxy = await createProxy({ listen: '127.0.0.1:0', routes: { '/': 1 } })
    const applied = proxy.apply(next).then(
      () => 'applied',
      (error: { code?: string }) => error.code,
    )
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
    await proxy.close()
    expect(['ERR_MILLRACE_CLOSED', 'applied']).toContain(await applied)
  }
})
