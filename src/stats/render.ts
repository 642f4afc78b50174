// Which stats an admin request asked for, and their text and JSON forms (those of Envoy's /stats).

import type { NativeHistogram, NativeStat } from '../native/index.ts'

/** Upper bounds of histogram buckets in milliseconds: Envoy's defaults. */
export const histogramBounds: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000,
  600_000, 1_800_000, 3_600_000,
]

export interface StatSelection {
  /** Only stats that are not at zero. */
  readonly usedOnly: boolean
  /** Only stats in whose name this is found. */
  readonly filter?: RegExp
  readonly type?: NativeStat['type']
}

/** The stats that `selection` asks for, in order of name. */
export function selectStats(
  stats: readonly NativeStat[],
  selection: StatSelection,
): readonly NativeStat[] {
  return stats
    .filter(
      (stat) =>
        (selection.type === undefined || stat.type === selection.type) &&
        (selection.filter === undefined || selection.filter.test(stat.name)) &&
        (!selection.usedOnly || used(stat)),
    )
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
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
export function renderText(stats: readonly NativeStat[]): string {
  let scalars = ''
  let histograms = ''
  for (const { name, value, histogram } of stats) {
    if (histogram) histograms += `${name}: ${quantilesText(histogram)}\n`
    else scalars += `${name}: ${value}\n`
  }
  return scalars + histograms
}

function quantilesText(histogram: NativeHistogram): string {
  if (histogram.count === 0) return 'No recorded values'
  return kQuantiles.map(([q, read]) => `P${q}(nan,${read(histogram)})`).join(' ')
}

/** The shape of Envoy's `/stats?format=json`. */
export function renderJson(stats: readonly NativeStat[]): unknown {
  const scalars = stats.filter((s) => !s.histogram).map(({ name, value }) => ({ name, value }))
  const computed = stats.flatMap(({ name, histogram }) =>
    histogram
      ? [
          {
            name,
            values: kQuantiles.map(([, read]) => ({
              interval: null,
              cumulative: histogram.count === 0 ? null : read(histogram),
            })),
          },
        ]
      : [],
  )
  if (computed.length === 0) return { stats: scalars }
  const histograms = {
    supported_quantiles: kQuantiles.map(([q]) => q),
    computed_quantiles: computed,
  }
  return { stats: [...scalars, { histograms }] }
}
