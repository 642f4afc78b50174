// What changes among thousands of hosts and clusters cost the main thread, by the way in which it
// is told of them.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createProxy } from '../../dist/index.js'
import { LoopWatch, median, ownTid, threadCpuMs, threadsNamed } from './measure.mjs'

const HOSTS = 10_000
const CHANGE_MS = 2
const CLUSTERS = 2_000
const CLUSTER_HOSTS = 10
const BLOCK_MS = 50
/** The first are slow: code is compiled, and everything is new. */
const WARM_UP = 10
const SETTLE_MS = 1_000

const address = (i) => `10.1.${i >> 8}.${i & 255}`
/** As from a source that was parsed anew; `one` is told which of them changes. */
const all = (one) =>
  JSON.parse(JSON.stringify(Array.from({ length: HOSTS }, (_, i) => one(i, i === HOSTS / 2))))

async function cpuMs(work) {
  const before = threadCpuMs(ownTid())
  await work()
  return threadCpuMs(ownTid()) - before
}

const assignment = (name, weight) => ({
  '@type': 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  cluster_name: name,
  endpoints: [
    {
      lb_endpoints: all((i, odd) => ({
        endpoint: { address: { socket_address: { address: address(i), port_value: 80 } } },
        load_balancing_weight: odd ? weight : 1,
      })),
    },
  ],
})

const bare = (name) => ({ name, load_assignment: { cluster_name: name, endpoints: [] } })

/** Each way has a cluster of its own, and is given what it sends; a call makes one change. */
const ways = {
  'setEndpoints, 10,000 objects': (cluster, i) => {
    const list = all((n, odd) => ({ address: `${address(n)}:80`, weight: odd ? 2 + (i % 2) : 1 }))
    return () => cluster.setEndpoints(list)
  },
  'setEndpoints, 10,000 texts, one more or less': (cluster, i) => {
    const list = all((n) => `${address(n)}:80`)
    if (i % 2 === 1) list.splice(HOSTS / 2, 1)
    return () => cluster.setEndpoints(list)
  },
  'setEndpoints, in another order': (cluster, i) => {
    const list = all((n) => `${address(n)}:80`)
    list.push(...list.splice(0, 1 + (i % 100)))
    return () => cluster.setEndpoints(list)
  },
  'updateEndpoints, weight of one': (cluster, i) => () =>
    cluster.updateEndpoints({ set: [{ address: `${address(7)}:80`, weight: 2 + (i % 2) }] }),
  'updateEndpoints, health of one': (cluster, i) => () =>
    cluster.updateEndpoints({
      set: [{ address: `${address(7)}:80`, health: i % 2 === 0 ? 'unhealthy' : 'healthy' }],
    }),
}

async function hostChanges({ rounds }) {
  const names = Object.keys(ways)
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const proxy = await createProxy(
    { static_resources: { clusters: [...names.map(bare)] } },
    { concurrency: 1 },
  )
  try {
    const clusters = names.map((name) => proxy.cluster(name))
    const workers = threadsNamed('millrace-w')
    const workersMs = () => workers.reduce((sum, tid) => sum + threadCpuMs(tid), 0)
    for (const cluster of clusters) await cluster.setEndpoints(all((i) => `${address(i)}:80`))
    await sleep(SETTLE_MS)
    const found = names.map(() => [])
    for (let i = 0; i < WARM_UP + 10 * rounds; i++) {
      for (const [n, name] of names.entries()) {
        const change = ways[name](clusters[n], i)
        globalThis.gc?.({ type: 'minor' }) // what parsing left behind is not this change's
        const before = workersMs()
        const ms = await cpuMs(change)
        if (i >= WARM_UP) found[n].push({ ms, workerUs: (workersMs() - before) * 1000 })
      }
    }
    const rows = names.map((way, n) => ({ way, ...figures(found[n]) }))
    return [...rows, await file(folder, rounds)]
  } finally {
    await proxy.close()
    rmSync(folder, { recursive: true })
  }
}

