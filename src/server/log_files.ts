// The access-log files that are open: one for each path, however many listeners write to it.

import type { NativeCore, NativeLogStats } from '../native/index.ts'

/** A ring of one worker into one file: room for several thousand lines while the disk is slow. */
const kRingBytes = 1024 * 1024

export type LogTarget = string | 1 | 2

export class LogFiles {
  readonly #core: Pick<NativeCore, 'openLog' | 'closeLog' | 'reopenLogs' | 'logStats'>
  readonly #flushIntervalMs: number
  readonly #open = new Map<LogTarget, number>()

  constructor(
    core: Pick<NativeCore, 'openLog' | 'closeLog' | 'reopenLogs' | 'logStats'>,
    flushIntervalMs: number,
  ) {
    this.#core = core
    this.#flushIntervalMs = flushIntervalMs
  }

  /** The file's id, opened when it is not open yet. Throws what the system says of it. */
  id(target: LogTarget): number {
    let id = this.#open.get(target)
    if (id === undefined) {
      const flushInterval = this.#flushIntervalMs
      id = this.#core.openLog({ target, flushInterval, ringBytes: kRingBytes })
      this.#open.set(target, id)
    }
    return id
  }

  close(target: LogTarget): void {
    const id = this.#open.get(target)
    if (id === undefined) return
    this.#open.delete(target)
    this.#core.closeLog(id)
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
