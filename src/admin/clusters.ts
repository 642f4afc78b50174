// GET /clusters: every cluster with its breakers and hosts, in Envoy's text and JSON.

import { flagsText, HostFlag } from '../cluster/flags.ts'
import type { ClusterState, HostView } from '../cluster/manager.ts'
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
      ...target.clusters
        .hosts(name)
        .flatMap((host) => hostLines(host, target.clusters.host(name, host.id))),
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

/** A host that workers have still, and the main thread no more. */
const kGone: HostView = { flags: 0, successRate: -1, localSuccessRate: -1 }

const rateText = (rate: number): string => (rate < 0 ? '-1' : rate.toFixed(2).replace(/\.?0+$/, ''))

function hostLines(host: NativeHostStats, view: HostView = kGone): string[] {
  const { region = '', zone = '', subZone = '' } = view.locality ?? {}
  return [
    ...kHostStats.map(([name, , key]) => `${name}::${host[key]}`),
    `hostname::${host.hostname}`,
    `health_flags::${flagsText(view.flags)}`,
    `weight::${host.weight}`,
    `region::${region}`,
    `zone::${zone}`,
    `sub_zone::${subZone}`,
    `canary::${host.canary}`,
    `priority::${host.priority}`,
    `success_rate::${rateText(view.successRate)}`,
    `local_origin_success_rate::${rateText(view.localSuccessRate)}`,
  ].map((line) => `${host.address}::${line}`)
}

function asJson(target: AdminTarget): Answer {
  const statuses = target.clusters.list().map((state) => ({
    name: state.name,
    added_via_api: false,
    host_statuses: target.clusters
      .hosts(state.name)
      .map((host) => hostStatus(host, target.clusters.host(state.name, host.id))),
    circuit_breakers: { thresholds: thresholds(state) },
    observability_name: state.cluster.statName,
  }))
  return json({ cluster_statuses: statuses })
}

/**
 * The JSON form of a protobuf message: values at their default are left out, 64-bit numbers are
 * strings.
 */
function hostStatus(host: NativeHostStats, view: HostView = kGone): object {
  const stats = kHostStats.map(([name, type, key]) => ({
    ...(type === 'GAUGE' ? { type } : {}),
    ...(host[key] === 0 ? {} : { value: String(host[key]) }),
    name,
  }))
  return {
    address: addressMessage(host.address),
    stats,
    health_status: healthStatus(view.flags),
    weight: host.weight,
    ...(host.hostname === '' ? {} : { hostname: host.hostname }),
    ...(host.priority === 0 ? {} : { priority: host.priority }),
    ...(view.successRate < 0 ? {} : { success_rate: { value: view.successRate } }),
    ...(view.localSuccessRate < 0
      ? {}
      : { local_origin_success_rate: { value: view.localSuccessRate } }),
    locality: localityMessage(view),
  }
}

/** Envoy's HostHealthStatus: what is not so is left out. */
function healthStatus(flags: number): object {
  const fields: readonly (readonly [string, number])[] = [
    ['failed_active_health_check', HostFlag.failedActiveCheck],
    ['failed_outlier_check', HostFlag.failedOutlierCheck],
    ['failed_active_degraded_check', HostFlag.degradedActiveCheck],
    ['pending_dynamic_removal', HostFlag.pendingRemoval],
    ['pending_active_hc', HostFlag.pendingActiveCheck],
    ['excluded_via_immediate_hc_fail', HostFlag.excludedByImmediateFail],
    ['active_hc_timeout', HostFlag.activeCheckTimeout],
  ]
  const set = fields.filter(([, flag]) => (flags & flag) !== 0).map(([name]) => [name, true])
  return { ...Object.fromEntries(set), eds_health_status: edsHealth(flags) }
}

function edsHealth(flags: number): string {
  if ((flags & HostFlag.edsDraining) !== 0) return 'DRAINING'
  if ((flags & HostFlag.failedEdsHealth) !== 0) return 'UNHEALTHY'
  return (flags & HostFlag.degradedEdsHealth) === 0 ? 'HEALTHY' : 'DEGRADED'
}

function localityMessage({ locality }: HostView): object {
  if (!locality) return {}
  const { region, zone, subZone } = locality
  return {
    ...(region && { region }),
    ...(zone && { zone }),
    ...(subZone && { sub_zone: subZone }),
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