const figures = (runs) => {
  const ms = median(runs.map((run) => run.ms))
  const workerUs = median(runs.map((run) => run.workerUs))
  return { ms, worst: Math.max(...runs.map((run) => run.ms)), workerUs, reached: ms <= CHANGE_MS }
}

/** All that a file costs the main thread: reading, checking, comparing, publishing. */
async function file(folder, rounds) {
  const path = join(folder, 'eds.json')
  const write = (weight) => {
    writeFileSync(join(folder, 'new'), JSON.stringify({ resources: [assignment('web', weight)] }))
    renameSync(join(folder, 'new'), path)
  }
  write(1)
  const source = { resource_api_version: 'V3', path_config_source: { path } }
  const web = { name: 'web', type: 'EDS', eds_cluster_config: { eds_config: source } }
  const proxy = await createProxy({ static_resources: { clusters: [web] } }, { concurrency: 1 })
  const watch = new LoopWatch()
  const [used, blocks] = [[], []]
  for (let i = 0; i < rounds; i++) {
    await sleep(SETTLE_MS)
    write(2 + i)
    watch.reset()
    used.push(await cpuMs(() => sleep(2 * SETTLE_MS)))
    blocks.push(watch.longest)
  }
  watch.stop()
  await proxy.close()
  return { way: 'a file of 10,000 (EDS)', ms: median(used), block: median(blocks) }
}

function configuration(count, port) {
  return {
    static_resources: {
      clusters: Array.from({ length: count }, (_, i) => ({
        name: `c${i}`,
        load_assignment: {
          cluster_name: `c${i}`,
          endpoints: [
            {
              lb_endpoints: Array.from({ length: CLUSTER_HOSTS }, (_, n) => ({
                endpoint: {
                  address: {
                    socket_address: {
                      address: `10.${i >> 8}.${i & 255}.${n + 1}`,
                      port_value: port(i),
                    },
                  },
                },
              })),
            },
          ],
        },
      })),
    },
  }
}

async function applies({ rounds }) {
  const text = (port) => JSON.stringify(configuration(CLUSTERS, port))
  const [first, one, other] = [text(() => 80), text((i) => (i === 7 ? 81 : 80)), text(() => 82)]
  const steps = {
    'all are new': first,
    'nothing is different': first,
    'one cluster is different': one,
    'all are different': other,
  }
  const found = Object.fromEntries(Object.keys(steps).map((way) => [way, []]))
  const watch = new LoopWatch()
  for (let round = 0; round < rounds; round++) {
    const proxy = await createProxy(
      configuration(1, () => 80),
      { concurrency: 1 },
    )
    for (const [way, step] of Object.entries(steps)) {
      await sleep(SETTLE_MS / 4)
      watch.reset()
      const ms = await cpuMs(() => proxy.apply(step))
      found[way].push({ ms, block: watch.longest })
    }
    await proxy.close()
  }
  watch.stop()
  return Object.entries(found).map(([way, runs]) => {
    const block = median(runs.map((run) => run.block))
    return { way, ms: median(runs.map((run) => run.ms)), block, reached: block <= BLOCK_MS }
  })
}

export const scenarios = [
  {
    name: 'host-changes',
    title: 'One of 10,000 hosts changes',
    goal: `at most ${CHANGE_MS} ms of the main thread, also when all of them are sent again`,
    columns: {
      ms: 'main thread, ms',
      worst: 'most, ms',
      workerUs: 'a worker, µs',
      block: 'longest turn, ms',
    },
    run: hostChanges,
  },
  {
    name: 'apply',
    title: `A configuration of ${CLUSTERS} clusters with ${CLUSTER_HOSTS} endpoints each, as text`,
    goal: `no turn of the event loop takes more than ${BLOCK_MS} ms`,
    columns: { ms: 'main thread, ms', block: 'longest turn, ms' },
    run: applies,
  },
]
