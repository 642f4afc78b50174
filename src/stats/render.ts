// Which stats an admin request asked for, and their text and JSON forms (those of Envoy's /stats).

import type { NativeHistogram, NativeStat } from '../native/index.ts'
import { type Steps, sorted } from '../slices.ts'

/** Upper bounds of histogram buckets in milliseconds: Envoy's defaults. */
export const histogramBounds: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000,
  600_000, 1_800_000, 3_600_000,
]

export interface StatSelection {
  /** Only stats that are not at zero. */
  readonly usedOnly: boolean
  /** Only stats in whose name this is found. */
  readonly filter?: (name: string) => boolean
  readonly type?: NativeStat['type']
}

const byName = (a: NativeStat, b: NativeStat): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : 0

/** The stats that `selection` asks for, in order of name. */
export function* selectStats(
  stats: readonly NativeStat[],
  selection: StatSelection,
): Steps<readonly NativeStat[]> {
  const selected: NativeStat[] = []
  for (const stat of stats) {
    if (
      (selection.type === undefined || stat.type === selection.type) &&
      (selection.filter === undefined || selection.filter(stat.name)) &&
      (!selection.usedOnly || used(stat))
    ) {
      selected.push(stat)
    }
    yield
  }
  return yield* sorted(selected, byName)
}

function used(stat: NativeStat): boolean {
  return stat.histogram ? stat.histogram.count > 0 : stat.value !== 0
}

// Quantiles that the workers' histograms are read at. The interval column of Envoy's text has no
// values here (`nan`): histograms are kept since the start, not per flush.
const kQuantiles: readonly (readonly [number, (h: NativeHistogram) => number])[] = [
  [0, (h) => h.min],
  [50, (h) => h.p50],
  [90, (h) => h.p90],
  [99, (h) => h.p99],
  [99.9, (h) => h.p999],
  [100, (h) => h.max],
]

/**
 * One `name: value` line each; counters and gauges first, then histograms, as Envoy prints them.
 */
export function* renderText(stats: readonly NativeStat[]): Generator<string> {
  for (const { name, value, histogram } of stats) if (!histogram) yield `${name}: ${value}\n`
  for (const { name, histogram } of stats) {
    if (histogram) yield `${name}: ${quantilesText(histogram)}\n`
  }
}

function quantilesText(histogram: NativeHistogram): string {
  if (histogram.count === 0) return 'No recorded values'
  return kQuantiles.map(([q, read]) => `P${q}(nan,${read(histogram)})`).join(' ')
}

/**
 * The shape of Envoy's `/stats?format=json`; lists are made item by item, undefined where there is
 * none.
 */
export function renderJson(stats: readonly NativeStat[]): { readonly stats: Iterable<unknown> } {
  return { stats: items(stats) }
}

function* items(stats: readonly NativeStat[]): Generator<unknown> {
  let any = false
  for (const { name, value, histogram } of stats) {
    if (histogram) any = true
    yield histogram ? undefined : { name, value }
  }
  if (!any) return
  const computed_quantiles = computed(stats)
  yield { histograms: { supported_quantiles: kQuantiles.map(([q]) => q), computed_quantiles } }
}

function* computed(stats: readonly NativeStat[]): Generator<unknown> {
  for (const { name, histogram } of stats) {
    const values = kQuantiles.map(([, read]) => ({
      interval: null,
      cumulative: !histogram || histogram.count === 0 ? null : read(histogram),
    }))
    yield histogram ? { name, values } : undefined
  }
}
