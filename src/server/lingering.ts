// What a new configuration no longer names, but connections accepted before may still use: it is
// given back after a delay, unless it comes back first.

export class Lingering {
  readonly #delayMs: number
  readonly #timers = new Map<string, NodeJS.Timeout>()
  /** What fell due while somebody held it back. */
  readonly #due = new Map<string, () => void>()
  #held = false

  constructor(delayMs: number) {
    this.#delayMs = delayMs
  }

  /** Runs `giveBack` after the delay; once for each key. */
  schedule(key: string, giveBack: () => void): void {
    if (this.#timers.has(key) || this.#due.has(key)) return
    const timer = setTimeout(() => {
      this.#timers.delete(key)
      if (this.#held) this.#due.set(key, giveBack)
      else giveBack()
    }, this.#delayMs)
    timer.unref()
    this.#timers.set(key, timer)
  }

  /** The key is in use again. */
  keep(key: string): void {
    clearTimeout(this.#timers.get(key))
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
    for (const giveBack of due) giveBack()
  }

  /** Forgets everything: the core is about to go. */
  clear(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
    this.#due.clear()
  }
}
