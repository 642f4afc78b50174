/** Statistics of a proxy as typed samples, one an interval, made when somebody asks for them. */

import type { NativeHistogram, NativeStat } from '../native/index.ts'
import { taggedName } from '../stats/tags.ts'
import { after } from '../timers.ts'
import { optionalNumber, optionalSignal, optionsObject } from './arguments.ts'

interface Named {
  /** Envoy's name, with everything in it: `cluster.app.upstream_rq_total`. */
  readonly fullName: string
  /** Without what {@link tags} says: `cluster.upstream_rq_total`. */
  readonly name: string
  readonly tags: Readonly<Record<string, string>>
}

export interface CounterSample extends Named {
  readonly type: 'counter'
  readonly value: number
  /** Since the sample before. */
  readonly delta: number
}

export interface GaugeSample extends Named {
  readonly type: 'gauge'
  readonly value: number
}

/** Of all values since the start (or the last reset); times are milliseconds. */
export interface HistogramSample extends Named {
  readonly type: 'histogram'
  readonly count: number
  /** Values since the sample before. */
  readonly delta: number
  readonly sum: number
  readonly min: number
  readonly max: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
}

export type StatSample = CounterSample | GaugeSample | HistogramSample

export class StatsSample {
  /** ms since 1970. */
  readonly at: number
  /** What the deltas cover, ms; longer than the interval when samples were not fetched in time. */
  readonly elapsed: number
  readonly stats: readonly StatSample[]
  #byName: ReadonlyMap<string, StatSample> | undefined

  constructor(at: number, elapsed: number, stats: readonly StatSample[]) {
    this.at = at
    this.elapsed = elapsed
    this.stats = stats
  }

  /** By its full name. */
  get(fullName: string): StatSample | undefined {
    this.#byName ??= new Map(this.stats.map((stat) => [stat.fullName, stat]))
    return this.#byName.get(fullName)
  }
}

export interface StatsOptions {
  /** Between two samples, ms; 1,000 by default. */
  readonly interval?: number
  /** Ends the iteration. */
  readonly signal?: AbortSignal
}

export interface ReadStatsOptions {
  readonly intervalMs: number
  readonly signal: AbortSignal | undefined
}

export function readStatsOptions(value: unknown): ReadStatsOptions {
  const { interval, signal } = optionsObject(value, 'options', ['interval', 'signal'])
  const limits = { min: 1, max: 86_400_000, unit: 'milliseconds' }
  return {
    intervalMs: optionalNumber(interval, 'options.interval', limits) ?? 1000,
    signal: optionalSignal(signal, 'options.signal'),
  }
}

/** Turns what the core counts into samples, and remembers what was counted before. */
export class Sampler {
  readonly #read: () => readonly NativeStat[]
  #before = new Map<string, number>()
  #at: number = performance.now()
  /** Names do not change; taking them apart is most of the work. */
  #names = new Map<string, Named>()

  constructor(read: () => readonly NativeStat[]) {
    this.#read = read
    for (const stat of read()) this.#before.set(stat.name, countOf(stat))
  }

  sample(): StatsSample {
    const now = performance.now()
    const before = this.#before
    const names = this.#names
    this.#before = new Map()
    this.#names = new Map()
    const stats = this.#read().map((stat) => this.#sampleOf(stat, before, names))
    const elapsed = now - this.#at
    this.#at = now
    return new StatsSample(Date.now(), elapsed, stats)
  }

  #sampleOf(
    stat: NativeStat,
    before: ReadonlyMap<string, number>,
    names: ReadonlyMap<string, Named>,
  ): StatSample {
    const named = names.get(stat.name) ?? nameOf(stat)
    this.#names.set(stat.name, named)
    const { value, histogram } = stat
    if (stat.type === 'gauge') return { ...named, type: 'gauge', value }
    const count = countOf(stat)
    this.#before.set(stat.name, count)
    const last = before.get(stat.name) ?? 0
    // Counters that were reset begin anew.
    const delta = count >= last ? count - last : count
    if (!histogram) return { ...named, type: 'counter', value, delta }
    const { cumulative: _cumulative, ...figures } = histogram satisfies NativeHistogram
    return { ...named, type: 'histogram', ...figures, delta }
  }
}

function countOf({ histogram, value }: NativeStat): number {
  return histogram ? histogram.count : value
}

function nameOf(stat: NativeStat): Named {
  const { name, labels } = taggedName(stat)
  return { fullName: stat.name, name, tags: Object.fromEntries(labels) }
}

/** Wakes those that wait for their next sample, when there will be none. */
export class StatsEnd {
  #over = false
  readonly #waiting = new Set<() => void>()

  get over(): boolean {
    return this.#over
  }

  end(): void {
    this.#over = true
    for (const wake of this.#waiting) wake()
  }

  /** Resolves after `ms`, at the end, or when `signal` is aborted. */
  wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (ms <= 0 || this.#over || signal?.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        timer.stop()
        this.#waiting.delete(done)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      // What keeps the process alive is the proxy.
      const timer = after(ms, done).unref()
      this.#waiting.add(done)
      signal?.addEventListener('abort', done)
    })
  }
}

/**
 * One sample for each call of `next`, an interval after the one before; while nobody calls, nothing
 * is made and nothing waits.
 */
export async function* samples(
  sampler: Sampler,
  intervalMs: number,
  end: StatsEnd,
  signal: AbortSignal | undefined,
): AsyncGenerator<StatsSample, void, undefined> {
  let dueAt = performance.now() + intervalMs
  for (;;) {
    await end.wait(dueAt - performance.now(), signal)
    if (end.over || signal?.aborted) return
    yield sampler.sample()
    // Samples that were not fetched in time are not made up for.
    const now = performance.now()
    dueAt = dueAt + intervalMs > now ? dueAt + intervalMs : now + intervalMs
  }
}
