// Malformed and borderline HTTP/1 messages that other projects test with, byte for byte: nothing
// ambiguous may reach an origin or a client. The cases and their runners are not part of this
// repository; MILLRACE_H1_CASES names their folder.

import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { simple } from '../integration/support/config.ts'
import { temporaryFolder, write } from '../integration/support/files.ts'
import { Millrace, root } from '../integration/support/millrace.ts'
import { closedPort } from '../integration/support/peers.ts'

const execute = promisify(execFile)
const folder = process.env.MILLRACE_H1_CASES ?? join(root, '../shared/h1-cases')
const there = existsSync(join(folder, 'run_requests.py'))
const kMinutes = 60_000

interface Result {
  readonly name: string
  readonly expect: 'accept' | 'reject' | 'wait' | 'safe'
  readonly verdict: string
}

/** Names of cases in which Millrace differs on purpose: the last table of the document. */
const document = readFileSync(join(root, 'docs/http1-strictness.md'), 'utf8')
const explained = new Set(
  [...document.matchAll(/^\| ([\w-]+\/[^|]+) \| (?:accept|reject|wait) \|/gm)].map(
    ([, name]) => name,
  ),
)

/** Runs one of the scripts, which is the origin too, against a proxy of its own. */
async function run(script: string, ...args: string[]): Promise<Result[]> {
  const origin = await closedPort()
  const out = temporaryFolder()
  const http10 = { accept_http_10: true, default_host_for_http_10: 'localhost' }
  const config = simple([origin], { manager: { http_protocol_options: http10 } })
  const millrace = await Millrace.start(['-c', write(out, 'config.json', config)])
  const results = join(out, 'results.json')
  const command = [script, `127.0.0.1:${millrace.port()}`, String(origin), ...args, results]
  await execute('python3', command, { cwd: folder, timeout: 8 * kMinutes })
  expect(millrace.child.exitCode).toBeNull()
  return JSON.parse(readFileSync(results, 'utf8')) as Result[]
}

const named = (results: readonly Result[], wrong: (result: Result) => boolean): string[] =>
  results
    .filter(wrong)
    .map(({ name, expect: wanted, verdict }) => `${name} (${wanted}): ${verdict}`)

/** Explained, and as the case expects. */
const needless = ({ name, verdict }: Result): boolean => verdict === 'PASS' && explained.has(name)

describe.skipIf(!there)(`cases of other projects (skipped without ${folder})`, () => {
  it('requests: nothing dangerous, all verdicts as expected or explained', {
    timeout: 9 * kMinutes,
  }, async () => {
    const results = await run('run_requests.py', '--cases', 'requests.json', '--out')
    expect(results.length).toBeGreaterThan(200)
    const dangerous = ['DANGER', 'CRASH', 'UNCLEAN']
    expect(named(results, ({ verdict }) => dangerous.includes(verdict))).toEqual([])
    const unexplained = ({ name, verdict }: Result): boolean =>
      verdict !== 'PASS' && !explained.has(name)
    expect(named(results, unexplained)).toEqual([])
    expect(named(results, needless)).toEqual([])
  })

  it('responses: the same', { timeout: 5 * kMinutes }, async () => {
    const results = await run('run_responses.py')
    expect(results.length).toBeGreaterThan(20)
    expect(named(results, ({ verdict }) => verdict === 'DANGER')).toEqual([])
    const unexplained = ({ name, verdict }: Result): boolean =>
      verdict !== 'PASS' && !explained.has(name)
    expect(named(results, unexplained)).toEqual([])
    expect(named(results, needless)).toEqual([])
  })
})
