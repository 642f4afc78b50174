// Every door of the native core: whatever JavaScript passes, the answer is a result or an error
// with a code, never the end of the process.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { kTestPatienceMs } from '../patience.ts'
import { temporaryFolder } from './support/files.ts'

const script = join(import.meta.dirname, 'support/native_surface.mjs')
const kCalls = 4_000

const given = process.env.MILLRACE_SEED
const seeds = given === undefined ? [1, 2, Date.now() % 1_000_000] : [Number(given)]

it.each(seeds)(
  'lives through anything, with MILLRACE_SEED=%i',
  async (seed) => {
    const cwd = temporaryFolder() // for log files
    const args = [script, String(seed), String(kCalls)]
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      cwd,
      timeout: kTestPatienceMs,
    })
    const { results, errors, getters } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {
      results: number
      errors: number
      getters: number
    }
    expect(Math.min(results, errors, getters)).toBeGreaterThan(20)
  },
  300_000,
)
