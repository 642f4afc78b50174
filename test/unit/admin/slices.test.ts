// Answers about thousands of clusters: they are made as the client reads them, in steps that are
// short, and whoever asks /ready in between is answered.

import { get, type IncomingMessage } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { clustersEndpoint } from '../../../src/admin/clusters.ts'
import { configDumpEndpoint } from '../../../src/admin/config_dump.ts'
import type { Endpoint } from '../../../src/admin/endpoint.ts'
import { jsonPieces } from '../../../src/admin/pieces.ts'
import { AdminServer } from '../../../src/admin/server.ts'
import { statsEndpoints } from '../../../src/admin/stats.ts'
import { type SourceNode, toJson, toJsonInSteps } from '../../../src/config/source/tree.ts'
import type { NativeStat } from '../../../src/native/index.ts'
import { atOnce, type Steps, sorted } from '../../../src/slices.ts'
import { cluster, host, RecordingTarget } from './target.ts'

const kClusters = 2_000
const kStatsEach = 10

/** 2,000 clusters; what is read of them is counted. */
class LargeTarget extends RecordingTarget {
  /** Looks at a cluster's hosts, at a stat, at a resource. */
  work = 0
  hostsRead = 0
  hostsEach = 10
  readonly #names = Array.from({ length: kClusters }, (_, i) => `cluster-${(i * 7919) % kClusters}`)

  override readonly clusters = {
    list: () =>
      this.#names.map((name, i) => ({
        name,
        slot: i,
        cluster: cluster(name, 3000),
        version: 1,
        updatedAt: 0,
      })),
    hosts: () => {
      this.hostsRead++
      return Array.from({ length: this.hostsEach }, (_, id) => ({ ...host, id }))
    },
    host: () => {
      this.work++
      return { flags: 0, successRate: -1, localSuccessRate: -1 }
    },
  }
  override *stats(): ReturnType<RecordingTarget['stats']> {
    yield
    const all: NativeStat[] = []
    for (const name of this.#names) {
      for (let i = 0; i < kStatsEach; i++) {
        const full = `cluster.${name}.upstream_rq_${i}xx`
        const target = this
        all.push({
          get name() {
            target.work++
            return full
          },
          tags: ['envoy.cluster_name', name],
          type: 'counter',
          value: i,
        })
      }
    }
    return all
  }
  override configuration(): ReturnType<RecordingTarget['configuration']> {
    const clusters = this.#names.map((name) => ({
      get name() {
        return name
      },
      hosts: Array.from({ length: 20 }, (_, i) => i),
    }))
    const target = this
    function* effectiveInSteps(): Steps<unknown> {
      for (const _ of clusters) {
        target.work++
        yield
      }
      return { static_resources: { clusters } }
    }
    return { loaded: { effectiveInSteps }, at: 0 }
  }
}

let target: LargeTarget

const [stats, prometheus] = statsEndpoints as [Endpoint, Endpoint]
const kAsked: readonly (readonly [string, Endpoint, string])[] = [
  ['/stats', stats, ''],
  ['/stats?format=json', stats, 'format=json'],
  ['/stats?filter', stats, 'filter=rq_1'],
  ['/stats/prometheus', prometheus, ''],
  ['/clusters', clustersEndpoint, ''],
  ['/clusters?format=json', clustersEndpoint, 'format=json'],
  ['/config_dump', configDumpEndpoint, ''],
  ['/config_dump?name_regex', configDumpEndpoint, 'name_regex=-1'],
]

describe('an answer about 2,000 clusters', () => {
  beforeEach(() => {
    target = new LargeTarget()
  })
  for (const [name, endpoint, query] of kAsked) {
    it(`is made in steps that are short: ${name}`, () => {
      const { body } = endpoint.handle(target, new URLSearchParams(query))
      if (typeof body === 'string') throw new Error('made at once')
      let [most, longest, hosts, length] = [0, 0, 0, 0]
      for (;;) {
        const [before, hostsBefore] = [target.work, target.hostsRead]
        const { value, done } = body.next()
        if (done) break
        // The first piece of /clusters makes the list of what there is.
        most = Math.max(most, target.work - before)
        hosts = Math.max(hosts, target.hostsRead - hostsBefore)
        longest = Math.max(longest, value?.length ?? 0)
        length += value?.length ?? 0
      }
      expect(length).toBeGreaterThan(10_000)
      expect(longest).toBeLessThan(16 * 1024)
      expect(hosts).toBeLessThanOrEqual(1)
      // A run that is sorted at once: 256 names, each compared some times.
      expect(most).toBeLessThan(256 * 20)
    })
  }
})

