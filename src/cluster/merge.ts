// When a change of hosts is published: at once when hosts come or go, or when the last one was long
// ago; otherwise together with others at the end of the window. As Envoy's
// ClusterManagerImpl::scheduleUpdate. "At once" is when the code that made the change has ended:
// what a program or a source changes in one go, call by call, is one update.

import { after, type Timer } from '../timers.ts'

export interface MergeCounters {
  /** All changes that were published. */
  updated: number
  updatedViaMerge: number
  mergeCancelled: number
  outOfMergeWindow: number
}

export class UpdateMerger {
  readonly #publish: () => void
  readonly #counters: MergeCounters
  #window: number
  #timer: Timer | undefined
  /** Of the update that is made when the code that runs now has ended. */
  #soon: object | undefined
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

  /** Something changed. `mergeable`: it may wait for others. */
  change(mergeable: boolean, now: number = performance.now()): void {
    if (this.#soon) return
    const outside = now - this.#last > this.#window
    if (this.#window > 0 && mergeable && !outside) {
      this.#timer ??= after(this.#window, () => this.#merged()).unref()
      return
    }
    if (mergeable && outside) this.#counters.outOfMergeWindow++
    if (this.#timer) this.#counters.mergeCancelled++
    this.#timer?.stop()
    this.#timer = undefined
    this.#last = now
    const update = {}
    this.#soon = update
    queueMicrotask(() => {
      if (this.#soon !== update) return
      this.#soon = undefined
      this.#counters.updated++
      this.#publish()
    })
  }

  #merged(): void {
    this.#timer = undefined
    this.#last = performance.now()
    this.#counters.updated++
    this.#counters.updatedViaMerge++
    this.#publish()
  }

  /** What waits was published by other means, or never will be. */
  cancel(): void {
    this.#timer?.stop()
    this.#timer = undefined
    this.#soon = undefined
  }
}
