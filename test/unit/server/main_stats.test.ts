import { describe, expect, it } from 'vitest'
import type { NativeStat } from '../../../src/native/index.ts'
import { Baseline, merged } from '../../../src/server/main_stats.ts'
import { atOnce } from '../../../src/slices.ts'

const stat = (name: string, value: number, type: 'counter' | 'gauge' = 'counter'): NativeStat => ({
  name,
  tags: [],
  type,
  value,
})

describe('counters of the main thread', () => {
  it('begin anew when they are reset, gauges do not', () => {
    const baseline = new Baseline()
    const now = [stat('a', 7), stat('b', 3, 'gauge')]
    expect([...baseline.since(now)]).toEqual(now)
    baseline.reset(now)
    expect([...baseline.since([stat('a', 9), stat('b', 3, 'gauge'), stat('c', 1)])]).toEqual([
      stat('a', 2),
      stat('b', 3, 'gauge'),
      stat('c', 1),
    ])
    // Went, and came back.
    expect([...baseline.since([stat('a', 2)])]).toEqual([stat('a', 2)])
  })

  it('never go back, when what is counted went and came again', () => {
    const baseline = new Baseline()
    const shown = (...stats: NativeStat[]): (number | undefined)[] =>
      [...baseline.since(stats)].map(({ value }) => value)
    baseline.reset([stat('a', 100), stat('b', 100)])
    const counted = [0, 50, 99, 100, 101]
    expect(counted.flatMap((value) => shown(stat('a', value), stat('b', 100)))).toEqual(
      counted.flatMap((value) => [value, 0]),
    )
    baseline.reset([stat('a', 100)])
    expect(shown()).toEqual([])
    expect(shown(stat('a', 150))).toEqual([150])
  })

  it('begin anew under a name that several share', () => {
    const baseline = new Baseline()
    const shared = (...values: number[]): readonly NativeStat[] =>
      atOnce(merged(values.map((value) => stat('cluster.x.n', value))))
    baseline.reset(shared(100, 3))
    expect([...baseline.since(shared(100, 3))]).toEqual([stat('cluster.x.n', 0)])
    expect([...baseline.since(shared(101, 5))]).toEqual([stat('cluster.x.n', 3)])
  })
})

describe('stats of one name', () => {
  it('are one, with the sum: as of clusters with the same alt_stat_name', () => {
    const lists = [
      [stat('cluster.x.rq', 2), stat('cluster.x.active', 1, 'gauge')],
      [stat('cluster.y.rq', 1), stat('cluster.x.rq', 3), stat('cluster.x.active', 4, 'gauge')],
    ]
    expect(atOnce(merged(...lists))).toEqual([
      stat('cluster.x.rq', 5),
      stat('cluster.x.active', 5, 'gauge'),
      stat('cluster.y.rq', 1),
    ])
  })
})
