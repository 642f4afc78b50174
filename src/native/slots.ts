/** Shared slot tables: one thread's part in one of them. */

import type { SlotId } from './values.ts'

/** How a read went: the first number of the exchange. */
export const Outcome: {
  readonly nothing: 0
  /** The bytes are at the start of the scratch. */
  readonly copied: 1
  /** The result is an ArrayBuffer over the version's own memory. */
  readonly pinned: 2
  /** The blob is the one that the caller knows. */
  readonly same: 3
  /** A map where a value was asked for, or a value where a map was. */
  readonly otherKind: -1
} = { nothing: 0, copied: 1, pinned: 2, same: 3, otherKind: -1 }

/** Numbers of the exchange after the outcome. */
export const Exchange: {
  readonly outcome: 0
  readonly serialised: 1
  readonly partsOffset: 2
  readonly blob: 3
  readonly length: 4
} = { outcome: 0, serialised: 1, partsOffset: 2, blob: 3, length: 4 }

/** The core aligns what follows the serialised bytes, and each part, to this. */
export const PART_ALIGNMENT = 16

export interface NativeReaderState {
  readonly threadId: number
  readonly name: string
  /** The generation that it has. */
  readonly taken: number
  readonly lag: number
  readonly behindMs: number
  /** Nobody waits for it: see {@link NativeTable.park}. */
  readonly parked: boolean
}

export interface NativeTableStats {
  readonly slots: number
  readonly readers: number
  readonly published: number
  readonly live: number
  readonly retired: number
  readonly freed: number
}

/**
 * What the thread sees changes only between two turns of its event loop: a native callback takes
 * the news, writes the versions to `words`, and calls `onNews` where there is one.
 */
export interface NativeTable {
  handle(): { readonly id: number; readonly key: number }
  /**
   * `words`: the version of each slot, by the low 16 bits of its id. `exchange`: see
   * {@link Exchange}. `scratch`: room for small values. The addon keeps all three and writes to
   * them.
   */
  setBuffers(words: Float64Array, exchange: Float64Array, scratch: Uint8Array): void
  onNews(listener: (() => void) | undefined): void
  /** Whether this keeps the thread's event loop alive; at first it does not. */
  keepAlive(on: boolean): void
  /** 0: no slot of that name. */
  find(name: string): SlotId
  read(slot: SlotId): ArrayBuffer | undefined
  /** `known`: the blob that the caller has decoded already; 0: none. */
  readKey(slot: SlotId, key: string, known: number): ArrayBuffer | undefined
  keys(slot: SlotId): string[] | undefined
  size(slot: SlotId): number
  readers(): NativeReaderState[]
  stats(): NativeTableStats
  closed(): boolean
  /** Takes the news now, within a turn. True: there was some. */
  refresh(): boolean
  /**
   * Until this thread takes news again, by {@link NativeTable.refresh} or between two turns,
   * `awaitTaken` does not wait for it. All words are NaN meanwhile; nothing may be read.
   */
  park(): void
  /** What a read returned is not used any more; it is detached. */
  forget(memory: ArrayBuffer): void
  close(): void

  // The owner's thread. Each returns the version that the slot will have with the next commit().
  allocate(name: string): SlotId
  /** `bytes` is given up: large ones are detached. */
  set(slot: SlotId, bytes: Uint8Array, parts: readonly Uint8Array[]): number
  setKey(slot: SlotId, bytes: Uint8Array, parts: readonly Uint8Array[], key: string): number
  /**
   * A key of a map that is prepared over several turns; the first makes the draft, under whatever
   * number. It takes effect with `stageDraft`, or ends with `dropDraft`.
   */
  draftKey(draft: number, bytes: Uint8Array, parts: readonly Uint8Array[], key: string): void
  stageDraft(slot: SlotId, draft: number): number
  dropDraft(draft: number): void
  /** 0: there was no such key. */
  deleteKey(slot: SlotId, key: string): number
  clearMap(slot: SlotId): number
  /** The generation that has all that was set since the last. */
  commit(): number
  /** False: `onNews` is called once every thread has taken the generation. */
  awaitTaken(generation: number): boolean
}
