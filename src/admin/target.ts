// What the admin interface shows and changes: the server, seen through the one door that it has for
// this.

import type { ClusterManager } from '../cluster/manager.ts'
import type { Logger } from '../log.ts'
import type { NativeStat } from '../native/index.ts'
import type { RuntimeDump } from '../runtime/runtime.ts'
import type { Steps } from '../slices.ts'

/** A configuration as it is in force. */
export interface Effective {
  effectiveInSteps(): Steps<unknown>
}

export interface AdminTarget {
  readonly version: string
  /** ms since 1970. */
  readonly startedAt: number
  readonly commandLine: Readonly<Record<string, unknown>>
  readonly log: Logger
  readonly clusters: Pick<ClusterManager, 'list' | 'hosts' | 'host'>
  state(): 'PRE_INITIALIZING' | 'INITIALIZING' | 'LIVE' | 'DRAINING'
  node(): { readonly id: string; readonly cluster: string }
  stats(histogramBounds: readonly number[]): Steps<readonly NativeStat[]>
  histogramBounds(): readonly number[]
  listeners(): readonly { readonly name: string; readonly addresses: readonly string[] }[]
  configuration(): { readonly loaded: Effective; readonly at: number } | undefined
  runtime(): RuntimeDump
  /** The files that could not be opened again. */
  reopenLogs(): readonly { readonly target: string; readonly message: string }[]
  resetCounters(): void
  setHealthFailed(failed: boolean): void
  stopListeners(): void
  /** Tells connections to close over the drain time; then stops accepting, if `thenStop`. */
  drainListeners(thenStop: boolean): void
  quit(): void
}