describe('the admin interface', () => {
  let server: AdminServer
  const open: IncomingMessage[] = []
  beforeEach(async () => {
    target = new LargeTarget()
    server = await AdminServer.listen({ ip: '127.0.0.1', port: 0 }, target, target.log)
  })
  afterEach(async () => {
    for (const response of open.splice(0)) response.destroy()
    await server.close()
  })
  const ask = (path: string): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      get(`${server.url}${path}`, { agent: false }, resolve).on('error', reject)
    })
  const textOf = async (response: IncomingMessage): Promise<string> => {
    let text = ''
    for await (const chunk of response) text += chunk
    return text
  }

  it('answers /ready while others wait for long answers, which are made only as they are read', async () => {
    target.hostsEach = 200 // more than systems keep for a client that does not read
    for (const path of [
      '/stats/prometheus',
      '/config_dump',
      '/clusters',
      '/clusters?format=json',
    ]) {
      const response = await ask(path) // of which nothing is read
      response.pause()
      open.push(response)
      expect(await textOf(await ask('/ready'))).toBe('LIVE\n')
    }
    expect(target.hostsRead).toBeLessThan(2 * kClusters)
    expect(await textOf(await ask('/ready'))).toBe('LIVE\n')
  })

  it('sends everything to who reads, and stops for who leaves', async () => {
    const text = await textOf(await ask('/clusters'))
    expect(text.match(/::weight::/g)).toHaveLength(kClusters * target.hostsEach)
    expect(target.hostsRead).toBe(kClusters)
    const json = JSON.parse(await textOf(await ask('/stats?format=json')))
    expect(json.stats).toHaveLength(kClusters * kStatsEach)
    const response = await ask('/clusters')
    response.destroy()
    await textOf(await ask('/ready'))
  })
})

describe('pieces of JSON', () => {
  const whole = (value: unknown): string => [...jsonPieces(value)].join('')
  it('are what JSON.stringify makes of the same', () => {
    const values = [
      1,
      'a"\n',
      null,
      true,
      [],
      {},
      [1, [2, []], {}],
      { a: undefined, b: [null, { c: 'x' }] },
      { 'ä"': { a: {} } },
    ]
    for (const value of values) expect(whole(value)).toBe(JSON.stringify(value, null, 1))
  })
  it('take a list from whatever makes one', () => {
    function* list(): Generator<unknown> {
      yield 1
      yield undefined
      yield { a: 2 }
    }
    expect(whole({ list: list() })).toBe(JSON.stringify({ list: [1, { a: 2 }] }, null, 1))
  })
})

describe('a tree as JSON in steps', () => {
  it('is what it is at once, with a step for whatever is in a list or a map', () => {
    const scalar = (value: number): SourceNode =>
      ({ kind: 'scalar', value, text: '', quoted: false, start: 0, end: 0 }) as SourceNode
    const map = (key: string, value: SourceNode): SourceNode => ({
      kind: 'map',
      entries: [{ key, value, keyStart: 0, keyEnd: 0 }],
      start: 0,
      end: 0,
    })
    const items = Array.from({ length: 1_000 }, (_, i) => map('a', map('b', scalar(i))))
    const tree = map('list', { kind: 'list', items, start: 0, end: 0 })
    const steps = toJsonInSteps(tree)
    let taken = 0
    for (;;) {
      const { done, value } = steps.next()
      if (done) {
        expect(value).toEqual(toJson(tree))
        break
      }
      taken++
    }
    expect(taken).toBe(1 + 1_000 * 3)
  })
})

describe('sorting in steps', () => {
  it('does what sorting does, and keeps the order of what is equal', () => {
    for (const length of [0, 1, 2, 255, 256, 257, 1000, 5000]) {
      const list = Array.from({ length }, (_, i) => ({ key: (i * 7919) % 97, i }))
      const compare = (a: { key: number }, b: { key: number }): number => a.key - b.key
      expect(atOnce(sorted(list, compare))).toEqual([...list].sort(compare))
    }
  })
})
