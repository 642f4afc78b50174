// GET /stats and /stats/prometheus

import { prometheusContentType, renderPrometheus } from '../stats/prometheus.ts'
import { renderJson, renderText, type StatSelection, selectStats } from '../stats/render.ts'
import { type Answer, type Endpoint, isOn, kText, regexOf, text } from './endpoint.ts'
import { jsonPieces, type Pieces } from './pieces.ts'
import type { AdminTarget } from './target.ts'

const kTypes: Readonly<Record<string, StatSelection['type'] | 'All' | 'TextReadouts'>> = {
  All: 'All',
  Counters: 'counter',
  Gauges: 'gauge',
  Histograms: 'histogram',
  TextReadouts: 'TextReadouts',
}

const kSelecting = {
  usedonly: 'only stats that are not at zero',
  filter: 'only stats whose name this regular expression is found in',
}

function statsAnswer(target: AdminTarget, query: URLSearchParams): Answer {
  const filter = regexOf(query, 'filter')
  if (filter && 'status' in filter) return filter
  const type = kTypes[query.get('type') ?? 'All']
  if (type === undefined) {
    return text(`unknown type; there are: ${Object.keys(kTypes).join(', ')}\n`, 400)
  }
  const format = query.get('format') ?? 'text'
  if (!['text', 'json', 'prometheus'].includes(format)) {
    return text(`unknown format "${format}"; there are: text, json, prometheus\n`, 400)
  }
  const bounds = target.histogramBounds()
  const selection: StatSelection = {
    usedOnly: isOn(query, 'usedonly'),
    ...(filter ? { filter } : {}),
    ...(type === 'All' || type === 'TextReadouts' ? {} : { type }),
  }
  const contentType = { text: kText, json: 'application/json' }[format] ?? prometheusContentType
  function* body(): Pieces {
    // Millrace has no stats that are texts.
    const all = type === 'TextReadouts' ? [] : yield* target.stats(bounds)
    const stats = yield* selectStats(all, selection)
    if (format === 'json') {
      yield* jsonPieces(renderJson(stats))
      yield '\n'
    } else if (format === 'text') yield* renderText(stats)
    else yield* renderPrometheus(stats, bounds)
  }
  return { status: 200, type: contentType, body: body() }
}

export const statsEndpoints: readonly Endpoint[] = [
  {
    path: '/stats',
    method: 'GET',
    help: 'all stats, a line each',
    parameters: {
      ...kSelecting,
      type: 'All, Counters, Gauges, Histograms or TextReadouts',
      format: 'text, json or prometheus',
    },
    handle: statsAnswer,
  },
  {
    path: '/stats/prometheus',
    method: 'GET',
    help: 'all stats, as Prometheus reads them',
    parameters: kSelecting,
    handle: (target, query) => {
      const asked = new URLSearchParams(query)
      asked.set('format', 'prometheus')
      return statsAnswer(target, asked)
    },
  },
  {
    path: '/reset_counters',
    method: 'POST',
    help: 'set all counters and histograms to zero',
    parameters: {},
    handle: (target) => {
      target.resetCounters()
      return text('OK\n')
    },
  },
]
