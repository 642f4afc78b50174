// A configuration of 1.1 MB from one thread to eight: what it costs, and how soon it is there.
import { setTimeout as sleep } from 'node:timers/promises'
import { BroadcastChannel, Worker } from 'node:worker_threads'
import { RuntimeFlags, SlotTable } from '../../dist/core.js'
import { median, ownTid, residentBytes, threadCpuMs } from './measure.mjs'

const THREADS = 8
const SHARED_BYTES = 4 << 20

/** Routes and clusters as a control plane would send them; about 1.1 MB of JSON. */
export function configuration(mark) {
  const routes = {}
  for (let i = 0; i < 3200; i++) {
    routes[`route-${i}`] = {
      match: {
        prefix: `/service-${i % 400}/version-${i}/`,
        headers: [{ name: 'x-env', exact: `e${i % 7}` }],
      },
      route: { cluster: `cluster-${i % 250}`, timeout: '15s', retries: { on: '5xx', attempts: 3 } },
      metadata: {
        owner: `team-${i % 31}@example.com`,
        created: 1_700_000_000_000 + i,
        weight: i / 3,
      },
      labels: ['blue', 'canary', `region-${i % 5}`],
      limits: { requests: 1000 + i, burst: i % 17, unit: 'minute', enabled: i % 3 === 0 },
    }
  }
  return { mark, routes }
}

/** The ways: how each sends a value, and what its threads are told at the start. */
function ways(shared) {
  const bytes = new Uint8Array(shared)
  const encoder = new TextEncoder()
  return {
    SlotTable: {
      start: 'SlotTable',
      send: (value, { slot }) => void slot.set(value),
    },
    'postMessage to each': {
      start: 'postMessage',
      send: (value, { workers }) => {
        for (const worker of workers) worker.postMessage(value)
      },
    },
    BroadcastChannel: {
      start: 'BroadcastChannel',
      send: (value, { channel }) => channel.postMessage(value),
    },
    'structuredClone, postMessage': {
      start: 'postMessage',
      send: (value, { workers }) => {
        for (const worker of workers) {
          const clone = structuredClone(value)
          worker.postMessage(clone)
        }
      },
    },
    'SharedArrayBuffer, JSON.parse': {
      start: 'shared',
      send: (value, { workers }) => {
        const { written } = encoder.encodeInto(JSON.stringify(value), bytes)
        for (const worker of workers) worker.postMessage({ json: written })
      },
    },
  }
}

/** A main side and eight threads of one way. */
async function open(start, reads) {
  const table = new SlotTable()
  const slot = table.allocate('config')
  const keyed = table.allocate('keyed')
  await slot.set({ mark: 0 })
  const words = new Int32Array(new SharedArrayBuffer(4 * THREADS))
  const shared = new SharedArrayBuffer(SHARED_BYTES)
  const channelName = `bench-${process.hrtime.bigint()}`
  const workers = []
  const tids = []
  for (let index = 0; index < THREADS; index++) {
    const workerData = { handle: table.handle, flags: words, index, channel: channelName, shared }
    const worker = new Worker(new URL('./snapshots_worker.mjs', import.meta.url), { workerData })
    const ready = new Promise((resolve) => worker.once('message', resolve))
    worker.postMessage({ start, reads })
    const { tid } = await ready
    tids.push(tid)
    workers.push(worker)
  }
  const channel = new BroadcastChannel(channelName)
  return {
    table,
    slot,
    keyed,
    workers,
    channel,
    words,
    shared,
    tids,
    cpu: () => tids.reduce((sum, tid) => sum + threadCpuMs(tid), 0),
    /** Blocks, without using a CPU, until every thread's word is at least that. */
    async reached(value) {
      await null // what was set goes out at the end of the turn's code
      await null
      for (let i = 0; i < THREADS; i++) {
        for (let word = words[i]; word < value; word = Atomics.load(words, i)) {
          Atomics.wait(words, i, word)
        }
      }
    },
    async close() {
      channel.close()
      await Promise.all(workers.map((worker) => worker.terminate()))
      table.close()
    },
  }
}

async function broadcast({ rounds }) {
  const value = configuration(0)
  const { shared: _, ...all } = ways(new SharedArrayBuffer(SHARED_BYTES))
  const results = Object.fromEntries(Object.keys(all).map((way) => [way, []]))
  for (let round = 0; round < rounds; round++) {
    for (const way of Object.keys(all)) {
      const side = await open(all[way].start, false)
      const { send } = ways(side.shared)[way]
      value.mark = round + 1
      for (let n = 0; n < 20; n++) {
        send({ mark: n }, side) // the way itself is warm
        await sleep(5)
      }
      globalThis.gc()
      await sleep(100)
      const resident = residentBytes()
      send(value, side) // warm
      await sleep(300)
      globalThis.gc()
      await sleep(100)
      const cpu = side.cpu()
      const own = threadCpuMs(ownTid())
      send(value, side)
      const mainMs = threadCpuMs(ownTid()) - own // until here it is only the sending
      await sleep(300)
      const settled = threadCpuMs(ownTid()) - own
      results[way].push({
        mainMs: Math.max(mainMs, settled - 1),
        threadsMs: side.cpu() - cpu,
        megabytes: (residentBytes() - resident) / 1e6,
      })
      await side.close()
    }
  }
  return rowsOf(results, ({ mainMs, threadsMs }) => mainMs <= 15 && threadsMs <= 1)
}

