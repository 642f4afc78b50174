// Names are the user's: equal ones, none at all, and such as have our separators in them must not
// make one of two things.

import { describe, expect, it } from 'vitest'
import * as build from '../../integration/support/config.ts'
import { compiled, said } from './helpers.ts'

const chain = (name: string, port: number, cluster: string, table: string): object => {
  const listener = build.httpListener({ name: 'x', routes: [build.route('/', cluster)] })
  const [first] = (
    listener as unknown as { filter_chains: { filters: { typed_config: object }[] }[] }
  ).filter_chains
  if (!first) throw new Error('a chain is wanted')
  const written = JSON.parse(JSON.stringify(first))
  written.filters[0].typed_config.route_config.name = table
  return {
    ...written,
    ...(name && { name }),
    ...(port && { filter_chain_match: { destination_port: port } }),
  }
}
const listener = (name: string | undefined, port: number, chains: object[]): object => ({
  ...(name !== undefined && { name }),
  address: { socket_address: { address: '127.0.0.1', port_value: port } },
  filter_chains: chains,
})
const text = (listeners: object[]): string =>
  JSON.stringify(
    build.bootstrap(listeners as never, [build.cluster('a', [1]), build.cluster('b', [2])]),
  )

describe('route tables', () => {
  it('are those of their chains, however chains, tables and listeners are called', async () => {
    const listeners = [
      listener('l', 1, [
        chain('same', 1, 'a', 't'),
        chain('same', 2, 'b', 't'),
        chain('', 3, 'a', 't'),
        chain('2', 4, 'b', 't'),
      ]),
      listener('l/same', 2, [chain('', 0, 'a', 't')]),
      listener('l', 3, [chain('same/0', 0, 'b', 't')]),
      listener('default', 4, [chain('default', 1, 'a', 'x/t'), chain('default/x', 0, 'b', 't')]),
    ]
    ;(listeners[2] as { name: string }).name = 'l/same/0'
    const { routeTables } = await compiled(text(listeners))
    expect(new Set(routeTables.map(({ key }) => key)).size).toBe(8)
    expect(new Set(routeTables.map(({ slot }) => slot)).size).toBe(8)
  })

  it('keep their key when a chain comes before them', async () => {
    const [before, after] = await Promise.all([
      compiled(text([listener('l', 1, [chain('n', 1, 'a', 't')])])),
      compiled(text([listener('l', 1, [chain('m', 2, 'b', 't'), chain('n', 1, 'a', 't')])])),
    ])
    expect(after.routeTables.map(({ key }) => key)).toContain(before.routeTables[0]?.key)
  })
})

describe('listeners without a name', () => {
  it('are told apart, also where the system chooses their ports, and from one that has such a name', async () => {
    const plain = (name: string | undefined, port: number): object =>
      listener(name, port, [chain('', 0, 'a', 't')])
    const { listeners } = await compiled(
      text([
        plain(undefined, 0),
        plain(undefined, 0),
        plain('127.0.0.1:0', 7),
        plain(undefined, 9),
        plain('', 0),
      ]),
    )
    const names = listeners.map(({ name }) => name)
    expect(new Set(names).size).toBe(5)
    expect(names[2]).toBe('127.0.0.1:0')
    expect(names[3]).toBe('127.0.0.1:9')
  })
})

describe('aggregate clusters', () => {
  const aggregate = (name: string, ...clusters: string[]): object => ({
    name,
    lb_policy: 'CLUSTER_PROVIDED',
    cluster_type: {
      name: 'envoy.clusters.aggregate',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig',
        clusters,
      },
    },
  })
  const of = (...clusters: object[]): string =>
    JSON.stringify(
      { static_resources: { clusters: [build.cluster('leaf', [1]), ...clusters] } },
      null,
      1,
    )

  it('in a ring are refused, where it closes', async () => {
    expect(
      await said(of(aggregate('a', 'leaf', 'b'), aggregate('b', 'c'), aggregate('c', 'leaf', 'a'))),
    ).toEqual([
      expect.stringMatching(
        /bad-reference .*clusters\[1\]: this makes an aggregate cluster a part of itself: a → b → c → a/,
      ),
    ])
    expect(
      await said(of(aggregate('a', 'b', 'c'), aggregate('b', 'leaf'), aggregate('c', 'b', 'leaf'))),
    ).toEqual([])
  })

  it('in a long ring are named by its ends', async () => {
    const names = Array.from({ length: 1000 }, (_, i) => `t${i}`)
    const ring = names.map((name, i) => aggregate(name, names[(i + 1) % names.length] ?? ''))
    const ringed = (await said(of(...ring))).filter((text) => text.includes('a part of itself'))
    expect(ringed).toHaveLength(1)
    expect(ringed[0]).toContain('t0 → t1 → t2 → t3 → t4 → t5 → t6 → t7 → … → t999 → t0')
  })

  it('on one another go to a depth that is said, and thousands in a chain do not exhaust the stack', async () => {
    const tower = (n: number): object[] =>
      Array.from({ length: n }, (_, i) => aggregate(`t${i}`, i === n - 1 ? 'leaf' : `t${i + 1}`))
    expect(await said(of(...tower(32)))).toEqual([])
    expect((await said(of(...tower(33)))).join()).toMatch(/bad-value .*t0|go deeper than 32/)
    expect((await said(of(...tower(5000)))).join()).toContain('go deeper than 32')
  })
})
