// The life of a proxy inside a program: start, drain, close, signals, other threads, and the end of
// the process.

import { execFile, execFileSync } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type ConfigEvent,
  channelNames,
  createProxy,
  type DrainEvent,
  MillraceError,
  type ProxyConfiguration,
  type ProxyOptions,
  Proxy as TestedProxy,
} from '../../dist/index.js'
import { kPatienceMs } from '../patience.ts'
import { temporaryFolder } from './support/files.ts'
import { root } from './support/millrace.ts'
import { get, httpService, RawClient, sayingService } from './support/peers.ts'

const open = new Set<TestedProxy>()
afterEach(async () => {
  for (const proxy of open) await proxy.close()
  open.clear()
})

const short = (port: number): ProxyConfiguration => ({
  listen: '127.0.0.1:0',
  routes: { '/': 'app' },
  upstreams: { app: port },
})

async function start(
  configuration: ProxyConfiguration,
  options: ProxyOptions = {},
): Promise<TestedProxy> {
  const proxy = await createProxy(configuration, { concurrency: 2, ...options })
  open.add(proxy)
  return proxy
}

const portOf = (proxy: TestedProxy): number => proxy.addresses[0]?.port ?? 0
const ask = async (proxy: TestedProxy): Promise<string> =>
  (await fetch(`http://127.0.0.1:${portOf(proxy)}/`)).text()

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(MillraceError)
  return (error as MillraceError).code
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  const free = await Promise.race([
    once(server, 'listening').then(() => true),
    once(server, 'error').then(() => false),
  ])
  server.close()
  return free
}

describe('a logger that throws', () => {
  it('fails nothing that happens: not the start, no change, and not the end', async () => {
    const fail = (): never => {
      throw new Error('the disk is full')
    }
    const log = { level: 'debug', debug: fail, info: fail, warn: fail, error: fail }
    const [first, second] = [await sayingService('first'), await sayingService('second')]
    const proxy = await start(short(first), { log, admin: 0 })
    const errors: MillraceError[] = []
    proxy.on('error', (error) => errors.push(error as MillraceError))
    expect(await ask(proxy)).toBe('first')
    await proxy.apply(short(second))
    expect(await ask(proxy)).toBe('second')
    expect(errors[0]).toMatchObject({
      code: 'ERR_MILLRACE_LOGGER',
      message: expect.stringContaining('the disk is full'),
    })
    // A refusal is what it was, too.
    const bad = { listen: '127.0.0.1:0', routes: { '/': 'nowhere' } }
    expect(await codeOf(proxy.apply(bad))).not.toBe('ERR_MILLRACE_LOGGER')
    await proxy.close()
  })
})

describe('close', () => {
  it('leaves nothing open, and may be called again', async () => {
    const proxy = await start(short(await sayingService('x')), { admin: 0 })
    const port = portOf(proxy)
    expect(await ask(proxy)).toBe('x')
    const report = await proxy.close()
    expect(report.logsLost).toEqual([])
    expect(await proxy.close()).toBe(report)
    expect(await isFree(port)).toBe(true)
    expect(proxy.state).toBe('closed')
    expect(proxy.addresses).toEqual([])
    expect(proxy.connections).toBe(0)
    expect(proxy.clusters).toEqual([])
  })

  it('is what the end of a scope does', async () => {
    const closed: unknown[] = []
    let kept: TestedProxy
    {
      await using proxy = await start(short(1))
      proxy.on('close', (report) => closed.push(report))
      kept = proxy
    }
    expect(kept.state).toBe('closed')
    expect(closed).toEqual([{ connectionsCut: 0, logsLost: [] }])
  })

  it('refuses every use afterwards', async () => {
    const proxy = await start(short(1))
    const cluster = proxy.cluster('app')
    await proxy.close()
    expect(await codeOf(proxy.apply(short(1)))).toBe('ERR_MILLRACE_CLOSED')
    expect(await codeOf(proxy.drain())).toBe('ERR_MILLRACE_CLOSED')
    expect(await codeOf(cluster.setEndpoints([1]))).toBe('ERR_MILLRACE_CLOSED')
    const closed = expect.objectContaining({ code: 'ERR_MILLRACE_CLOSED' })
    expect(() => proxy.cluster('app')).toThrow(closed)
    expect(() => proxy.stats()).toThrow(closed)
    expect(() => proxy.runtime.get('a')).toThrow(closed)
    expect(() => proxy.reopenLogs()).toThrow(closed)
    expect(() => cluster.endpoints).toThrow(closed)
  })

  it('while an apply is under way rejects the apply', async () => {
    const proxy = await start(short(1))
    const applies = [proxy.apply(short(2)), proxy.apply(short(3))]
    const codes = Promise.all(applies.map(codeOf))
    await proxy.close()
    expect(await codes).toEqual(['ERR_MILLRACE_CLOSED', 'ERR_MILLRACE_CLOSED'])
  })

  it('while it starts rejects the start', async () => {
    const proxy = new TestedProxy(short(1), { concurrency: 1 })
    const started = codeOf(proxy.start())
    await proxy.close()
    expect(await started).toBe('ERR_MILLRACE_CLOSED')
  })

  it('before the start is the end', async () => {
    const proxy = new TestedProxy(short(1))
    expect(await codeOf(proxy.apply(short(1)))).toBe('ERR_MILLRACE_NOT_STARTED')
    await proxy.close()
    expect(await codeOf(proxy.start())).toBe('ERR_MILLRACE_CLOSED')
  })
})

