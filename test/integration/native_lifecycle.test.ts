// The native core's life in a Node process: loaded again, ended by worker.terminate() at any
// moment, unloaded.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const exec = promisify(execFile)
const support = join(import.meta.dirname, 'support')

/** Runs a script of support/ and parses what it prints. A crash rejects with the signal. */
async function run<T>(script: string, ...args: number[]): Promise<T> {
  const path = join(support, script)
  const { stdout } = await exec(process.execPath, [path, ...args.map(String)])
  return JSON.parse(stdout) as T
}

describe('loading', () => {
  it('works again: without the cache, from a copy, in worker threads, all at once', async () => {
    expect(await run('load_again.mjs')).toEqual({
      first: true,
      uncached: true,
      firstStill: true,
      copy: true,
      workers: [true, true, true],
      together: true,
    })
  })
})

describe('unloading', () => {
  it('happens with the last thread that loaded it', async () => {
    expect(await run('unload.mjs')).toEqual({ ended: [true, true, true], mapped: false })
  })
})

interface Report {
  readonly before: { readonly threads: number; readonly descriptors: number }
  readonly after: { readonly threads: number; readonly descriptors: number }
  readonly recorded: number
  readonly ready: number
  readonly answered: number
  readonly events: number
}

describe('worker.terminate()', () => {
  // 300 in all, others each time. With one worker at once, the end of each unloads the addon.
  it.each([
    [120, 1],
    [180, 4],
  ])('ends a core whatever it does: %i times, %i at once', async (times, atOnce) => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const report = await run<Report>('terminate_workers.mjs', times, seed, atOnce)
    const about = `seed ${seed}: ${JSON.stringify(report)}`
    expect(report.ready, about).toBeGreaterThan(times / 2)
    expect(report.answered, about).toBeGreaterThan(times / 10)
    expect(report.events, about).toBeGreaterThan(0)
    expect(report.recorded, about).toBeGreaterThan(5)
    expect(report.after.threads, about).toBeLessThanOrEqual(report.before.threads)
    expect(report.after.descriptors, about).toBeLessThanOrEqual(report.before.descriptors)
  })
})
