import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type MergeCounters, UpdateMerger } from '../../../src/cluster/merge.ts'

let published: number
let counters: MergeCounters
const merger = (window: number): UpdateMerger =>
  new UpdateMerger(window, counters, () => published++)

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance'],
  })
  published = 0
  counters = { updated: 0, updatedViaMerge: 0, mergeCancelled: 0, outOfMergeWindow: 0 }
})
afterEach(() => {
  vi.useRealTimers()
})

/** The code that made a change has ended. */
const ended = (): Promise<void> => Promise.resolve()

it('the first change goes at once, those within the window together', async () => {
  const updates = merger(1000)
  updates.change('window')
  await ended()
  expect(published).toBe(1)
  for (let i = 0; i < 5; i++) updates.change('window')
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

it('hosts that come or go are published at once, with what waits', async () => {
  const updates = merger(1000)
  updates.change('window')
  await ended()
  updates.change('window')
  updates.change('now')
  await ended()
  expect(published).toBe(2)
  vi.advanceTimersByTime(5000)
  expect(published).toBe(2)
  expect(counters.mergeCancelled).toBe(1)
})

it('a change of health waits for the end of the turn, and for nothing else', async () => {
  const updates = merger(1000)
  updates.change('now')
  await ended()
  for (let i = 0; i < 5; i++) updates.change('turn')
  await ended()
  expect(published).toBe(1)
  vi.advanceTimersByTime(0)
  expect(published).toBe(2)
  // What waits for the window goes with it, and nothing is left.
  updates.change('window')
  updates.change('turn')
  updates.change('window')
  vi.advanceTimersByTime(0)
  expect(published).toBe(3)
  vi.advanceTimersByTime(5000)
  expect(published).toBe(3)
  // It does not hold up what is published at once.
  updates.change('turn')
  updates.change('now')
  await ended()
  expect(published).toBe(4)
  vi.advanceTimersByTime(5000)
  expect(published).toBe(4)
})

it('what waits can be published before its time, once', () => {
  const updates = merger(1000)
  updates.flush()
  expect(published).toBe(0)
  updates.change('turn')
  updates.flush()
  vi.advanceTimersByTime(5000)
  expect(published).toBe(1)
})

it('without a window nothing waits', async () => {
  const updates = merger(0)
  for (let i = 0; i < 3; i++) {
    updates.change('window')
    await ended()
  }
  expect(published).toBe(3)
})

it('what changes in one go is one update', async () => {
  const updates = merger(1000)
  for (let i = 0; i < 100; i++) updates.change(i % 2 === 0 ? 'window' : 'now')
  expect(published).toBe(0)
  await ended()
  expect(published).toBe(1)
  vi.advanceTimersByTime(5000)
  expect(published).toBe(1)
  expect(counters).toMatchObject({ updated: 1, updatedViaMerge: 0 })
})

it('what is cancelled is not published, and what comes then is', async () => {
  const updates = merger(1000)
  updates.change('now')
  updates.cancel()
  await ended()
  expect(published).toBe(0)
  updates.change('now')
  updates.cancel()
  updates.change('now')
  await ended()
  expect(published).toBe(1)
})
