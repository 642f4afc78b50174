/**
 * Long work on the main thread in slices, so that discovery, health checks and the admin interface
 * have their turns while thousands of clusters are put in force. What is long is a generator that
 * yields wherever it may be left for a while; who runs it decides whether it is.
 */

import { setImmediate as nextTurn } from 'node:timers/promises'

/** Work that may be left at each `yield`, and ends with a T. */
export type Steps<T> = Generator<undefined, T, void>

/** A turn of the event loop takes about so long, ms: a few, as a health check would notice more. */
const kSliceMs = 4

/**
 * Runs all steps, and lets the event loop turn after each slice. `stopped` is asked after each turn
 * whether anybody wants the rest still; else the work is left as it is, with this error.
 */
export async function inSlices<T>(steps: Steps<T>, stopped?: () => Error | undefined): Promise<T> {
  let until = performance.now() + kSliceMs
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value
    if (performance.now() < until) continue
    await nextTurn()
    const error = stopped?.()
    if (error) throw error
    until = performance.now() + kSliceMs
  }
}

/** Of a list that is sorted at once, and between two steps of a merge. */
const kRun = 256

/** A sorted copy; what is equal stays in its order. */
export function* sorted<T>(list: readonly T[], compare: (a: T, b: T) => number): Steps<T[]> {
  let runs: T[][] = []
  for (let at = 0; at < list.length; at += kRun) {
    runs.push(list.slice(at, at + kRun).sort(compare))
    yield
  }
  while (runs.length > 1) {
    const merged: T[][] = []
    for (let i = 0; i < runs.length; i += 2) {
      merged.push(yield* merge(runs[i] ?? [], runs[i + 1] ?? [], compare))
    }
    runs = merged
  }
  return runs[0] ?? []
}

function* merge<T>(a: T[], b: T[], compare: (a: T, b: T) => number): Steps<T[]> {
  const out: T[] = []
  let [i, j] = [0, 0]
  while (i < a.length || j < b.length) {
    const first = j >= b.length || (i < a.length && compare(a[i] as T, b[j] as T) <= 0)
    out.push(first ? (a[i++] as T) : (b[j++] as T))
    if (out.length % kRun === 0) yield
  }
  return out
}

/** Runs all steps, and returns when they are done. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}
