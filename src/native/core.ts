/** A core: the workers of one proxy, their slots, logs, listeners and statistics. */

import type {
  NativeCluster,
  NativeHostDelta,
  NativeHostRefusal,
  NativeHostStats,
  NativeLocalCluster,
  NativeOutlierCount,
  NativeOutlierEvent,
  NativeWantedHost,
} from './clusters.ts'
import type { NativeRotation } from './flush.ts'
import type { NativeListener } from './listeners.ts'
import type { NativeRouteTable } from './routes.ts'
import type { NativeAddress, SlotId } from './values.ts'

/** A runtime value; `denominator` 0: the code's own default denominator. null: no such key. */
export type NativeRuntimeValue = { readonly value: number; readonly denominator: number } | null

export interface NativeLogOptions {
  /** A path, or 1 / 2 for stdout / stderr. */
  readonly target: string | 1 | 2
  readonly flushInterval: number
  /** Ring of one worker, bytes. */
  readonly ringBytes: number
  readonly rotation?: NativeRotation
}

export interface NativeLogStats {
  readonly target: string
  readonly lines: number
  readonly bytes: number
  readonly droppedLines: number
  readonly bufferedBytes: number
  readonly writeErrors: number
  readonly reopens: number
  readonly rotations: number
  readonly rotateErrors: number
  /** Text of the last error, '' when writing works. */
  readonly lastError: string
}

export interface NativeCoreOptions {
  readonly concurrency: number
  /** Listeners may share their ports with other proxies of the same user. */
  readonly sharePorts?: boolean
  /** Called on the main thread. */
  readonly onEvent?: (event: NativeEvent) => void
  /** Called on the main thread: there is something for {@link NativeCore.takeOutlierEvents}. */
  readonly onOutlier?: () => void
  /** Called on the main thread: there is something for {@link NativeCore.takeWantedHosts}. */
  readonly onHostsWanted?: () => void
}

/**
 * Something that a person may want to know. `subject`: the log's target, or the listener's name.
 */
export interface NativeEvent {
  readonly kind:
    | 'log-failing'
    | 'log-recovered'
    | 'log-reopen-failed'
    | 'log-rotate-failed'
    | 'accept-paused'
  readonly subject: string
  readonly message: string
}

export interface NativeWorkerStats {
  readonly connections: number
  readonly requests: number
  /** ns spent outside poll, since the start. */
  readonly busyNs: number
  readonly turns: number
  /** Connections that were handed to / received from another worker. */
  readonly handedOver: number
  readonly received: number
  /** Bytes held for what peers sent and have yet to take. */
  readonly bytesHeld: number
  /** Requests to upstreams that found a pooled connection, and those that did not. */
  readonly poolHits: number
  readonly poolMisses: number
  /** Published version minus the version that this worker has taken. */
  readonly lag: number
}

export interface NativeHistogram {
  readonly count: number
  readonly sum: number
  readonly min: number
  readonly max: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  /** Cumulative counts for the bounds given to {@link NativeCore.readStats}. */
  readonly cumulative: readonly number[]
}

export interface NativeStat {
  readonly name: string
  /** Flat: key, value, key, value. */
  readonly tags: readonly string[]
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly value: number
  readonly histogram?: NativeHistogram
}

export interface NativeStopReport {
  /** Connections that were still open and were cut. */
  readonly connectionsCut: number
  /** What could not be written before the deadline, for each log that lost any. */
  readonly logsLost: readonly {
    readonly target: string
    readonly lines: number
    readonly bytes: number
  }[]
}

/**
 * One group of workers with its slot table. Only the thread that made it may use it. What one turn
 * of the event loop publishes and says about listeners reaches each worker all at once, with one
 * wake-up. Ends with its Node environment, if it was not stopped before.
 */
export interface NativeCore {
  /** Workers begin to turn. Listeners can be added before and after. */
  start(): void
  /**
   * Closes every listener and connection, joins the workers, and lets the logs be written out
   * within the deadline; `onLogsWritten` is called when they are, unless one hangs in the kernel.
   * Then, or at the deadline, {@link stop} does not wait.
   */
  beginStop(deadline: number, onLogsWritten: () => void): void
  /** The same, but waits for the logs, in this thread. */
  stop(deadline: number): Promise<NativeStopReport>

  /**
   * Resolves when every worker uses all that was published, and has carried out all that was said
   * about listeners, before this call; at once before {@link start}. Rejects when the core stops.
   */
  published(): Promise<void>

  /**
   * What is published and said from now on waits for {@link resume}, and then reaches each worker
   * all at once, though several turns were needed for it.
   */
  hold(): void
  resume(): void

