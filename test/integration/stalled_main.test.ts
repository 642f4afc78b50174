// What the threads are for: a main thread that is blocked, or busy publishing, costs proxied
// traffic nothing.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { bootstrap, httpListener, route, simple } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Load, percentile } from './support/load.ts'
import { sayingService, sleep } from './support/peers.ts'

interface Message {
  readonly begun?: string
  readonly done?: string
  readonly result?: unknown
  readonly addresses?: string[]
}

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

/** A program of its own that embeds the server (support/embedder.mjs). */
class Embedder {
  readonly #child: ChildProcess
  readonly url: string

  private constructor(child: ChildProcess, url: string) {
    this.#child = child
    this.url = url
  }

  static async start(configuration?: unknown): Promise<Embedder> {
    const content = configuration ?? simple([await sayingService('x')])
    const config = write(temporaryFolder(), 'config.json', content)
    const child = fork(join(import.meta.dirname, 'support/embedder.mjs'), [config, '2'])
    children.push(child)
    const [{ addresses }] = (await once(child, 'message')) as [Message]
    return new Embedder(child, `http://${addresses?.[0]}/`)
  }

  #message(key: 'begun' | 'done', what: string): Promise<Message> {
    return new Promise((resolve) => {
      const listen = (message: Message): void => {
        if (message[key] !== what) return
        this.#child.off('message', listen)
        resolve(message)
      }
      this.#child.on('message', listen)
    })
  }

  /** Resolves when it has begun. */
  async begin(what: string, amount = 0): Promise<{ done: Promise<unknown> }> {
    const begun = this.#message('begun', what)
    const done = this.#message('done', what).then(({ result }) => result)
    this.#child.send({ ask: what, amount })
    await begun
    return { done }
  }
}

describe('a cluster that adds hosts as requests name them', () => {
  it('serves those that it has while the main thread is blocked, and new ones after it', async () => {
    const [known, fresh] = [await sayingService('known'), await sayingService('fresh')]
    const cluster = {
      name: 'any',
      type: 'ORIGINAL_DST',
      lb_policy: 'CLUSTER_PROVIDED',
      connect_timeout: '60s',
      original_dst_lb_config: { use_http_header: true },
    }
    const listener = httpListener({ routes: [route('/', 'any')] })
    const embedder = await Embedder.start(bootstrap([listener], [cluster]))
    const ask = async (port: number): Promise<string> => {
      const headers = { 'x-envoy-original-dst-host': `127.0.0.1:${port}` }
      return (await fetch(embedder.url, { headers })).text()
    }
    expect(await ask(known)).toBe('known')
    const { done } = await embedder.begin('block', 3_000)
    let isOver = false
    void done.then(() => {
      isOver = true
    })
    const waits = ask(fresh)
    let served = 0
    for (; served < 20; served++) expect(await ask(known)).toBe('known')
    // Unless this machine was slower than the block was long, which says nothing.
    if (isOver) console.log('the block was over too soon to tell')
    expect(await waits).toBe('fresh')
    await done
  })
})

describe('under load', () => {
  it('a main thread blocked for 2 s fails no request, and stops none', async () => {
    const embedder = await Embedder.start()
    const before = new Load(embedder.url, 16)
    await sleep(1_000)
    const usual = await before.stop()
    const load = new Load(embedder.url, 16)
    const { done } = await embedder.begin('block', 2_000)
    const atStart = load.completed
    await sleep(1_500) // well inside of the two seconds, by the clock of another process
    const meanwhile = load.completed - atStart
    await done
    const { failures, latencies } = await load.stop()
    expect(usual.failures).toEqual([])
    expect(failures).toEqual([])
    expect(meanwhile).toBeGreaterThan(100)
    // Shown, not judged: times depend on the machine.
    const p99 = [usual.latencies, latencies].map((list) => percentile(list, 0.99).toFixed(1))
    console.log(`p99 before ${p99[0]} ms, with the main thread blocked ${p99[1]} ms`)
  })

  it('10,000 publishes of a cluster fail no request', async () => {
    const embedder = await Embedder.start()
    const load = new Load(embedder.url, 16)
    const { done } = await embedder.begin('publish', 10_000)
    expect(await done).toBe(10_001)
    const { completed, failures } = await load.stop()
    expect(failures).toEqual([])
    expect(completed).toBeGreaterThan(0)
    const { done: stopped } = await embedder.begin('stop')
    expect(await stopped).toMatchObject({ logsLost: [] })
  })
})
