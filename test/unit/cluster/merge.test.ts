import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type MergeCounters, UpdateMerger } from '../../../src/cluster/merge.ts'

let published: number
let counters: MergeCounters
const merger = (window: number): UpdateMerger =>
  new UpdateMerger(window, counters, () => published++)

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  published = 0
  counters = { updated: 0, updatedViaMerge: 0, mergeCancelled: 0, outOfMergeWindow: 0 }
})
afterEach(() => {
  vi.useRealTimers()
})

it('the first change goes at once, those within the window together', () => {
  const updates = merger(1000)
  updates.change(true)
  expect(published).toBe(1)
  for (let i = 0; i < 5; i++) updates.change(true)
  expect(published).toBe(1)
  vi.advanceTimersByTime(1000)
  expect(published).toBe(2)
  vi.advanceTimersByTime(5000)
  expect(published).toBe(2)
  expect(counters).toEqual({
    updated: 2,
    updatedViaMerge: 1,
    mergeCancelled: 0,
    outOfMergeWindow: 1,
  })
})

it('hosts that come or go are published at once, with what waits', () => {
  const updates = merger(1000)
  updates.change(true)
  updates.change(true)
  updates.change(false)
  expect(published).toBe(2)
  vi.advanceTimersByTime(5000)
  expect(published).toBe(2)
  expect(counters.mergeCancelled).toBe(1)
})

it('without a window nothing waits', () => {
  const updates = merger(0)
  for (let i = 0; i < 3; i++) updates.change(true)
  expect(published).toBe(3)
})