  allocateSlot(name: string): SlotId
  releaseSlot(slot: SlotId): void
  publishRoutes(slot: SlotId, table: NativeRouteTable): void
  /** Hosts whose id was there before live on, with counters and pooled connections. */
  publishCluster(slot: SlotId, cluster: NativeCluster): void
  /** Changes hosts of the cluster that was published last; the core keeps the others. */
  updateHosts(slot: SlotId, delta: NativeHostDelta): void
  /**
   * What is wrong with a host's address, such as an interface that is not there (now); undefined:
   * nothing. One host of which something is wrong makes the two above throw, with nothing changed.
   */
  addressProblem(address: NativeAddress): string | undefined
  /** Takes the weights that hosts of the cluster have reported. */
  reweigh(slot: SlotId): void
  /** The cluster of the proxies themselves, for zone-aware routing of the others. */
  setLocalCluster(local: NativeLocalCluster): void
  /** Requests then answer as for an unknown cluster; the slot stays allocated. */
  withdrawCluster(slot: SlotId): void
  /** Names for `cluster_header`: flat [name, slot, …]. */
  publishDirectory(names: readonly (string | number)[]): void
  publishRuntime(values: readonly NativeRuntimeValue[]): void
  /** Text of the Date header and when it was formatted. */
  publishDate(text: string): void

  openLog(options: NativeLogOptions): number
  closeLog(log: number): void
  /** Throws when the file cannot be rotated so, with nothing changed. */
  rotateLog(log: number, rotation: NativeRotation): void
  /** Reopens all files; the errors of those that could not be (they keep their old file). */
  reopenLogs(): readonly { readonly target: string; readonly message: string }[]
  logStats(): readonly NativeLogStats[]

  /** Binds and listens. Throws with the address and errno's name; nothing is left open then. */
  addListener(listener: NativeListener): readonly string[]
  /**
   * Opens the sockets that the listener needs to become this one; those that can stay do. They are
   * in use after {@link useSockets}, which cannot fail, or closed by {@link dropSockets}. Throws as
   * {@link addListener}.
   */
  bindSockets(listener: NativeListener): readonly string[]
  useSockets(name: string): void
  dropSockets(name: string): void
  /** For new connections, and for the next request of each HTTP connection. Sockets stay. */
  updateListener(listener: NativeListener): void
  /**
   * Stops accepting, when what waits is accepted; connections go on, and are told to close as they
   * answer.
   */
  drainListener(name: string): void
  /**
   * As {@link drainListener}, for good: idle connections are closed over `spreadMs`, and those that
   * are left after `graceMs`.
   */
  removeListener(name: string, spreadMs: number, graceMs: number): void
  /**
   * Responses carry `Connection: close`; connections that stay idle are closed, evenly over
   * `spreadMs`.
   */
  drainAll(spreadMs: number): void
  /** Answers of health-check filters and drain decisions follow this. */
  setHealthFailed(failed: boolean): void

  workerStats(): readonly NativeWorkerStats[]
  /** `bounds`: upper bounds of the histograms' cumulative counts. */
  readStats(bounds: readonly number[]): readonly NativeStat[]
  clusterHosts(slot: SlotId): readonly NativeHostStats[]
  /** What workers found out about hosts since the last call, in the order in which it came. */
  takeOutlierEvents(): readonly NativeOutlierEvent[]
  /** Hosts that anything was counted for since the last call for this slot. */
  outlierWindow(slot: SlotId): readonly NativeOutlierCount[]
  /** These hosts were un-ejected: their rows of failures begin anew. */
  resetOutliers(slot: SlotId, hosts: readonly number[]): void
  /**
   * Hosts of on-demand clusters that workers asked for since the last call, perhaps several times.
   * Each is to be answered by {@link updateHosts} or {@link refuseHosts}, or requests wait for it
   * until they give up.
   */
  takeWantedHosts(): readonly NativeWantedHost[]
  /** Answers requests that wait for these hosts; workers know what was published before. */
  refuseHosts(slot: SlotId, keys: readonly string[], why: NativeHostRefusal): void
  /**
   * Ids of hosts of an on-demand cluster that requests went to since the last call; those that are
   * new count as used. `orConnected`: also hosts that connections are open to.
   */
  takeUsedHosts(slot: SlotId, orConnected: boolean): readonly number[]
  /** Of an on-demand cluster: who waits for a host now, and how many were not let to. */
  waiting(slot: SlotId): { readonly now: number; readonly overflows: number }
  /** Open connections accepted by listeners. */
  connectionCount(): number
  /**
   * Sockets that workers accept on. One that is closing counts until what waited is accepted; read
   * it before {@link connectionCount} to miss none.
   */
  socketCount(): number
  listenerConnections(name: string): number
  resetCounters(): void
}
