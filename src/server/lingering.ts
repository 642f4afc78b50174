// What a new configuration no longer names, but connections accepted before may still use: it is
// given back after a delay, unless it comes back first.

export class Lingering {
  readonly #delayMs: number
  readonly #timers = new Map<string, NodeJS.Timeout>()

  constructor(delayMs: number) {
    this.#delayMs = delayMs
  }

  /** Runs `giveBack` after the delay; once for each key. */
  schedule(key: string, giveBack: () => void): void {
    if (this.#timers.has(key)) return
    const timer = setTimeout(() => {
      this.#timers.delete(key)
      giveBack()
    }, this.#delayMs)
    timer.unref()
    this.#timers.set(key, timer)
  }

  /** The key is in use again. */
  keep(key: string): void {
    clearTimeout(this.#timers.get(key))
    this.#timers.delete(key)
  }

  /** Forgets everything: the core is about to go. */
  clear(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }
}
