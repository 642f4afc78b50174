// GET /clusters: every cluster with its breakers and hosts, in Envoy's text and JSON.

import type { ClusterState } from '../cluster/manager.ts'
import type { NativeBreaker, NativeHostStats } from '../native/index.ts'
import { addressMessage } from './address.ts'
import { type Answer, type Endpoint, json, text } from './endpoint.ts'
import type { AdminTarget } from './target.ts'

/** Envoy's names for what is counted for a host, in its order. */
const kHostStats: readonly (readonly [string, 'GAUGE' | 'COUNTER', keyof NativeHostStats])[] = [
  ['cx_active', 'GAUGE', 'cxActive'],
  ['cx_connect_fail', 'COUNTER', 'cxConnectFail'],
  ['cx_total', 'COUNTER', 'cxTotal'],
  ['rq_active', 'GAUGE', 'rqActive'],
  ['rq_error', 'COUNTER', 'rqError'],
  ['rq_success', 'COUNTER', 'rqSuccess'],
  ['rq_timeout', 'COUNTER', 'rqTimeout'],
  ['rq_total', 'COUNTER', 'rqTotal'],
]

function asText(target: AdminTarget): Answer {
  const lines = target.clusters.list().flatMap((state) => {
    const { name, cluster } = state
    return [
      `observability_name::${cluster.statName}`,
      ...breakerLines('default', cluster.breakers.default),
      ...breakerLines('high', cluster.breakers.high),
      'added_via_api::false',
      ...target.clusters.hosts(name).flatMap(hostLines),
    ].map((line) => `${name}::${line}\n`)
  })
  return text(lines.join(''))
}

function breakerLines(priority: string, breaker: NativeBreaker): string[] {
  return [
    `${priority}_priority::max_connections::${breaker.maxConnections}`,
    `${priority}_priority::max_pending_requests::${breaker.maxPendingRequests}`,
    `${priority}_priority::max_requests::${breaker.maxRequests}`,
    `${priority}_priority::max_retries::${breaker.maxRetries}`,
  ]
}

function hostLines(host: NativeHostStats): string[] {
  return [
    ...kHostStats.map(([name, , key]) => `${name}::${host[key]}`),
    `hostname::${host.hostname}`,
    `health_flags::${host.health === 'unhealthy' ? '/failed_active_hc' : 'healthy'}`,
    `weight::${host.weight}`,
    'region::',
    'zone::',
    'sub_zone::',
    `canary::${host.canary}`,
    `priority::${host.priority}`,
    'success_rate::-1',
    'local_origin_success_rate::-1',
  ].map((line) => `${host.address}::${line}`)
}

function asJson(target: AdminTarget): Answer {
  const statuses = target.clusters.list().map((state) => ({
    name: state.name,
    added_via_api: false,
    host_statuses: target.clusters.hosts(state.name).map(hostStatus),
    circuit_breakers: { thresholds: thresholds(state) },
    observability_name: state.cluster.statName,
  }))
  return json({ cluster_statuses: statuses })
}

/**
 * The JSON form of a protobuf message: values at their default are left out, 64-bit numbers are
 * strings.
 */
function hostStatus(host: NativeHostStats): object {
  const stats = kHostStats.map(([name, type, key]) => ({
    ...(type === 'GAUGE' ? { type } : {}),
    ...(host[key] === 0 ? {} : { value: String(host[key]) }),
    name,
  }))
  return {
    address: addressMessage(host.address),
    stats,
    health_status: {
      ...(host.health !== 'unhealthy' ? {} : { failed_active_health_check: true }),
      eds_health_status: 'HEALTHY',
    },
    weight: host.weight,
    ...(host.hostname === '' ? {} : { hostname: host.hostname }),
    locality: {},
  }
}

function thresholds({ cluster }: ClusterState): object[] {
  const messages = { DEFAULT: cluster.breakers.default, HIGH: cluster.breakers.high }
  return Object.entries(messages).map(([priority, breaker]) => ({
    ...(priority === 'DEFAULT' ? {} : { priority }),
    max_connections: breaker.maxConnections,
    max_pending_requests: breaker.maxPendingRequests,
    max_requests: breaker.maxRequests,
    max_retries: breaker.maxRetries,
  }))
}

export const clustersEndpoint: Endpoint = {
  path: '/clusters',
  method: 'GET',
  help: 'upstream clusters, their limits and hosts',
  parameters: { format: 'text or json' },
  handle: (target, query) => {
    const format = query.get('format') ?? 'text'
    if (format === 'text') return asText(target)
    if (format === 'json') return asJson(target)
    return text(`unknown format "${format}"; there are: text, json\n`, 400)
  },
}
