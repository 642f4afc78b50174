// node terminate_workers.mjs TIMES SEED AT_ONCE: starts worker threads that use the native core,
// sends requests through it, and terminates each at a moment of its own. Prints one line of JSON:
// what the process holds before and after. A crash is the end of this process, not of the test
// runner. This thread does not load the core itself: with one worker at once, each end of a worker
// unloads it.
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { createServer, get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const STAGES = process.env.STAGES?.split(',') ?? [
  'loaded',
  'creating',
  'stopping',
  'serving',
  'blocked',
  'publishing',
  'reading',
  'refused',
  'events',
  'flushing',
  'slots',
  'exiting',
]
const SETTLE_MS = 5_000
const count = { ready: 0, answered: 0, cut: 0, events: 0 }

let state = 0
/** A whole number below n (mulberry32). */
function random(n) {
  state = (state + 0x6d2b79f5) >>> 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) % n
}

/** What a server tells its core for a configuration, but for stopping: [method, arguments]. */
async function record({ port, folder }) {
  const [{ pino }, { loadConfiguration }, { Server }] = await Promise.all([
    import('pino'),
    import('../../../dist/config/index.js'),
    import('../../../dist/server/server.js'),
  ])
  const log = pino({ level: 'silent' })
  const server = new Server({ concurrency: 1, fileFlushIntervalMs: 5, drainTimeMs: 1, log })
  const { core } = server
  const calls = []
  for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(core))) {
    if (name === 'constructor' || /stop|Stats|Count/i.test(name)) continue
    const method = core[name].bind(core)
    const value = (...args) => {
      calls.push([name, structuredClone(args)])
      return method(...args)
    }
    Object.defineProperty(core, name, { value })
  }
  const routes = `routes:\n  /: http://127.0.0.1:${port}\n`
  const text = `listen: 127.0.0.1:0\n${routes}access_log: ${folder}/access.log\n`
  await server.start(await loadConfiguration({ kind: 'text', text, name: 'recorded.yaml' }))
  await server.stop()
  return calls
}

const recorded = (data) =>
  new Promise((resolve, reject) => {
    let calls
    const worker = new Worker(new URL(import.meta.url), { workerData: data })
    worker.on('message', (message) => {
      calls = message
    })
    worker.on('error', reject)
    worker.on('exit', () => resolve(calls))
  })

/** Requests through a proxy until it is gone. */
function ask(address, worker) {
  const request = get(`http://${address}/`, (response) => {
    response.resume()
    response.on('error', () => count.cut++)
    response.on('end', () => {
      count.answered++
      if (worker.threadId !== -1) ask(address, worker)
    })
  })
  request.on('error', () => count.cut++)
}

/** One worker from its start to its end. */
function one(stage, calls, folder) {
  const worker = new Worker(new URL('./terminated_worker.mjs', import.meta.url), {
    workerData: { stage, calls, folder, seed: random(1 << 16) },
  })
  const isReady = ({ addresses }) => {
    count.ready++
    for (const address of addresses ?? []) ask(address, worker)
    setTimeout(() => worker.terminate(), random(8))
  }
  return new Promise((resolve, reject) => {
    // One in eight does not wait until it is ready.
    if (random(8) === 0) setTimeout(() => worker.terminate(), random(60))
    worker.on('message', (message) => {
      if (message.ready) isReady(message)
      else count.events++
    })
    worker.on('error', reject)
    worker.on('exit', resolve)
  })
}

/** What a descriptor is open on; undefined when it is none any more. */
function target(descriptor) {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`)
  } catch {
    return undefined
  }
}

/** Node itself leaves a module's file open that it was reading when it was terminated. */
const ofModule = (path) => /\.m?js$/.test(path)

const held = () => ({
  threads: readdirSync('/proc/self/task').length,
  descriptors: readdirSync('/proc/self/fd')
    .map(target)
    .filter((path) => path !== undefined && !ofModule(path)).length,
})

async function main(times, seed, atOnce) {
  state = seed
  const folder = mkdtempSync(join(tmpdir(), 'millrace-terminate-'))
  const service = createServer((_, response) => response.end('origin'))
  await new Promise((resolve) => service.listen(0, '127.0.0.1', resolve))
  const calls = await recorded({ port: service.address().port, folder })
  let next = 0
  const lane = async () => {
    while (next < times) await one(STAGES[next++ % STAGES.length], calls, folder)
  }
  const before = held()
  await Promise.all(Array.from({ length: atOnce }, lane))
  let after = held()
  for (const end = Date.now() + SETTLE_MS; Date.now() < end; after = held()) {
    service.closeAllConnections()
    if (after.threads <= before.threads && after.descriptors <= before.descriptors) break
    await sleep(50)
  }
  service.close()
  rmSync(folder, { recursive: true, force: true })
  console.log(JSON.stringify({ before, after, recorded: calls.length, ...count }))
}

if (isMainThread) await main(...process.argv.slice(2).map(Number))
else parentPort.postMessage(await record(workerData))
