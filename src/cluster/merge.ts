// When a change of hosts is published: at once when hosts come or go, at the end of the turn when
// their health is another one, and what can wait (weights, metadata) together with others at the
// end of the window, as in Envoy's ClusterManagerImpl::scheduleUpdate. Envoy lets health wait, too,
// which keeps a host that was ejected in use for as long. "At once" is when the code that made the
// change has ended: what a program or a source changes in one go, call by call, is one update.

import { after, type Timer } from '../timers.ts'

export interface MergeCounters {
  /** All changes that were published. */
  updated: number
  updatedViaMerge: number
  mergeCancelled: number
  outOfMergeWindow: number
}

/** `turn`: with what else is found out in this turn of the event loop. */
export type When = 'now' | 'turn' | 'window'

export class UpdateMerger {
  readonly #publish: () => void
  readonly #counters: MergeCounters
  #window: number
  #timer: Timer | undefined
  /** Of the update that is made when the code that runs now has ended. */
  #soon: object | undefined
  #turn: NodeJS.Immediate | undefined
  #last = Number.NEGATIVE_INFINITY

  /** `window`: ms; 0: nothing is merged. */
  constructor(window: number, counters: MergeCounters, publish: () => void) {
    this.#window = window
    this.#counters = counters
    this.#publish = publish
  }

  setWindow(window: number): void {
    this.#window = window
  }

  /** Something changed. */
  change(when: When, now: number = performance.now()): void {
    if (this.#soon || (this.#turn && when !== 'now')) return
    const outside = now - this.#last > this.#window
    if (this.#window > 0 && when === 'window' && !outside) {
      this.#timer ??= after(this.#window, () => this.#merged()).unref()
      return
    }
    if (when === 'window' && outside) this.#counters.outOfMergeWindow++
    if (this.#timer) this.#counters.mergeCancelled++
    this.cancel()
    this.#last = now
    if (when === 'turn') {
      this.#turn = setImmediate(() => this.flush())
      return
    }
    const update = {}
    this.#soon = update
    queueMicrotask(() => {
      if (this.#soon === update) this.flush()
    })
  }

  #merged(): void {
    this.#last = performance.now()
    this.#counters.updatedViaMerge++
    this.flush()
  }

  /** Publishes at once what waits, if anything does. */
  flush(): void {
    if (!this.#timer && !this.#soon && !this.#turn) return
    this.cancel()
    this.#counters.updated++
    this.#publish()
  }

  /** What waits was published by other means, or never will be. */
  cancel(): void {
    this.#timer?.stop()
    clearImmediate(this.#turn)
    this.#timer = undefined
    this.#turn = undefined
    this.#soon = undefined
  }
}
