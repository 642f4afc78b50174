// The access-log files that are open: one for each path, however many listeners write to it.

import { isDeepStrictEqual } from 'node:util'
import type { NativeCore, NativeLogStats, NativeRotation } from '../native/index.ts'

/** A ring of one worker into one file: room for several thousand lines while the disk is slow. */
const kRingBytes = 1024 * 1024

const kNone: NativeRotation = { maxBytes: 0, every: 'never', periodMs: 0, keep: 0, gzip: false }

type LogCalls = 'openLog' | 'closeLog' | 'rotateLog' | 'reopenLogs' | 'logStats'

export type LogTarget = string | 1 | 2

export class LogFiles {
  readonly #core: Pick<NativeCore, LogCalls>
  readonly #flushIntervalMs: number
  readonly #open = new Map<LogTarget, { id: number; rotation: NativeRotation }>()

  constructor(core: Pick<NativeCore, LogCalls>, flushIntervalMs: number) {
    this.#core = core
    this.#flushIntervalMs = flushIntervalMs
  }

  /** The file's id, opened when it is not open yet. Throws what the system says of it. */
  id(target: LogTarget, rotation: NativeRotation = kNone): number {
    let log = this.#open.get(target)
    if (log === undefined) {
      const flushInterval = this.#flushIntervalMs
      const id = this.#core.openLog({ target, flushInterval, ringBytes: kRingBytes, rotation })
      log = { id, rotation }
      this.#open.set(target, log)
    }
    return log.id
  }

  /** How an open file is rotated. */
  rotationOf(target: LogTarget): NativeRotation | undefined {
    return this.#open.get(target)?.rotation
  }

  /**
   * Rotates an open file otherwise from now on. Throws when another proxy of the process writes to
   * it, and rotates it as before.
   */
  rotate(target: LogTarget, rotation: NativeRotation = kNone): void {
    const log = this.#open.get(target)
    if (log === undefined || isDeepStrictEqual(log.rotation, rotation)) return
    this.#core.rotateLog(log.id, rotation)
    log.rotation = rotation
  }

  close(target: LogTarget): void {
    const log = this.#open.get(target)
    if (log === undefined) return
    this.#open.delete(target)
    this.#core.closeLog(log.id)
  }

  has(target: LogTarget): boolean {
    return this.#open.has(target)
  }

  /**
   * Opens every file again, by name; those that cannot be opened go on writing where they did, and
   * are named.
   */
  reopen(): readonly { readonly target: string; readonly message: string }[] {
    return this.#core.reopenLogs()
  }

  stats(): readonly NativeLogStats[] {
    return this.#core.logStats()
  }
}
