import { describe, expect, it } from 'vitest'
import type { NativeStat } from '../../../src/native/index.ts'
import { renderPrometheus as pieces } from '../../../src/stats/prometheus.ts'
import { taggedName } from '../../../src/stats/tags.ts'

function counter(name: string, value: number, tags: readonly string[] = []): NativeStat {
  return { name, tags, type: 'counter', value }
}

const renderPrometheus = (...given: Parameters<typeof pieces>): string =>
  [...pieces(...given)].join('')

describe('names for Prometheus', () => {
  const cases: [string, readonly string[], string, Record<string, string>][] = [
    [
      'cluster.web.upstream_rq_total',
      ['envoy.cluster_name', 'web'],
      'cluster.upstream_rq_total',
      { envoy_cluster_name: 'web' },
    ],
    [
      'cluster.a.b.c.upstream_rq_5xx',
      ['envoy.cluster_name', 'a.b.c'],
      'cluster.upstream_rq_xx',
      { envoy_cluster_name: 'a.b.c', envoy_response_code_class: '5' },
    ],
    [
      'cluster.web.upstream_rq_503',
      [],
      'cluster.upstream_rq',
      { envoy_response_code: '503', envoy_cluster_name: 'web' },
    ],
    [
      'http.ingress.downstream_rq_2xx',
      [],
      'http.downstream_rq_xx',
      { envoy_response_code_class: '2', envoy_http_conn_manager_prefix: 'ingress' },
    ],
    [
      'listener.127.0.0.1_8080.downstream_cx_total',
      [],
      'listener.downstream_cx_total',
      { envoy_listener_address: '127.0.0.1_8080' },
    ],
    [
      'listener.0.0.0.0_80.http.ingress.downstream_rq_4xx',
      [],
      'listener.http.downstream_rq_xx',
      {
        envoy_response_code_class: '4',
        envoy_http_conn_manager_prefix: 'ingress',
        envoy_listener_address: '0.0.0.0_80',
      },
    ],
    ['tcp.db.downstream_cx_total', [], 'tcp.downstream_cx_total', { envoy_tcp_prefix: 'db' }],
    ['server.worker_3.loop_turns', [], 'server.loop_turns', { envoy_worker_id: '3' }],
    ['server.uptime', [], 'server.uptime', {}],
  ]
  it.each(cases)('%s', (name, tags, expected, labels) => {
    const tagged = taggedName({ name, tags })
    expect(tagged.name).toBe(expected)
    expect(Object.fromEntries(tagged.labels)).toEqual(labels)
  })

  it('takes a tag value that was written with colons in the name', () => {
    const tagged = taggedName({
      name: 'listener.[__1]_80.downstream_cx_total',
      tags: ['envoy.listener_address', '[::1]:80'],
    })
    expect(tagged.name).toBe('listener.downstream_cx_total')
  })
})

describe('the text format', () => {
  it('groups the members of a family under one TYPE line', () => {
    const text = renderPrometheus(
      [
        counter('cluster.a.upstream_rq_total', 3),
        counter('server.total', 1),
        counter('cluster.b.upstream_rq_total', 4),
      ],
      [],
    )
    expect(text.split('\n')).toEqual([
      '# HELP envoy_cluster_upstream_rq_total cluster upstream rq total',
      '# TYPE envoy_cluster_upstream_rq_total counter',
      'envoy_cluster_upstream_rq_total{envoy_cluster_name="a"} 3',
      'envoy_cluster_upstream_rq_total{envoy_cluster_name="b"} 4',
      '# HELP envoy_server_total server total',
      '# TYPE envoy_server_total counter',
      'envoy_server_total 1',
      '',
    ])
  })

  it('escapes label values', () => {
    const text = renderPrometheus([counter('x.a', 1, ['k', 'quote " back \\ line \n'])], [])
    expect(text).toContain('envoy_x_a{k="quote \\" back \\\\ line \\n"} 1')
  })

  it('writes histograms with cumulative buckets, sum and count', () => {
    const histogram = {
      count: 3,
      sum: 12.5,
      min: 1,
      max: 9,
      p50: 2,
      p90: 9,
      p99: 9,
      p999: 9,
      cumulative: [1, 2],
    }
    const name = 'cluster.web.upstream_rq_time'
    const text = renderPrometheus(
      [{ name, tags: [], type: 'histogram', value: 0, histogram }],
      [1, 5],
    )
    expect(text.split('\n').slice(1)).toEqual([
      '# TYPE envoy_cluster_upstream_rq_time histogram',
      'envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="web",le="1"} 1',
      'envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="web",le="5"} 2',
      'envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="web",le="+Inf"} 3',
      'envoy_cluster_upstream_rq_time_sum{envoy_cluster_name="web"} 12.5',
      'envoy_cluster_upstream_rq_time_count{envoy_cluster_name="web"} 3',
      '',
    ])
  })
})
