// Notices when the main thread did not turn, so that what this thread was too late to see is not
// held against a host.

import { every, type Timer } from '../../timers.ts'

/** How often the thread says that it turns. */
const kTickMs = 20
/** A gap of so much more is a stall; less is what timers are late by. */
const kStallMs = 20

export class StallMonitor {
  #users = 0
  #timer: Timer | undefined
  #last = 0
  #total = 0

  /** Measures while somebody uses it. */
  use(): void {
    if (this.#users++ > 0) return
    this.#last = performance.now()
    this.#timer = every(kTickMs, () => this.total()).unref()
  }

  release(): void {
    if (--this.#users === 0) this.#timer?.stop()
  }

  /** ms that the thread has stood still so far, a stall that just ended included. */
  total(): number {
    const now = performance.now()
    const gap = now - this.#last
    if (gap > kTickMs + kStallMs) this.#total += gap - kTickMs
    this.#last = now
    return this.#total
  }
}
