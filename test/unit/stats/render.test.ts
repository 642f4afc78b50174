import { describe, expect, it } from 'vitest'
import { jsonPieces } from '../../../src/admin/pieces.ts'
import type { NativeStat } from '../../../src/native/index.ts'
import { atOnce } from '../../../src/slices.ts'
import {
  renderJson,
  renderText,
  type StatSelection,
  selectStats,
} from '../../../src/stats/render.ts'

const none = { count: 0, sum: 0, min: 0, max: 0, p50: 0, p90: 0, p99: 0, p999: 0, cumulative: [] }
const some = { ...none, count: 2, min: 1, max: 4, p50: 2, p90: 4, p99: 4, p999: 4 }
const stats: readonly NativeStat[] = [
  { name: 'b.rq_time', tags: [], type: 'histogram', value: 0, histogram: some },
  { name: 'b.total', tags: [], type: 'counter', value: 7 },
  { name: 'a.active', tags: [], type: 'gauge', value: 0 },
  { name: 'a.idle_time', tags: [], type: 'histogram', value: 0, histogram: none },
]
const select = (selection: StatSelection): readonly NativeStat[] =>
  atOnce(selectStats(stats, selection))
const names = (list: readonly NativeStat[]): string[] => list.map(({ name }) => name)

describe('selectStats', () => {
  it('sorts by name', () => {
    expect(names(select({ usedOnly: false }))).toEqual([
      'a.active',
      'a.idle_time',
      'b.rq_time',
      'b.total',
    ])
  })
  it('leaves out what is at zero', () => {
    expect(names(select({ usedOnly: true }))).toEqual(['b.rq_time', 'b.total'])
  })
  it('filters by name and by type', () => {
    expect(names(select({ usedOnly: false, filter: (name) => name.startsWith('a.') }))).toEqual([
      'a.active',
      'a.idle_time',
    ])
    expect(names(select({ usedOnly: false, type: 'gauge' }))).toEqual(['a.active'])
  })
})

it('writes text as Envoy does', () => {
  expect([...renderText(select({ usedOnly: false }))].join('')).toBe(
    [
      'a.active: 0',
      'b.total: 7',
      'a.idle_time: No recorded values',
      'b.rq_time: P0(nan,1) P50(nan,2) P90(nan,4) P99(nan,4) P99.9(nan,4) P100(nan,4)',
      '',
    ].join('\n'),
  )
})

it('writes JSON in the shape of Envoy', () => {
  const pieces = [...jsonPieces(renderJson(select({ usedOnly: true })))].filter(Boolean)
  expect(JSON.parse(pieces.join(''))).toEqual({
    stats: [
      { name: 'b.total', value: 7 },
      {
        histograms: {
          supported_quantiles: [0, 50, 90, 99, 99.9, 100],
          computed_quantiles: [
            {
              name: 'b.rq_time',
              values: [1, 2, 4, 4, 4, 4].map((cumulative) => ({ interval: null, cumulative })),
            },
          ],
        },
      },
    ],
  })
})