describe('a signal', () => {
  it('closes the proxy', async () => {
    const controller = new AbortController()
    const proxy = await start(short(1), { signal: controller.signal })
    const port = portOf(proxy)
    const closed = once(proxy, 'close')
    controller.abort()
    expect(proxy.state).toBe('closed')
    await closed
    expect(await isFree(port)).toBe(true)
  })

  it('that is aborted already, or while it starts, rejects with its reason', async () => {
    const reason = new Error('changed my mind')
    await expect(createProxy(short(1), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const controller = new AbortController()
    const started = createProxy(short(1), { signal: controller.signal })
    controller.abort(reason)
    await expect(started).rejects.toBe(reason)
  })
})

describe('drain', () => {
  it('lets requests end, and accepts nothing more', async () => {
    let answer = (): void => {}
    const port = await httpService((_, response) => {
      answer = () => response.end('late')
    })
    const proxy = await start(short(port))
    const at = portOf(proxy)
    const client = await RawClient.connect(at)
    client.send(get('/'))
    while (proxy.cluster('app').endpoints[0]?.rqActive !== 1) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    const phases: DrainEvent[] = []
    proxy.on('drain', (event) => phases.push(event))
    const drained = proxy.drain({ deadline: 60_000 })
    expect(await codeOf(proxy.apply(short(1)))).toBe('ERR_MILLRACE_DRAINING')
    expect(proxy.state).toBe('draining')
    await new Promise((resolve) => setTimeout(resolve, 50))
    answer()
    expect(await drained).toEqual({ connections: 0 })
    expect(await client.all()).toContain('late')
    expect(phases).toEqual([
      { phase: 'started', connections: 1 },
      { phase: 'finished', connections: 0 },
    ])
    expect(await proxy.close()).toMatchObject({ connectionsCut: 0 })
  })

  it('ends at its deadline, and says what is left', async () => {
    const port = await httpService(() => {})
    const proxy = await start(short(port))
    const client = await RawClient.connect(portOf(proxy))
    client.send(get('/'))
    while (proxy.cluster('app').endpoints[0]?.rqActive !== 1) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(await proxy.drain({ deadline: 50 })).toEqual({ connections: 1 })
    expect(await proxy.close()).toMatchObject({ connectionsCut: 1 })
  })

  it.each([[{ deadline: -1 }], [{ deadline: '1s' }], [{ dedline: 1 }], [7]])(
    'refuses %j',
    async (options) => {
      const proxy = await start(short(1))
      expect(await codeOf(proxy.drain(options as never))).toBe('ERR_MILLRACE_ARGUMENT')
      expect(proxy.state).toBe('live')
    },
  )
})

describe('events', () => {
  it('an error that nobody hears is no exception, and a listener that throws harms nothing', async () => {
    const proxy = await start(short(1))
    expect(proxy.emit('error', new MillraceError('ERR_MILLRACE_TEST', 'x'))).toBe(false)
    const thrown: unknown[] = []
    const before = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => thrown.push(error.message))
    proxy.on('config', () => {
      throw new Error('of the listener')
    })
    await proxy.apply(short(2))
    expect(await ask(proxy)).toContain('upstream connect error')
    process.removeAllListeners('uncaughtException')
    for (const listener of before) process.on('uncaughtException', listener)
    expect(thrown).toEqual(['of the listener'])
  })

  it('config says what changed', async () => {
    const proxy = await start(short(1))
    const events: ConfigEvent[] = []
    proxy.on('config', (event) => events.push(event))
    await proxy.apply(short(2))
    expect(events).toMatchObject([
      { version: 2, name: 'configuration', changes: { clustersPublished: ['app'] } },
    ])
  })

  it('are told on channels, too', async () => {
    const told: string[] = []
    const listeners = Object.values(channelNames).map((name) => {
      const listener = (message: unknown): void => {
        expect((message as { proxy: unknown }).proxy).toBeInstanceOf(TestedProxy)
        told.push(name)
      }
      subscribe(name, listener)
      return () => unsubscribe(name, listener)
    })
    const proxy = await start(short(1))
    await proxy.apply({} as never).catch(() => {})
    await proxy.cluster('app').setEndpoints([{ address: 1, health: 'unhealthy' }])
    await proxy.drain()
    await proxy.close()
    for (const end of listeners) end()
    expect(told).toEqual([
      'millrace:proxy:start',
      'millrace:proxy:config',
      'millrace:proxy:config-refused',
      'millrace:proxy:health',
      'millrace:proxy:drain',
      'millrace:proxy:drain',
      'millrace:proxy:close',
    ])
  })
})

describe('stats', () => {
  it('are samples of what happened between two of them', async () => {
    const proxy = await start(short(await sayingService('x')))
    const stats = proxy.stats({ interval: 20 })
    await ask(proxy)
    await ask(proxy)
    const first = (await stats.next()).value
    expect(first?.get('cluster.app.upstream_rq_total')).toEqual({
      type: 'counter',
      fullName: 'cluster.app.upstream_rq_total',
      name: 'cluster.upstream_rq_total',
      tags: { envoy_cluster_name: 'app' },
      value: 2,
      delta: 2,
    })
    expect(first?.get('server.concurrency')).toMatchObject({ type: 'gauge', value: 2 })
    expect(first?.get('http.http.downstream_rq_time')).toMatchObject({
      type: 'histogram',
      count: 2,
      delta: 2,
      p50: expect.any(Number),
    })
    await ask(proxy)
    const second = (await stats.next()).value
    expect(second?.get('cluster.app.upstream_rq_total')).toMatchObject({ value: 3, delta: 1 })
  })

  it('that nobody fetches are not made', async () => {
    const proxy = await start(short(1))
    const stats = proxy.stats({ interval: 10 })
    await stats.next()
    await new Promise((resolve) => setTimeout(resolve, 100))
    const late = (await stats.next()).value
    expect(late?.elapsed).toBeGreaterThanOrEqual(90)
    const next = (await stats.next()).value
    // Those that were missed are not made up for; a timer that is late shortens the next interval.
    expect(next?.elapsed).toBeGreaterThan(0)
  })

  it('end with the proxy, with a signal, and with the loop', async () => {
    const proxy = await start(short(1))
    const controller = new AbortController()
    const aborted = proxy.stats({ interval: 60_000, signal: controller.signal }).next()
    const closed = proxy.stats({ interval: 60_000 }).next()
    controller.abort()
    expect(await aborted).toEqual({ done: true, value: undefined })
    for await (const sample of proxy.stats({ interval: 1 })) {
      expect(sample.stats.length).toBeGreaterThan(50)
      break
    }
    await proxy.close()
    expect(await closed).toEqual({ done: true, value: undefined })
  })

  it.each([[{ interval: 0 }], [{ interval: '1s' }], [{ signal: 1 }], [{ every: 1 }]])(
    'refuse %j',
    async (options) => {
      const proxy = await start(short(1))
      expect(() => proxy.stats(options as never)).toThrow(
        expect.objectContaining({ code: 'ERR_MILLRACE_ARGUMENT' }),
      )
    },
  )
})

describe('runtime', () => {
  const split = (a: number, b: number): object => ({
    static_resources: {
      listeners: [
        {
          name: 'main',
          address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
          filter_chains: [{ filters: [manager(a, b)] }],
        },
      ],
    },
    layered_runtime: { layers: [{ name: 'file', static_layer: { flag: 0 } }] },
  })
  const answer = (text: string): object => ({ status: 200, body: { inline_string: text } })
  const manager = (_a: number, _b: number): object => ({
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type':
        'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      stat_prefix: 'main',
      route_config: {
        virtual_hosts: [
          {
            name: 'all',
            domains: ['*'],
            routes: [
              {
                match: {
                  prefix: '/',
                  runtime_fraction: { default_value: { numerator: 0 }, runtime_key: 'flag' },
                },
                direct_response: answer('on'),
              },
              { match: { prefix: '/' }, direct_response: answer('off') },
            ],
          },
        ],
      },
      http_filters: [
        {
          name: 'envoy.filters.http.router',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
          },
        },
      ],
    },
  })

  it('sets flags above the configuration, until they are deleted', async () => {
    const proxy = await start(split(1, 2))
    expect(await ask(proxy)).toBe('off')
    await proxy.runtime.set('flag', 100)
    expect(await ask(proxy)).toBe('on')
    expect(proxy.runtime.get('flag')).toBe(100)
    await proxy.apply(split(3, 4))
    expect(await ask(proxy)).toBe('on')
    await proxy.runtime.set('flag', { numerator: 1_000_000, denominator: 1_000_000 })
    expect(await ask(proxy)).toBe('on')
    await proxy.runtime.delete('flag')
    expect(await ask(proxy)).toBe('off')
    expect(proxy.runtime.get('flag')).toBe(0)
  })

  it.each([[Number.NaN], [null], [undefined], [[]], [{ numerator: 1, denominator: 3 }], [() => 1]])(
    'refuses %s',
    async (value) => {
      const proxy = await start(short(1))
      expect(() => proxy.runtime.set('flag', value as never)).toThrow(
        expect.objectContaining({ code: 'ERR_MILLRACE_ARGUMENT', path: 'value' }),
      )
      expect(() => proxy.runtime.set('', 1)).toThrow(expect.objectContaining({ path: 'key' }))
    },
  )
})

