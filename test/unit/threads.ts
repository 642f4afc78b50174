// Worker threads for tests of what threads share, all of them on the built package.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { onTestFinished } from 'vitest'
import type * as Core from '../../src/core.ts'

export interface Inside {
  readonly core: typeof Core
  /** What the thread keeps between two calls. */
  // biome-ignore lint/suspicious/noExplicitAny: each test keeps what it likes
  readonly state: any
  readonly handle: Core.TableHandle
}

export class Thread {
  readonly worker: Worker
  constructor(handle: Core.TableHandle | undefined, name?: string) {
    this.worker = new Worker(new URL('./thread.mjs', import.meta.url), {
      workerData: { handle },
      ...(name === undefined ? {} : { name }),
    })
    onTestFinished(async () => void (await this.worker.terminate()))
  }

  /** Runs a function, of which only the text travels, in the thread. */
  async run<A, R>(code: (inside: Inside, argument: A) => R | Promise<R>, argument?: A): Promise<R> {
    const id = this.post(code, argument)
    for (;;) {
      const [answer] = await once(this.worker, 'message')
      if (answer.id !== id) continue
      if (answer.error !== undefined) throw Object.assign(new Error(), answer.error)
      return answer.value as R
    }
  }

  /** As {@link run}, for what does not end. */
  post<A, R>(code: (inside: Inside, argument: A) => R | Promise<R>, argument?: A): number {
    this.#calls++
    this.worker.postMessage({ id: this.#calls, code: code.toString(), argument })
    return this.#calls
  }
  #calls = 0
}

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Turns the event loop until it is so. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1))
}
