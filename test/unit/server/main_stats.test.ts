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