it('several live side by side', async () => {
  const proxies = await Promise.all(
    ['a', 'b', 'c'].map(async (text) => start(short(await sayingService(text)))),
  )
  expect(await Promise.all(proxies.map(ask))).toEqual(['a', 'b', 'c'])
  await proxies[1]?.close()
  expect(await ask(proxies[0] as TestedProxy)).toBe('a')
  expect(await ask(proxies[2] as TestedProxy)).toBe('c')
})

describe('in a worker_thread', () => {
  const script = join(import.meta.dirname, 'support/proxy_thread.mjs')
  const threads = (): number => readdirSync('/proc/self/task').length
  const descriptors = (): number => readdirSync('/proc/self/fd').length

  async function thread(
    port: number,
    log: string | false,
  ): Promise<{ worker: Worker; at: number }> {
    const worker = new Worker(script, { workerData: { port, log } })
    const [at] = (await once(worker, 'message')) as [number]
    return { worker, at }
  }

  it('serves, and the thread ends when the proxy is closed', async () => {
    const { worker, at } = await thread(await sayingService('x'), false)
    expect(await (await fetch(`http://127.0.0.1:${at}/`)).text()).toBe('x')
    worker.postMessage('close')
    expect(await once(worker, 'exit')).toEqual([0])
    expect(await isFree(at)).toBe(true)
  })

  it('ends with it, at whatever moment that comes', async () => {
    const port = await sayingService('x')
    const log = join(temporaryFolder(), 'access.log')
    const run = async (delayMs: number): Promise<void> => {
      const { worker, at } = await thread(port, log)
      worker.postMessage('apply')
      const client = new RawClient(at)
      client.send(get('/'))
      await client.until((text) => text.endsWith('x'))
      await new Promise((resolve) => setTimeout(resolve, delayMs))
      await worker.terminate()
      expect(await client.all()).toContain('200 OK')
      client.socket.destroy()
      expect(await isFree(at)).toBe(true)
    }
    await run(1) // what is made once for the process is there now
    const [threadsBefore, descriptorsBefore] = [threads(), descriptors()]
    for (let i = 0; i < 12; i++) await run(i % 4)
    while (threads() > threadsBefore) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(descriptors()).toBeLessThanOrEqual(descriptorsBefore + 1)
    // Its logs are written out.
    expect(readFileSync(log, 'utf8').trim().split('\n')).toHaveLength(13)
  })
})

