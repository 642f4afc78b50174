/**
 * The timers of the main thread. Node's run for at most 2^31 - 1 ms and take everything longer for
 * 1 ms, so that a pause of a month became a thousand turns a second: these wait for as long as they
 * are told. Nothing else in src/ calls setTimeout or setInterval (biome.json).
 */

/** The longest that Node's timers wait, ms. */
const kNodeMax = 2 ** 31 - 1

export interface Timer {
  /** It does not fire any more; no harm when it has. */
  stop(): void
  /** The process stays alive for it, as it does by itself. */
  ref(): this
  /** The process may end before it fires. */
  unref(): this
}

/**
 * Runs `run` once, after `ms` (0 for what is less; Infinity: never), not before the turn of the
 * event loop after this one.
 */
export function after(ms: number, run: () => void): Timer {
  return new NodeTimer(ms, run, false)
}

/** Runs `run` again and again, with `ms` between (1 for what is less), until it is stopped. */
export function every(ms: number, run: () => void): Timer {
  return new NodeTimer(Math.max(1, ms), run, true)
}

/** Resolves after `ms`; the process stays alive for it. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    after(ms, resolve)
  })
}

class NodeTimer implements Timer {
  readonly #ms: number
  readonly #run: () => void
  readonly #again: boolean
  #timer: NodeJS.Timeout
  #left: number
  #held = true

  constructor(ms: number, run: () => void, again: boolean) {
    if (Number.isNaN(ms)) throw new TypeError('a timer needs a number of milliseconds')
    this.#ms = ms
    this.#run = run
    this.#again = again
    this.#left = ms
    this.#timer = this.#start()
  }

  #start(): NodeJS.Timeout {
    // The usual interval is Node's own: it does not drift by the time that `run` takes.
    if (this.#again && this.#ms <= kNodeMax) return setInterval(this.#run, this.#ms)
    const part = Math.max(0, Math.min(this.#left, kNodeMax))
    this.#left -= part
    return setTimeout(() => this.#passed(), part)
  }

  #passed(): void {
    if (this.#left > 0) {
      this.#restart()
      return
    }
    if (this.#again) {
      this.#left = this.#ms
      this.#restart()
    }
    this.#run()
  }

  #restart(): void {
    this.#timer = this.#start()
    if (!this.#held) this.#timer.unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  ref(): this {
    this.#held = true
    this.#timer.ref()
    return this
  }

  unref(): this {
    this.#held = false
    this.#timer.unref()
    return this
  }
}
