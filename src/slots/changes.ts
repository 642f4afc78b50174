/** An async iterator of a slot's changes, of which the newest wins: it never holds a queue. */

import type { Interest, Part } from './part.ts'
import { closedError } from './part.ts'

type Settle<T> = {
  resolve(result: IteratorResult<T, undefined>): void
  reject(error: Error): void
}

export class Changes<T> implements AsyncIterableIterator<T, undefined>, Interest {
  readonly #part: Part
  readonly #index: number
  readonly #read: () => T
  #seen: number
  #done = false
  #waiting: Settle<T>[] = []

  /** Changes from now on. `read`: what is yielded for one. */
  constructor(part: Part, index: number, read: () => T) {
    this.#part = part
    this.#index = index
    this.#read = read
    this.#seen = part.version(index)
    if (part.closedHere) this.#done = true
    else part.listen(this)
  }

  onNews(): void {
    const word = this.#part.version(this.#index)
    while (this.#waiting.length > 0) {
      const { resolve, reject } = this.#waiting[0] as Settle<T>
      if (this.#part.closedHere) this.#finish()
      else if (word !== this.#seen) {
        this.#waiting.shift()
        this.#seen = word
        try {
          resolve({ value: this.#read(), done: false })
        } catch (error) {
          reject(error as Error)
        }
      } else if (this.#part.closed) {
        reject(closedError())
        this.#waiting.shift()
        this.#finish()
      } else return
    }
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      if (this.#done) return resolve({ value: undefined, done: true })
      this.#waiting.push({ resolve, reject })
      this.onNews()
    })
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#finish()
    return Promise.resolve({ value: undefined, done: true })
  }

  #finish(): void {
    this.#done = true
    this.#part.unlisten(this)
    const waiting = this.#waiting
    this.#waiting = []
    for (const { resolve } of waiting) resolve({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
