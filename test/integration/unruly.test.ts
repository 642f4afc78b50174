// Upstreams that close without a word under load: a short form of `node bench/unruly.mjs`, which puts
// other proxies beside, and has upstreams that answer what nobody asked, too.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { join } from 'node:path'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { simple } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { closedPort } from './support/peers.ts'

const kRequests = 3000
const kSeed = process.env.MILLRACE_SEED ?? '7'
let binary = ''

beforeAll(() => {
  binary = join(temporaryFolder(), 'unruly')
  const source = join(import.meta.dirname, 'support/unruly.c')
  execFileSync(process.env.CC ?? 'cc', ['-O1', '-o', binary, source])
})

async function started(...how: readonly string[]): Promise<Millrace> {
  const port = await closedPort()
  const origin: ChildProcess = spawn(binary, ['origin', String(port), kSeed, ...how])
  onTestFinished(() => void origin.kill('SIGKILL'))
  const path = write(temporaryFolder(), 'config.json', simple([port]))
  const millrace = await Millrace.start(['-c', path, '--concurrency', '1'])
  // The origin may be starting yet.
  await expect.poll(async () => (await fetch(millrace.url())).status).toBe(200)
  return millrace
}

interface Outcome {
  readonly good: number
  readonly wrong: number
  readonly failed: number
  readonly cut: number
}

function load(millrace: Millrace, clients: number, method: string): Promise<Outcome> {
  const args = ['load', millrace.port(), clients, kRequests, method].map(String)
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    child.on('close', () => {
      const found = /good (\d+) wrong (\d+) failed (\d+) cut (\d+)/.exec(text)
      if (found === null) return reject(new Error(`no result of the load: ${text}`))
      const [good = 0, wrong = 0, failed = 0, cut = 0] = found.slice(1).map(Number)
      resolve({ good, wrong, failed, cut })
    })
  })
}

const kNames = [
  'upstream_cx_destroy_with_active_rq',
  'upstream_cx_destroy_local_with_active_rq',
  'upstream_cx_destroy_remote_with_active_rq',
  'upstream_cx_protocol_error',
  'upstream_rq_stale_retry',
  'upstream_rq_rx_reset',
  'upstream_rq_503',
] as const

type Counters = Record<(typeof kNames)[number], number>

/** What the cluster has counted; a code that was not met yet has no counter. */
async function counted(millrace: Millrace): Promise<Counters> {
  const values = await Promise.all(kNames.map((name) => millrace.stat(`cluster.web.${name}`)))
  return Object.fromEntries(kNames.map((name, i) => [name, values[i] || 0])) as Counters
}

/** What it has counted since. */
async function since(millrace: Millrace, before: Counters): Promise<Counters> {
  const now = await counted(millrace)
  return Object.fromEntries(kNames.map((name) => [name, now[name] - before[name]])) as Counters
}

it.each([8, 128])(
  'upstreams that close without a word cost no POST: %i clients',
  async (clients) => {
    const millrace = await started('close')
    const before = await counted(millrace)
    const got = await load(millrace, clients, 'POST')
    const stats = await since(millrace, before)
    expect(got.wrong).toBe(0)
    expect(got.cut).toBe(0)
    expect(got.good + got.failed).toBe(kRequests)
    // An end that met a request that had arrived unread tells nobody whether it was looked at; that
    // takes an origin that the system stops between its answer and its end.
    expect(got.failed, `seed ${kSeed}`).toBeLessThanOrEqual(kRequests / 100)
    // Each connection that ended under a request was followed by another attempt, or by 503.
    expect(stats.upstream_rq_503).toBe(got.failed)
    expect(stats.upstream_rq_rx_reset).toBe(got.failed)
    expect(stats.upstream_cx_destroy_remote_with_active_rq).toBe(
      stats.upstream_rq_stale_retry + got.failed,
    )
    expect(stats.upstream_cx_destroy_local_with_active_rq).toBe(0)
    expect(stats.upstream_cx_protocol_error).toBe(0)
  },
)
