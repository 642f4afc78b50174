// The seam between what decides on checks and what carries one out.

import type { NativeAddress } from '../../native/index.ts'
import type { CheckResult } from './state.ts'

/** Carries out the checks of one host, one at a time. Main thread only. */
export interface Prober {
  /** `done` is called once, never before this returns, unless {@link abort} comes first. */
  check(done: (result: CheckResult) => void): void
  /** Gives up the check that runs, if one does, and its connection. */
  abort(): void
  /** As abort, and what is kept between checks goes too. */
  close(): void
}

export interface ProbeTarget {
  readonly address: NativeAddress
  /** From where to connect. */
  readonly bind?: NativeAddress
  /** The host's own name for checks; empty: the cluster's. */
  readonly hostname: string
  readonly clusterName: string
}

/** Whether each block is in `data`, one after the other, not necessarily adjacent. */
export function containsInOrder(data: Buffer, blocks: readonly Uint8Array[]): boolean {
  let from = 0
  for (const block of blocks) {
    const at = data.indexOf(block, from)
    if (at < 0) return false
    from = at + block.length
  }
  return true
}
