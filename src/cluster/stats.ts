// What the main thread counts of clusters, under Envoy's names.

import type { NativeStat } from '../native/index.ts'
import type { Steps } from '../slices.ts'
import type { ManagedCluster } from './cluster.ts'
import type { DnsCache } from './discovery/dns_cache.ts'
import { HostFlag, isExcluded } from './flags.ts'
import type { ClusterManager } from './manager.ts'
import type { EjectionKind } from './outlier/decisions.ts'

type Add = (type: 'counter' | 'gauge', leaf: string, value: number) => void

const kEjections: Record<EjectionKind, string> = {
  'consecutive-5xx': 'consecutive_5xx',
  'consecutive-gateway-failure': 'consecutive_gateway_failure',
  'consecutive-local-origin-failure': 'consecutive_local_origin_failure',
  'success-rate': 'success_rate',
  'success-rate-local-origin': 'local_origin_success_rate',
  'failure-percentage': 'failure_percentage',
  'failure-percentage-local-origin': 'local_origin_failure_percentage',
}

export function* clusterStats(manager: ClusterManager): Steps<NativeStat[]> {
  const stats: NativeStat[] = []
  const plain = (type: 'counter' | 'gauge', name: string, value: number): void => {
    stats.push({ name: `cluster_manager.${name}`, tags: [], type, value })
  }
  const { counters, merges } = manager
  const clusters = manager.managed()
  plain('counter', 'cluster_added', counters.added)
  plain('counter', 'cluster_modified', counters.modified)
  plain('counter', 'cluster_removed', counters.removed)
  plain('counter', 'cluster_updated', merges.updated)
  plain('counter', 'cluster_updated_via_merge', merges.updatedViaMerge)
  plain('counter', 'update_merge_cancelled', merges.mergeCancelled)
  plain('counter', 'update_out_of_merge_window', merges.outOfMergeWindow)
  const warming = clusters.filter(({ isWarm }) => !isWarm).length
  plain('gauge', 'active_clusters', clusters.length - warming)
  plain('gauge', 'warming_clusters', warming)
  for (const cache of manager.dnsCaches) stats.push(...dnsCacheStats(cache))
  for (const cluster of clusters) {
    const { statName } = cluster.definition
    const tags = ['envoy.cluster_name', statName]
    const add: Add = (type, leaf, value) => {
      stats.push({ name: `cluster.${statName}.${leaf}`, tags, type, value })
    }
    membership(cluster, add)
    if (cluster.definition.discovery) discovery(cluster, add)
    if (cluster.isChecked) checks(cluster, add)
    if (cluster.outlier) outliers(cluster, add)
    yield
  }
  return stats
}

function membership(cluster: ManagedCluster, add: Add): void {
  let excluded = 0
  for (const { flags } of cluster.hosts()) if (isExcluded(flags)) excluded++
  add('gauge', 'membership_excluded', excluded)
  add('counter', 'membership_change', cluster.membership.membershipChange)
  add('gauge', 'version', cluster.version)
  add('gauge', 'warming_state', cluster.isWarm ? 0 : 1)
}

/** Those of one DNS cache; the breaker's limit is that of each cluster that uses it. */
function dnsCacheStats(cache: DnsCache): NativeStat[] {
  const { counters, definition } = cache
  const { now, overflows } = cache.waiting()
  const stat = (type: 'counter' | 'gauge', leaf: string, value: number): NativeStat => {
    return { name: `dns_cache.${definition.name}.${leaf}`, tags: [], type, value }
  }
  const left = Math.max(0, definition.maxPending - now)
  return [
    stat('counter', 'dns_query_attempt', counters.queryAttempt),
    stat('counter', 'dns_query_success', counters.querySuccess),
    stat('counter', 'dns_query_failure', counters.queryFailure),
    stat('counter', 'dns_query_timeout', counters.queryTimeout),
    stat('counter', 'host_address_changed', counters.addressChanged),
    stat('counter', 'host_added', counters.hostAdded),
    stat('counter', 'host_removed', counters.hostRemoved),
    stat('counter', 'host_overflow', counters.hostOverflow),
    stat('counter', 'dns_rq_pending_overflow', overflows),
    stat('gauge', 'num_hosts', cache.size),
    stat('gauge', 'circuit_breakers.rq_pending_open', left === 0 ? 1 : 0),
    stat('gauge', 'circuit_breakers.rq_pending_remaining', left),
  ]
}

function discovery({ discoveryCounters: counters, definition }: ManagedCluster, add: Add): void {
  add('counter', 'update_attempt', counters.attempt)
  add('counter', 'update_success', counters.success)
  add('counter', 'update_failure', counters.failure)
  add('counter', 'update_empty', counters.empty)
  add('counter', 'update_no_rebuild', counters.noRebuild)
  add('counter', 'update_rejected', counters.rejected)
  if (definition.discovery?.kind !== 'eds') return
  add('counter', 'assignment_timeout_received', counters.timeoutReceived)
  add('counter', 'assignment_stale', counters.stale)
}

function checks(cluster: ManagedCluster, add: Add): void {
  const { checkCounters: counters } = cluster
  let healthy = 0
  let degraded = 0
  for (const { flags, definition } of cluster.hosts()) {
    if (definition.check?.disabled || (flags & HostFlag.failedActiveCheck) !== 0) continue
    healthy++
    if ((flags & HostFlag.degradedActiveCheck) !== 0) degraded++
  }
  add('counter', 'health_check.attempt', counters.attempt)
  add('counter', 'health_check.success', counters.success)
  add('counter', 'health_check.failure', counters.failure)
  add('counter', 'health_check.passive_failure', counters.passiveFailure)
  add('counter', 'health_check.network_failure', counters.networkFailure)
  add('counter', 'health_check.verify_cluster', counters.verifyCluster)
  add('gauge', 'health_check.healthy', healthy)
  add('gauge', 'health_check.degraded', degraded)
}

function outliers({ outlier }: ManagedCluster, add: Add): void {
  if (!outlier) return
  const { counters } = outlier
  add('counter', 'outlier_detection.ejections_total', counters.ejectionsTotal)
  add('counter', 'outlier_detection.ejections_enforced_total', counters.ejectionsEnforcedTotal)
  add('counter', 'outlier_detection.ejections_overflow', counters.ejectionsOverflow)
  add('gauge', 'outlier_detection.ejections_active', outlier.ejected)
  for (const [kind, name] of Object.entries(kEjections) as [EjectionKind, string][]) {
    add('counter', `outlier_detection.ejections_detected_${name}`, counters.detected[kind])
    add('counter', `outlier_detection.ejections_enforced_${name}`, counters.enforced[kind])
  }
}
