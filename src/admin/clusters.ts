// GET /clusters: every cluster with its breakers and hosts, in Envoy's text and JSON.

import { flagsText, HostFlag } from '../cluster/flags.ts'
import type { ClusterState, HostView } from '../cluster/manager.ts'
import type { NativeBreaker, NativeHostStats } from '../native/index.ts'
import { addressMessage } from './address.ts'
import { type Answer, type Endpoint, json, regexOf, text } from './endpoint.ts'
import { type Pieces, Whole } from './pieces.ts'
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

/** As in its JSON: counters first. */
const kByKind = [
  ...kHostStats.filter(([, type]) => type === 'COUNTER'),
  ...kHostStats.filter(([, type]) => type === 'GAUGE'),
]

/** A host that workers have still, and the main thread no more. */
const kGone: HostView = { flags: 0, successRate: -1, localSuccessRate: -1 }

/** Of all hosts: as many digits as Envoy prints. */
const rateText = (rate: number): string => String(Number(rate.toPrecision(6)))

/** Hosts of a cluster with what is known of them, by priority. */
function hostsOf(
  { clusters }: AdminTarget,
  name: string,
): (readonly [NativeHostStats, HostView])[] {
  return clusters
    .hosts(name)
    .toSorted((a, b) => a.priority - b.priority)
    .map((host) => [host, clusters.host(name, host.id) ?? kGone])
}

/** What an EDS cluster is called where its endpoints are. */
function edsServiceName({ cluster: { discovery } }: ClusterState): string | undefined {
  return discovery?.kind === 'eds' && discovery.namesService ? discovery.serviceName : undefined
}

function* asText(target: AdminTarget, states: readonly ClusterState[]): Pieces {
  for (const state of states) {
    const { name, cluster } = state
    const service = edsServiceName(state)
    const lines = [
      `observability_name::${cluster.statName}`,
      ...outlierLines(state),
      ...breakerLines('default', cluster.breakers.default),
      ...breakerLines('high', cluster.breakers.high),
      'added_via_api::false',
      ...(service === undefined ? [] : [`eds_service_name::${service}`]),
    ]
    yield lines.map((line) => `${name}::${line}\n`).join('')
    for (const [host, view] of hostsOf(target, name)) {
      yield hostLines(host, view)
        .map((line) => `${name}::${line}\n`)
        .join('')
    }
  }
}

function outlierLines({ rates }: ClusterState): string[] {
  if (!rates) return []
  const { external, local } = rates
  return [
    `outlier::success_rate_average::${rateText(external.average)}`,
    `outlier::success_rate_ejection_threshold::${rateText(external.threshold)}`,
    `outlier::local_origin_success_rate_average::${rateText(local.average)}`,
    `outlier::local_origin_success_rate_ejection_threshold::${rateText(local.threshold)}`,
  ]
}

function breakerLines(priority: string, breaker: NativeBreaker): string[] {
  return [
    `${priority}_priority::max_connections::${breaker.maxConnections}`,
    `${priority}_priority::max_pending_requests::${breaker.maxPendingRequests}`,
    `${priority}_priority::max_requests::${breaker.maxRequests}`,
    `${priority}_priority::max_retries::${breaker.maxRetries}`,
  ]
}

function hostLines(host: NativeHostStats, view: HostView): string[] {
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
    `success_rate::${view.successRate}`,
    `local_origin_success_rate::${view.localSuccessRate}`,
  ].map((line) => `${host.address}::${line}`)
}

function asJson(target: AdminTarget, states: readonly ClusterState[]): Answer {
  return json({ cluster_statuses: statuses(target, states) })
}

function* statuses(target: AdminTarget, states: readonly ClusterState[]): Generator<object> {
  for (const state of states) {
    const service = edsServiceName(state)
    yield {
      name: state.name,
      added_via_api: false,
      ...percent('success_rate_ejection_threshold', state.rates?.external.threshold),
      host_statuses: hostStatuses(target, state.name),
      ...percent('local_origin_success_rate_ejection_threshold', state.rates?.local.threshold),
      circuit_breakers: { thresholds: thresholds(state) },
      observability_name: state.cluster.statName,
      ...(service !== undefined && { eds_service_name: service }),
    }
  }
}

function* hostStatuses(target: AdminTarget, name: string): Generator<Whole> {
  for (const [host, view] of hostsOf(target, name)) yield new Whole(hostStatus(host, view))
}

/** A threshold is left out where there is none. */
const percent = (name: string, value: number | undefined): object =>
  value !== undefined && value > 0 ? { [name]: { value } } : {}

/**
 * The JSON form of a protobuf message: values at their default are left out, 64-bit numbers are
 * strings.
 */
function hostStatus(host: NativeHostStats, view: HostView): object {
  const stats = kByKind.map(([name, type, key]) => ({
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
  parameters: {
    format: 'text or json',
    filter: 'only clusters whose name this regular expression is found in',
  },
  handle: (target, query) => {
    const filter = regexOf(query, 'filter')
    if (filter && 'status' in filter) return filter
    const states = target.clusters.list().filter(({ name }) => filter?.(name) ?? true)
    const format = query.get('format') ?? 'text'
    if (format === 'text') {
      return { ...text(''), body: asText(target, states) }
    }
    if (format === 'json') return asJson(target, states)
    return text(`unknown format "${format}"; there are: text, json\n`, 400)
  },
}
