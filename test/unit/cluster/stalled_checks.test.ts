// Checks while this thread stands still now and then: a host that does not answer fails within
// twice its timeout however busy the thread is, and one that does answer never fails for it.

import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { HostFlag } from '../../../src/cluster/flags.ts'
import { type CheckCounters, HealthChecker } from '../../../src/cluster/health/checker.ts'
import { StallMonitor } from '../../../src/cluster/health/stalls.ts'
import type { CheckResult } from '../../../src/cluster/health/state.ts'
import type { HealthCheckDefinition } from '../../../src/config/index.ts'

const kTimeout = 400
const rules: HealthCheckDefinition = {
  timeout: kTimeout,
  interval: 10,
  initialJitter: 0,
  intervalJitter: 0,
  intervalJitterPercent: 0,
  unhealthyThreshold: 1,
  healthyThreshold: 1,
  reuseConnection: true,
  noTrafficInterval: 10,
  noTrafficHealthyInterval: 10,
  unhealthyInterval: 10,
  unhealthyEdgeInterval: 10,
  healthyEdgeInterval: 10,
  minInterval: 1,
  maxInterval: 1_000,
  eventLogs: [],
  alwaysLogFailures: false,
  alwaysLogSuccess: false,
  check: {
    kind: 'http',
    host: '',
    path: '/',
    method: 'GET',
    addHeaders: [],
    removeHeaders: [],
    expected: [[200, 201]],
    retriable: [],
    receive: [],
    bodyBytes: 0,
  },
}

let counters: CheckCounters
let results: CheckResult[]
let flags: number
const ends: (() => unknown)[] = []
beforeEach(() => {
  results = []
  flags = 0
  const zero = { attempt: 0, success: 0, failure: 0 }
  counters = { ...zero, passiveFailure: 0, networkFailure: 0, verifyCluster: 0 }
})
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

function check(port: number, more: Partial<HealthCheckDefinition> = {}): void {
  const cluster = {
    flags: () => flags,
    checked: (_host: number, outcome: { flags: number }, result: CheckResult) => {
      flags = outcome.flags
      results.push(result)
    },
    hadTraffic: () => true,
    verifiesService: () => false,
  }
  const checker = new HealthChecker({ ...rules, ...more }, cluster, new StallMonitor(), counters)
  ends.push(() => checker.stop())
  checker.add(0, { address: { ip: '127.0.0.1', port }, hostname: '', clusterName: 'web' }, false)
}

function block(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

/** Stands still for `ms` of every `every`. */
function busy(every: number, ms: number): void {
  const timer = setInterval(() => block(ms), every)
  ends.push(() => clearInterval(timer))
}

/** A host of this thread that accepts, and says what `answer` does. */
async function peer(answer: (socket: Socket) => void): Promise<number> {
  const open = new Set<Socket>()
  const server: Server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => {})
    socket.on('data', () => answer(socket))
  }).listen(0, '127.0.0.1')
  ends.push(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

/** A host on a thread of its own that answers each request after `ms`. */
async function steadyPeer(ms: number): Promise<number> {
  const code = `
    const { parentPort } = require('node:worker_threads')
    const server = require('node:net').createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', () => setTimeout(() => {
        socket.write('HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\n\\r\\n')
      }, ${ms}))
    })
    server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))`
  const worker = new Worker(code, { eval: true })
  ends.push(() => worker.terminate())
  const [port] = (await once(worker, 'message')) as [number]
  return port
}

it.each([
  ['never', 0, 0],
  ['for 60 ms of every 500', 500, 60],
  ['for 60 ms of every 100', 100, 60],
  ['for 300 ms of every 400', 400, 300],
  ['nearly always', 60, 55],
])('a mute host fails on a thread that stands still %s', async (_name, every, ms) => {
  const port = await peer(() => {})
  if (every > 0) busy(every, ms)
  check(port)
  await expect.poll(() => results.length).toBeGreaterThan(2)
  expect(new Set(results.map((result) => !result.ok && result.kind))).toEqual(
    new Set(['network-timeout']),
  )
  expect(flags & HostFlag.failedActiveCheck).not.toBe(0)
  // Each is counted as what it was: one that was begun, and one that failed.
  expect(counters.failure).toBe(results.length)
  expect(counters.attempt - counters.failure).toBeLessThanOrEqual(1)
})

it('a mute host fails after one long stall, which excuses one timeout at most', async () => {
  const port = await peer(() => {})
  check(port)
  await expect.poll(() => counters.attempt).toBe(1)
  block(20 * kTimeout)
  const ended = performance.now()
  await expect.poll(() => results.length, { interval: 10 }).toBeGreaterThan(0)
  // It would be twenty, were the stall excused whole.
  expect(performance.now() - ended).toBeLessThan(18 * kTimeout)
  expect(results[0]).toMatchObject({ ok: false, kind: 'network-timeout' })
  expect(counters.attempt - counters.failure).toBeLessThanOrEqual(1)
})

it('a check that is late is not begun again: one request, one result', async () => {
  let asked = 0
  const port = await peer(() => asked++)
  busy(150, 60)
  check(port, { reuseConnection: false })
  await expect.poll(() => results.length).toBeGreaterThan(3)
  expect(asked - results.length).toBeLessThanOrEqual(1)
})

it('a host that answers does not fail because this thread stood still', async () => {
  const timeout = 2_000 // so that a slow machine's other thread has the time, too
  const port = await steadyPeer(50)
  check(port, { timeout })
  await expect.poll(() => results.length).toBeGreaterThan(0)
  for (let i = 0; i < 3; i++) {
    block(1.2 * timeout)
    const before = results.length
    await expect.poll(() => results.length).toBeGreaterThan(before)
  }
  expect(results.filter(({ ok }) => !ok)).toEqual([])
})

it('a connection that ends during a stall is tried once more, and no more', async () => {
  const port = await peer((socket) => socket.destroy())
  busy(60, 50)
  check(port)
  await expect.poll(() => results.length).toBeGreaterThan(2)
  expect(new Set(results.map((result) => !result.ok && result.kind))).toEqual(new Set(['network']))
  expect(counters.attempt - counters.failure).toBeLessThanOrEqual(1)
})
