// Requests over keep-alive connections, one after the other on each, until told to stop. Counts
// what came of them.

import { Agent, request } from 'node:http'

export interface LoadResult {
  readonly completed: number
  /** What went wrong, a line each; empty when every request was answered with 200. */
  readonly failures: readonly string[]
  /** ms, ascending. */
  readonly latencies: readonly number[]
}

export class Load {
  readonly #url: string
  readonly #agent: Agent
  readonly #loops: Promise<void>[]
  #stopping = false
  completed = 0
  readonly failures: string[] = []
  readonly latencies: number[] = []

  constructor(url: string, connections: number) {
    this.#url = url
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections })
    this.#loops = Array.from({ length: connections }, () => this.#loop())
  }

  async #loop(): Promise<void> {
    while (!this.#stopping) {
      const started = performance.now()
      try {
        const status = await this.#one()
        if (status === 200) this.completed++
        else this.failures.push(`status ${status}`)
      } catch (error) {
        this.failures.push(String(error))
      }
      this.latencies.push(performance.now() - started)
    }
  }

  #one(): Promise<number> {
    return new Promise((resolve, reject) => {
      const outgoing = request(this.#url, { agent: this.#agent }, (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode ?? 0))
        response.on('error', reject)
      })
      outgoing.on('error', reject)
      outgoing.end()
    })
  }

  async stop(): Promise<LoadResult> {
    this.#stopping = true
    await Promise.all(this.#loops)
    this.#agent.destroy()
    this.latencies.sort((a, b) => a - b)
    return this
  }
}

export function percentile(sorted: readonly number[], p: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN
}
