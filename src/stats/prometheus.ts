// Stats in Prometheus's text format (version 0.0.4), under Envoy's names.

import type { NativeHistogram, NativeStat } from '../native/index.ts'
import { taggedName } from './tags.ts'

type Labels = readonly (readonly [string, string])[]

interface Family {
  readonly type: NativeStat['type']
  readonly lines: string[]
}

/** The Content-Type of {@link renderPrometheus}'s text. */
export const prometheusContentType: string = 'text/plain; version=0.0.4; charset=utf-8'

/**
 * All of `stats`, one family after the other, in order of name. `bounds` are those that the
 * histograms were read with.
 */
export function* renderPrometheus(
  stats: readonly NativeStat[],
  bounds: readonly number[],
): Generator<string | undefined, void, void> {
  const families = new Map<string, Family>()
  for (const stat of stats) {
    const tagged = taggedName(stat)
    const name = metricName(tagged.name)
    let family = families.get(name)
    if (!family) {
      family = { type: stat.type, lines: [] }
      families.set(name, family)
    }
    if (stat.histogram) {
      family.lines.push(...histogramLines(name, tagged.labels, stat.histogram, bounds))
    } else {
      family.lines.push(`${name}${braces(tagged.labels)} ${stat.value}`)
    }
    yield undefined
  }
  for (const name of [...families.keys()].sort()) {
    const family = families.get(name) as Family
    yield `# HELP ${name} ${helpOf(name)}\n# TYPE ${name} ${family.type}\n`
    for (const line of family.lines) yield `${line}\n`
  }
}

function histogramLines(
  name: string,
  labels: Labels,
  histogram: NativeHistogram,
  bounds: readonly number[],
): string[] {
  const lines = bounds.map(
    (bound, i) =>
      `${name}_bucket${braces([...labels, ['le', String(bound)]])} ${histogram.cumulative[i] ?? 0}`,
  )
  lines.push(`${name}_bucket${braces([...labels, ['le', '+Inf']])} ${histogram.count}`)
  lines.push(`${name}_sum${braces(labels)} ${histogram.sum}`)
  lines.push(`${name}_count${braces(labels)} ${histogram.count}`)
  return lines
}

function metricName(name: string): string {
  return `envoy_${name.replace(/[^a-zA-Z0-9_]/g, '_')}`
}

function braces(labels: Labels): string {
  if (labels.length === 0) return ''
  return `{${labels.map(([key, value]) => `${key}="${quote(value)}"`).join(',')}}`
}

function quote(value: string): string {
  return value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))
}

/** Envoy documents each stat under its own name; that name is the help. */
function helpOf(name: string): string {
  return name.replace(/^envoy_/, '').replaceAll('_', ' ')
}