/** Medians over the rounds; `reached` is of the first way, ours. */
function rowsOf(results, reached) {
  return Object.entries(results).map(([way, runs], i) => {
    const row = { way }
    for (const key of Object.keys(runs[0])) row[key] = median(runs.map((run) => run[key]))
    return i === 0 ? { ...row, reached: reached(row) } : row
  })
}

async function oneKey({ rounds }) {
  const changes = 100
  const value = configuration(0)
  const all = {
    'SlotTable, slot.map': { start: 'map' },
    ...Object.fromEntries(Object.entries(ways(new SharedArrayBuffer(1))).slice(1)),
  }
  const results = Object.fromEntries(Object.keys(all).map((way) => [way, []]))
  for (let round = 0; round < rounds; round++) {
    for (const way of Object.keys(all)) {
      const side = await open(all[way].start, true)
      const send =
        ways(side.shared)[way]?.send ??
        ((whole, { keyed }) => {
          keyed.map.set('mark', whole.mark)
          keyed.map.set('route-7', whole.routes['route-7'])
        })
      if (all[way].start === 'map') await side.keyed.map.assign({ mark: 0, ...value.routes })
      const main = []
      const seen = []
      const times = all[way].start === 'map' ? changes : 5
      for (let n = 1; n <= times; n++) {
        value.mark = n
        value.routes['route-7'].limits.requests = n
        const begun = performance.now()
        send(value, side)
        main.push((performance.now() - begun) * 1000)
        await side.reached(n)
        seen.push(performance.now() - begun)
        await sleep(2)
      }
      results[way].push({ mainUs: median(main), seenMs: median(seen) })
      await side.close()
    }
  }
  return rowsOf(results, ({ mainUs, seenMs }) => mainUs <= 100 && seenMs < 2)
}

let loops = 0

/** ns of one call, the best of some runs; each in code of its own, so that all are inlined. */
function nsOf(call, times = 2_000_000) {
  // Not the same text twice: V8 would give both one feedback, and inline neither.
  const loop = new Function(
    'call',
    'times',
    `/* ${loops++} */ let sum = 0; for (let i = 0; i < times; i++) if (call(i)) sum++; return sum`,
  )
  let best = Number.POSITIVE_INFINITY
  for (let run = 0; run < 50; run++) {
    const begun = process.hrtime.bigint()
    loop(call, times)
    best = Math.min(best, Number(process.hrtime.bigint() - begun) / times)
  }
  return best
}

async function reads() {
  const table = new SlotTable()
  const slot = table.allocate('config')
  const keyed = table.allocate('keyed')
  const flags = new RuntimeFlags(table.allocate('flags'))
  await slot.set(configuration(1))
  await keyed.map.assign({ a: { n: 1 }, b: { n: 2 } })
  await flags.set({ beta: true, limit: 5, rollout: 50 })
  const beta = flags.boolean('beta')
  const limit = flags.number('limit')
  const rollout = flags.percent('rollout')
  const names = Array.from({ length: 1024 }, (_, i) => `user-${100_000 + i}`)
  const plain = new Map([['config', { mark: 1 }]])
  const text = JSON.stringify(configuration(1))
  const rows = [
    ['slot.get(), unchanged', nsOf(() => slot.get() !== undefined), 25],
    ['slot.map.get(key), unchanged', nsOf(() => keyed.map.get('a') !== undefined)],
    ['flag: boolean', nsOf(() => beta.value), 10],
    ['flag: number', nsOf(() => limit.value > 1), 10],
    ['flag: percent of one key', nsOf(() => rollout.enabled('user-1')), 10],
    ['flag: percent, 11-letter keys in turn', nsOf((i) => rollout.enabled(names[i & 1023]))],
    ['Map.get of a plain Map', nsOf(() => plain.get('config') !== undefined)],
    ['JSON.parse of all of it', nsOf(() => JSON.parse(text).mark === 1, 10)],
  ]
  table.close()
  return rows.map(([way, ns, goal]) => ({ way, ns, ...(goal && { reached: ns <= goal }) }))
}

export const scenarios = [
  {
    name: 'broadcast',
    title: 'A configuration of 1.1 MB to 8 threads that do not read it',
    goal: 'at most 15 ms of the main thread, 1 ms of CPU of all others together, memory once',
    columns: { mainMs: 'main thread, ms', threadsMs: '8 threads, ms', megabytes: 'memory, MB' },
    run: broadcast,
  },
  {
    name: 'one-key',
    title: 'One key of it changes, and 8 threads read that key',
    goal: 'at most 100 µs of the main thread, seen by all threads in less than 2 ms (median)',
    columns: { mainUs: 'main thread, µs', seenMs: 'seen by all, ms' },
    run: oneKey,
  },
  {
    name: 'reads',
    title: 'Reading what has not changed',
    goal: 'at most 25 ns for slot.get(), 10 ns for a flag',
    columns: { ns: 'ns' },
    run: reads,
  },
]
