// Stats of the main thread, under Envoy's names where Envoy has them: the server's, the managers',
// and those of the log files and workers.

import type { ClusterManager } from '../cluster/manager.ts'
import { clusterStats } from '../cluster/stats.ts'
import type { NativeCore, NativeStat } from '../native/index.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { Steps } from '../slices.ts'
import type { Deployment } from './deployment.ts'
import type { LogFiles } from './log_files.ts'
import { kServerStates, type ServerState } from './state.ts'

export interface ReloadCounters {
  success: number
  rejected: number
}

/** Of the log that the program itself writes. */
export interface OwnLogStats {
  readonly lines: number
  readonly dropped: number
  readonly writeErrors: number
}

/** What of a server is counted. */
export interface Counted {
  readonly core: NativeCore
  readonly startedAt: number
  readonly state: ServerState
  readonly options: { readonly concurrency: number; readonly ownLog?: () => OwnLogStats }
  readonly deployment: Deployment
  readonly clusters: ClusterManager
  readonly reloads: ReloadCounters
  readonly runtime: Runtime
  readonly logFiles: LogFiles
}

function stat(type: 'counter' | 'gauge'): (name: string, value: number) => NativeStat {
  return (name, value) => ({ name, tags: [], type, value })
}
const counter = stat('counter')
const gauge = stat('gauge')

/** What counters of the main thread stood at when they were reset. */
export class Baseline {
  readonly #values = new Map<string, number>()

  /** `stats`: one of each name, as {@link merged} gives them. */
  reset(stats: readonly NativeStat[]): void {
    this.#values.clear()
    for (const { name, type, value } of stats) {
      if (type === 'counter' && value > 0) this.#values.set(name, value)
    }
  }

  /** What was counted since, one by one; `stats` as for {@link reset}. */
  *since(stats: readonly NativeStat[]): Generator<NativeStat> {
    const gone = new Set(this.#values.keys())
    for (const stat of stats) {
      gone.delete(stat.name)
      const base = stat.type === 'counter' ? (this.#values.get(stat.name) ?? 0) : 0
      // What went and came back counts from zero by itself, from now on.
      if (stat.value < base) this.#values.delete(stat.name)
      yield base > 0 && stat.value >= base ? { ...stat, value: stat.value - base } : stat
    }
    for (const name of gone) this.#values.delete(name)
  }
}

/**
 * One stat of each name: clusters may share a name for their statistics (`alt_stat_name`), and then
 * they share the numbers.
 */
export function* merged(...lists: Iterable<NativeStat>[]): Steps<readonly NativeStat[]> {
  const byName = new Map<string, NativeStat>()
  for (const list of lists) {
    for (const stat of list) {
      const other = byName.get(stat.name)
      // Workers count histograms under one name already.
      if (!other || stat.histogram) byName.set(stat.name, stat)
      else byName.set(stat.name, { ...other, value: other.value + stat.value })
      yield
    }
  }
  return [...byName.values()]
}

export function* mainStats(server: Counted): Steps<NativeStat[]> {
  const stats = [...serverStats(server), ...managerStats(server)]
  const more = yield* clusterStats(server.clusters)
  for (const list of [more, logStats(server), workers(server)]) {
    for (const stat of list) stats.push(stat)
  }
  return stats
}

function serverStats({ core, startedAt, options, state }: Counted): NativeStat[] {
  const memory = process.memoryUsage()
  return [
    gauge('server.uptime', Math.floor((Date.now() - startedAt) / 1000)),
    gauge('server.live', state === 'LIVE' ? 1 : 0),
    gauge('server.state', kServerStates.indexOf(state)),
    gauge('server.concurrency', options.concurrency),
    gauge('server.total_connections', core.connectionCount()),
    gauge('server.memory_physical_size', memory.rss),
    gauge('server.memory_heap_size', memory.heapTotal),
    gauge('server.memory_allocated', memory.heapUsed),
    ...ownLogStats(options.ownLog?.()),
  ]
}

function ownLogStats(log: OwnLogStats | undefined): NativeStat[] {
  if (!log) return []
  return [
    counter('server.log.lines_written', log.lines),
    counter('server.log.lines_dropped', log.dropped),
    counter('server.log.write_failed', log.writeErrors),
  ]
}

function managerStats({ deployment, reloads, runtime }: Counted): NativeStat[] {
  const listeners = deployment.counters
  const { layers, entries } = runtime.dump()
  return [
    counter('listener_manager.listener_added', listeners.added),
    counter('listener_manager.listener_modified', listeners.modified),
    counter('listener_manager.listener_removed', listeners.removed),
    counter('listener_manager.listener_create_failure', listeners.createFailure),
    gauge('listener_manager.total_listeners_active', deployment.listeners().length),
    gauge('listener_manager.total_listeners_draining', deployment.draining),
    gauge('runtime.num_layers', layers.length),
    gauge('runtime.num_keys', Object.keys(entries).length),
    counter('configuration.reload_success', reloads.success),
    counter('configuration.reload_rejected', reloads.rejected),
  ]
}

function logStats({ logFiles }: Counted): NativeStat[] {
  return logFiles.stats().flatMap((log) => {
    const tags = ['millrace.log_file', log.target]
    const named = (type: 'counter' | 'gauge', name: string, value: number): NativeStat => ({
      name: `filesystem.${log.target}.${name}`,
      tags,
      type,
      value,
    })
    return [
      named('counter', 'lines_written', log.lines),
      named('counter', 'bytes_written', log.bytes),
      named('counter', 'lines_dropped', log.droppedLines),
      named('counter', 'write_failed', log.writeErrors),
      named('counter', 'reopen', log.reopens),
      named('counter', 'rotate', log.rotations),
      named('counter', 'rotate_failed', log.rotateErrors),
      named('gauge', 'write_total_buffered', log.bufferedBytes),
    ]
  })
}

function workers({ core }: Counted): NativeStat[] {
  return core.workerStats().flatMap((worker, index) => {
    const name = (leaf: string): string => `server.worker_${index}.${leaf}`
    return [
      gauge(name('downstream_cx_active'), worker.connections),
      counter(name('downstream_rq_total'), worker.requests),
      counter(name('busy_us'), Math.round(worker.busyNs / 1000)),
      counter(name('loop_turns'), worker.turns),
      counter(name('cx_handed_over'), worker.handedOver),
      counter(name('cx_received'), worker.received),
      counter(name('upstream_pool_hit'), worker.poolHits),
      counter(name('upstream_pool_miss'), worker.poolMisses),
      gauge(name('bytes_buffered'), worker.bytesHeld),
      gauge(name('configuration_lag'), worker.lag),
    ]
  })
}
