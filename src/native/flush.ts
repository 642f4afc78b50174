/** Flush files: written by any thread of the process, each with a ring of its own. */

/** When a new file is begun, and what becomes of the old ones. */
export interface NativeRotation {
  /** 0: not by size. */
  readonly maxBytes: number
  readonly every: 'never' | 'hour' | 'day' | 'period'
  /** Of 'period'. */
  readonly periodMs: number
  /** Old files; 0: all. */
  readonly keep: number
  readonly gzip: boolean
}

export interface NativeFlushOptions {
  /** Either a path or a descriptor, which is duplicated. */
  readonly path?: string
  readonly fd?: number
  readonly append: boolean
  readonly mkdir: boolean
  readonly mode: number
  readonly flushInterval: number
  /** Bytes in a ring from which on its thread is asked to wake the flush thread. */
  readonly fillMark: number
  /** A ring grows by so much, up to maxBytes. */
  readonly segmentBytes: number
  readonly maxBytes: number
  readonly fsync: boolean
  readonly endDeadline: number
  /** What the file is called on stderr. */
  readonly name: string
  /** A full ring makes `write` wait. */
  readonly waits: boolean
  readonly rotation?: NativeRotation
}

/** What {@link NativeFlushFile.write} says when it says anything: how the line fared, and hints. */
export const FlushWrite = {
  dropped: 1,
  /** Not counted: to be offered again. */
  full: 2,
  ended: 3,
  how: 3,
  high: 4,
  /** The flush thread should be woken soon. */
  wake: 8,
  /** Neither a string nor a Uint8Array. */
  wrongType: -1,
} as const

export const FlushNotice = {
  flushed: 0,
  reopened: 1,
  stopped: 2,
  drained: 3,
  failing: 4,
  recovered: 5,
  rotated: 6,
  rotateFailed: 7,
} as const

/** Called in the thread's own event loop. `errno` is 0 where nothing failed. */
export type OnFlushNotice = (kind: number, ticket: number, errno: number) => void

export interface NativeFlushStats {
  readonly lines: number
  readonly bytes: number
  readonly writtenLines: number
  readonly writtenBytes: number
  readonly bufferedLines: number
  readonly bufferedBytes: number
  readonly droppedLines: number
  readonly droppedBytes: number
  readonly lostLines: number
  readonly lostBytes: number
  readonly writeErrors: number
  readonly reopens: number
  readonly reopenErrors: number
  readonly rotations: number
  readonly rotateErrors: number
  readonly lastErrno: number
  readonly failing: boolean
}

/** One thread's access to a flush file. */
export interface NativeFlushFile {
  /** By which other threads attach. */
  readonly number: number
  /** undefined: taken, and all is well. Needs no `this`. */
  readonly write: (line: string | Uint8Array) => number | undefined
  wake(): void
  /** Returns the ticket that a notice will name; 0 after detach(). */
  flush(): number
  flushSync(deadline: number): boolean
  reopen(): number
  /** For all threads. A notice tells when the flush thread has ended. */
  end(deadline: number): void
  /** What was lost, after that notice; without it, gives up on the thread. */
  finish(): { readonly lines: number; readonly bytes: number }
  /** Leaves the file to the other threads; what this one has written goes out. */
  detach(): void
  /** Whether the process must not end by itself. */
  hold(held: boolean): void
  /** undefined after detach(). */
  stats(): NativeFlushStats | undefined
}
