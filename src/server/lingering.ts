// What a new configuration no longer names, but connections accepted before may still use: it is
// given back after a delay, unless it comes back first.

import { after, type Timer } from '../timers.ts'
import { allOf, type OnFailure } from './rollback.ts'

export class Lingering {
  readonly #delayMs: number
  readonly #timers = new Map<string, Timer>()
  /** What fell due while somebody held it back. */
  readonly #due = new Map<string, () => void>()
  readonly #failed: OnFailure
  #held = false

  constructor(delayMs: number, failed: OnFailure) {
    this.#delayMs = delayMs
    this.#failed = failed
  }

  /** Runs `giveBack` after the delay; once for each key. */
  schedule(key: string, giveBack: () => void): void {
    if (this.#timers.has(key) || this.#due.has(key)) return
    const timer = after(this.#delayMs, () => {
      this.#timers.delete(key)
      if (this.#held) this.#due.set(key, giveBack)
      else allOf([giveBack], this.#failed)
    })
    timer.unref()
    this.#timers.set(key, timer)
  }

  /** The key is in use again. */
  keep(key: string): void {
    this.#timers.get(key)?.stop()
    this.#timers.delete(key)
    this.#due.delete(key)
  }

  /** Gives nothing back until {@link resume}: what is being prepared may want it. */
  hold(): void {
    this.#held = true
  }

  resume(): void {
    this.#held = false
    const due = [...this.#due.values()]
    this.#due.clear()
    allOf(due, this.#failed)
  }

  /** Forgets everything: the core is about to go. */
  clear(): void {
    for (const timer of this.#timers.values()) timer.stop()
    this.#timers.clear()
    this.#due.clear()
  }
}