describe('the process', () => {
  /** Runs a program, given `port` and `log`; gives what it wrote. Fails after a while. */
  async function program(code: string, type = 'module'): Promise<{ stdout: string; code: number }> {
    const args = [`--input-type=${type}`, '-e', code]
    const options = { cwd: root, timeout: kPatienceMs }
    return promisify(execFile)(process.execPath, args, options).then(
      ({ stdout }) => ({ stdout, code: 0 }),
      (error) => {
        if (error.killed) throw new Error(`does not end: ${error.stdout}`)
        return { stdout: `${error.stdout}${error.stderr}`, code: error.code }
      },
    )
  }
  const begin = (configuration: unknown): string =>
    `import { createProxy } from 'millrace'
     const proxy = await createProxy(${JSON.stringify(configuration)}, { admin: 0 })
     const url = 'http://' + proxy.addresses[0].text`

  it('ends by itself after close', async () => {
    const code = `${begin(short(await sayingService('x')))}
      await (await fetch(url)).text()
      await proxy.close()
      process.on('exit', () => console.log('end'))`
    expect(await program(code)).toEqual({ stdout: 'end\n', code: 0 })
  })

  it('is kept alive by a live proxy, unless it is unref’d', async () => {
    const code = `${begin(short(1))}
      let ended = false
      process.on('exit', () => console.log('exit', ended))
      setTimeout(() => { ended = true; proxy.unref() }, 100).unref()`
    expect(await program(code)).toEqual({ stdout: 'exit true\n', code: 0 })
  })

  it('may end in the middle of everything, and logs are written out', async () => {
    const log = join(temporaryFolder(), 'access.log')
    const configuration = { ...(short(await sayingService('x')) as object), access_log: log }
    const code = `${begin(configuration)}
      await Promise.all(Array.from({ length: 10 }, () => fetch(url).then((r) => r.text())))
      proxy.apply(${JSON.stringify(short(2))})
      for (let i = 0; i < 4; i++) fetch(url)
      setImmediate(() => process.exit(3))`
    expect(await program(code)).toEqual({ stdout: '', code: 3 })
    expect(readFileSync(log, 'utf8').trim().split('\n').length).toBeGreaterThanOrEqual(10)
  })

  it('may load it by require()', async () => {
    const code = `const { createProxy, Proxy, ConfigError } = require('millrace')
      createProxy(${JSON.stringify(short(1))}).then(async (proxy) => {
        console.log(proxy instanceof Proxy, typeof ConfigError)
        await proxy.close()
      })`
    expect(await program(code, 'commonjs')).toEqual({ stdout: 'true function\n', code: 0 })
  })
})

describe('while a log takes nothing', () => {
  it('close() says what is lost at its deadline, and the event loop turns meanwhile', async () => {
    const file = join(temporaryFolder(), 'fifo')
    execFileSync('mkfifo', [file])
    const port = await sayingService('x')
    const log = { access_log: { to: file, format: '%REQ(:PATH)%' } }
    const configuration = { ...(short(port) as object), ...log } as ProxyConfiguration
    const proxy = await start(configuration)
    const path = `/${'x'.repeat(4000)}`
    // More than any pipe holds, unless it was made larger.
    for (let i = 0; i < 300; i++) {
      await (await fetch(`http://127.0.0.1:${portOf(proxy)}${path}`)).text()
    }
    let turns = 0
    const turning = setInterval(() => turns++, 20)
    const began = performance.now()
    const report = await proxy.close()
    clearInterval(turning)
    expect(performance.now() - began).toBeGreaterThan(4_000)
    expect(turns).toBeGreaterThan(20)
    expect(report.logsLost).toMatchObject([{ target: file }])
    expect(await proxy.close()).toEqual(report)
  })
})
