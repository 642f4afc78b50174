/** Where a cluster's hosts come from, other than its own list. */

import type { AggregateDefinition, EdsDefinition } from '../definitions.ts'
import type { Cluster } from '../schema/messages.generated.ts'
import { didYouMean } from '../suggest.ts'
import { type Context, unpack } from './context.ts'
import { compileDns } from './dns.ts'
import { compileEndpoints, compileTargets } from './endpoints.ts'
import {
  compileForwardProxy,
  compileOriginalDst,
  type Found,
  kForwardProxy,
  refuseOriginalDst,
} from './on_demand.ts'
import { listAsAny } from './subsets.ts'

const kAggregate = 'envoy.extensions.clusters.aggregate.v3.ClusterConfig'

/** A change of hosts goes up from cluster to cluster; nobody has more than a few on each other. */
const kAggregateDepthMax = 32
/** So many members of a ring of clusters are named. */
const kRingNamed = 10

const kNothing: Found = { hosts: [], localities: [] }

/**
 * Says of every aggregate cluster that it is a part of itself by way of others: no order in which
 * their hosts are taken would end.
 */
export function checkRings(context: Context, clusters: readonly Cluster[]): void {
  const parts = new Map<string, readonly string[]>()
  const messages = new Map<string, object>()
  for (const { name = '', cluster_type: custom } of clusters) {
    const aggregate = unpack(custom?.typed_config, kAggregate)
    if (aggregate === undefined || parts.has(name)) continue
    parts.set(name, aggregate.clusters ?? [])
    messages.set(name, aggregate)
  }
  /** How deep what is below each one goes: those that were looked at. */
  const heights = new Map<string, number>()
  for (const root of parts.keys()) {
    // A walk without recursion: configurations have chains of thousands.
    const path: string[] = []
    const on = new Set<string>()
    const open: { readonly name: string; next: number }[] = []
    const enter = (name: string): void => {
      open.push({ name, next: 0 })
      path.push(name)
      on.add(name)
    }
    if (!heights.has(root)) enter(root)
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const index = top.next++
      const part = parts.get(top.name)?.[index]
      if (part === undefined) {
        const below = (parts.get(top.name) ?? []).map((name) => heights.get(name) ?? 0)
        const height = 1 + below.reduce((most, one) => Math.max(most, one), 0)
        heights.set(top.name, height)
        const message = messages.get(top.name)
        if (message && height === kAggregateDepthMax + 1) {
          const text = `aggregate clusters in one another go deeper than ${kAggregateDepthMax}`
          context.origins.add(message, ['clusters'], 'bad-value', text)
        }
        on.delete(top.name)
        path.pop()
        open.pop()
      } else if (on.has(part) && part !== top.name) {
        const ring = ringText([...path.slice(path.indexOf(part)), part])
        const text = `this makes an aggregate cluster a part of itself: ${ring}`
        const message = messages.get(top.name)
        if (message) context.origins.add(message, ['clusters', index], 'bad-reference', text)
      } else if (parts.has(part) && !heights.has(part) && !on.has(part)) enter(part)
    }
  }
}

/** A long ring by its ends: there may be a problem for each of its members. */
function ringText(names: readonly string[]): string {
  if (names.length <= kRingNamed) return names.join(' → ')
  return [...names.slice(0, kRingNamed - 2), '…', ...names.slice(-2)].join(' → ')
}

export function compileDiscovery(context: Context, cluster: Cluster): Found {
  // Of a kind of discovery that was refused, the endpoints are what that kind takes.
  if (context.origins.wasRefused(cluster, 'type')) return kNothing
  if (context.origins.wasRefused(cluster, 'cluster_type')) return kNothing
  if (cluster.cluster_type !== undefined) {
    refuseOriginalDst(context, cluster)
    return compileCustom(context, cluster)
  }
  const type = cluster.type ?? 'STATIC'
  if (type === 'ORIGINAL_DST') return compileOriginalDst(context, cluster)
  refuseOriginalDst(context, cluster)
  if (type === 'STATIC')
    return compileEndpoints(context, cluster.load_assignment, listAsAny(cluster))
  if (type === 'EDS') {
    const eds = compileEds(context, cluster)
    return eds === undefined ? kNothing : { ...kNothing, discovery: eds }
  }
  const { targets, localities } = compileTargets(
    context,
    cluster.load_assignment,
    listAsAny(cluster),
  )
  if (type === 'LOGICAL_DNS') checkLogical(context, cluster)
  const discovery = compileDns(context, cluster, type === 'STRICT_DNS', targets)
  return { hosts: [], localities, discovery }
}

function checkLogical(context: Context, cluster: Cluster): void {
  const localities = cluster.load_assignment?.endpoints ?? []
  if (localities.length === 1 && localities[0]?.lb_endpoints?.length === 1) return
  const text = 'a LOGICAL_DNS cluster has one locality with one endpoint'
  const hint = 'use STRICT_DNS for more than one name'
  const place = cluster.load_assignment === undefined ? undefined : (['load_assignment'] as const)
  context.origins.add(cluster, place, 'bad-value', text, hint)
}

function compileEds(context: Context, cluster: Cluster): EdsDefinition | undefined {
  const { name = '', eds_cluster_config: config } = cluster
  const source = config?.eds_config
  if (source === undefined) {
    context.origins.addMissing(cluster, 'an EDS cluster needs eds_cluster_config.eds_config')
    return undefined
  }
  const path = source.path_config_source?.path ?? source.path
  if (path === undefined) {
    context.origins.addMissing(source, 'needs path_config_source')
    return undefined
  }
  if (cluster.load_assignment !== undefined) {
    const text = 'the endpoints of an EDS cluster are in its file'
    context.origins.add(cluster, ['load_assignment'], 'conflict', text)
  }
  const watched = source.path_config_source?.watched_directory?.path
  return {
    kind: 'eds',
    path,
    ...(watched !== undefined && watched !== '' && { watchedDirectory: watched }),
    serviceName: config?.service_name || name,
    namesService: Boolean(config?.service_name),
    listAsAny: listAsAny(cluster),
  }
}

function compileCustom(context: Context, cluster: Cluster): Found {
  const forward = unpack(cluster.cluster_type?.typed_config, kForwardProxy)
  if (forward !== undefined) return compileForwardProxy(context, cluster, forward)
  const aggregate = unpack(cluster.cluster_type?.typed_config, kAggregate)
  if (aggregate === undefined) {
    const custom = cluster.cluster_type
    if (custom && !context.origins.isTouched(custom)) {
      context.origins.addMissing(custom, 'needs typed_config')
    }
    return kNothing
  }
  const clusters = aggregate.clusters ?? []
  clusters.forEach((name, i) => {
    if (name === cluster.name) {
      const text = 'an aggregate cluster cannot be a part of itself'
      context.origins.add(aggregate, ['clusters', i], 'bad-reference', text)
    } else if (!context.clusters.has(name)) {
      const hint = didYouMean(name, context.clusters)
      const text = `no cluster is called "${name}"`
      context.origins.add(aggregate, ['clusters', i], 'bad-reference', text, hint)
    } else if (context.onDemand?.has(name)) {
      const text = `"${name}" adds hosts as requests name them, and cannot be a part of another yet`
      context.origins.add(aggregate, ['clusters', i], 'not-supported', text)
    }
  })
  const discovery: AggregateDefinition = { kind: 'aggregate', clusters }
  return { ...kNothing, discovery }
}
