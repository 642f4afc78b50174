// Notices when the main thread did not turn, so that what this thread was too late to see is not
// held against a host.

/** How often the thread says that it turns. */
const kTickMs = 20
/** A gap of so much more is a stall; less is what timers are late by. */
const kStallMs = 20

export class StallMonitor {
  #users = 0
  #timer: NodeJS.Timeout | undefined
  #last = 0
  /** Number of stalls so far. */
  #count = 0

  /** Counts while somebody uses it. */
  use(): void {
    if (this.#users++ > 0) return
    this.#last = performance.now()
    this.#timer = setInterval(() => this.count(), kTickMs).unref()
  }

  release(): void {
    if (--this.#users === 0) clearInterval(this.#timer)
  }

  /** How many stalls there were, one that just ended included. */
  count(): number {
    const now = performance.now()
    if (now - this.#last > kTickMs + kStallMs) this.#count++
    this.#last = now
    return this.#count
  }
}
