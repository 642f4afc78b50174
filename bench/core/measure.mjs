// Readings that scenarios share: medians, and the CPU time of this process's threads.
import { readdirSync, readFileSync } from 'node:fs'

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  return sorted.length % 2 === 1
    ? sorted[Math.floor(middle)]
    : (sorted[middle - 1] + sorted[middle]) / 2
}

/** CPU time of a thread of this process so far, user and kernel, in ms. Linux. */
export function threadCpuMs(tid) {
  const [ns] = readFileSync(`/proc/self/task/${tid}/schedstat`, 'utf8').split(' ')
  return Number(ns) / 1e6
}

/** Threads of this process whose name begins so, as the kernel numbers them. */
export const threadsNamed = (prefix) =>
  threads().filter((tid) => readFileSync(`/proc/self/task/${tid}/comm`, 'utf8').startsWith(prefix))

/** The kernel's number of the calling thread. */
export function ownTid() {
  const [, tid] = readFileSync('/proc/thread-self/stat', 'utf8').match(/^(\d+) /) ?? []
  return Number(tid)
}

export const threads = () => readdirSync('/proc/self/task').map(Number)

/** Memory of this process that is its own and in use, bytes. */
export function residentBytes() {
  const text = readFileSync('/proc/self/smaps_rollup', 'utf8')
  return Number(text.match(/^Private_Dirty: +(\d+) kB/m)?.[1]) * 1024
}

/**
 * The longest turn of this thread's event loop, by the CPU time that it took: what others use of
 * the machine does not count. Keeps the loop turning.
 */
export class LoopWatch {
  #tid = ownTid()
  #last = threadCpuMs(this.#tid)
  #stopped = false
  /** ms */
  longest = 0

  constructor() {
    this.#turn()
  }

  #turn() {
    const now = threadCpuMs(this.#tid)
    this.longest = Math.max(this.longest, now - this.#last)
    this.#last = now
    if (!this.#stopped) setImmediate(() => setTimeout(() => this.#turn(), 0))
  }

  reset() {
    this.longest = 0
    this.#last = threadCpuMs(this.#tid)
  }

  stop() {
    this.#stopped = true
  }
}
