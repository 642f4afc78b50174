// Changes of endpoints beside full load: what requests notice of them, how soon workers use them,
// and what they cost.
import { setTimeout as sleep } from 'node:timers/promises'
import { createProxy } from '../../dist/index.js'
import { median, ownTid, threadCpuMs } from './measure.mjs'
import { load, withOrigin } from './origin.mjs'

const CLUSTERS = 10
const ENDPOINTS = 100
/** Of them these come and go, and others change their weight. */
const COMING_AND_GOING = 20
const PER_SECOND = 10_000
const TICK_MS = 1
/** Load with changes and load without take turns: 60 s of each. */
const [PAIRS, SECONDS] = [6, 10]
const P99_FACTOR = 1.1
const RSS_FACTOR = 1.1
const CHANGES = 2_000
const WARM_UP = 100

const names = Array.from({ length: CLUSTERS }, (_, i) => `c${i}`)

/** One listener; requests go to all clusters alike. */
function configuration(ports) {
  const filters = 'type.googleapis.com/envoy.extensions.filters'
  const manager = `${filters}.network.http_connection_manager.v3.HttpConnectionManager`
  const router = `${filters}.http.router.v3.Router`
  const route = {
    match: { prefix: '/' },
    route: { weighted_clusters: { clusters: names.map((name) => ({ name, weight: 1 })) } },
  }
  const http = {
    '@type': manager,
    stat_prefix: 'in',
    http_filters: [{ name: 'router', typed_config: { '@type': router } }],
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route] }] },
  }
  return {
    static_resources: {
      listeners: [
        {
          name: 'in',
          address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
          filter_chains: [{ filters: [{ name: 'http', typed_config: http }] }],
        },
      ],
      clusters: names.map((name) => ({
        name,
        load_assignment: {
          cluster_name: name,
          endpoints: [
            {
              lb_endpoints: ports.map((port_value) => ({
                endpoint: { address: { socket_address: { address: '127.0.0.1', port_value } } },
              })),
            },
          ],
        },
      })),
    },
  }
}

/** One endpoint of one cluster: it goes, or comes again, or has another weight. */
function change(proxy, ports, i) {
  const cluster = proxy.cluster(names[i % CLUSTERS])
  const turn = Math.floor(i / CLUSTERS)
  const round = Math.floor(turn / ENDPOINTS)
  const index = turn % ENDPOINTS
  const address = ports[index]
  if (index >= COMING_AND_GOING) {
    return cluster.updateEndpoints({ set: [{ address, weight: 1 + (round % 3) }] })
  }
  return cluster.updateEndpoints(round % 2 === 0 ? { remove: [address] } : { set: [address] })
}

/** So many a second, each by a call of its own; says how many there were. */
async function changes(proxy, ports, from, seconds) {
  const begun = performance.now()
  let made = 0
  let waiting = []
  while (performance.now() - begun < seconds * 1000) {
    await sleep(TICK_MS)
    const due = ((performance.now() - begun) / 1000) * PER_SECOND
    for (; made < due; made++) waiting.push(change(proxy, ports, from + made))
    await Promise.all(waiting)
    waiting = []
  }
  return made
}

async function endpointChanges() {
  return withOrigin(ENDPOINTS, async (ports) => {
    const proxy = await createProxy(configuration(ports), { concurrency: 1 })
    const { port } = proxy.addresses[0]
    const rss = []
    const found = { none: [], changes: [] }
    let made = 0
    try {
      // Until memory is what such changes need.
      await Promise.all([load(port, { seconds: SECONDS }), changes(proxy, ports, 0, SECONDS)])
      for (let pair = 0; pair < PAIRS; pair++) {
        found.none.push({ ...(await load(port, { seconds: SECONDS })), perSecond: 0, cpu: 0 })
        const before = threadCpuMs(ownTid())
        const [figures, count] = await Promise.all([
          load(port, { seconds: SECONDS }),
          changes(proxy, ports, made, SECONDS),
        ])
        const cpu = (threadCpuMs(ownTid()) - before) / (SECONDS * 10)
        found.changes.push({ ...figures, perSecond: count / SECONDS, cpu })
        made += count
        globalThis.gc?.()
        rss.push(process.memoryUsage.rss() / 2 ** 20)
      }
    } finally {
      await proxy.close()
    }
    return rowsOf(found, rss)
  })
}

function rowsOf({ none, changes: with_ }, rss) {
  const figures = (runs) => ({
    perSecond: median(runs.map((run) => run.perSecond)),
    requests: median(runs.map((run) => run.requests / run.seconds)),
    failed: runs.reduce((sum, run) => sum + run.failed, 0),
    p99: median(runs.map((run) => run.p99)),
    cpu: median(runs.map((run) => run.cpu)),
  })
  const [before, after] = [figures(none), figures(with_)]
  // What is being given back when it is read is not what is kept.
  const [first, last] = [Math.min(...rss.slice(0, PAIRS / 2)), Math.min(...rss.slice(PAIRS / 2))]
  const flat = last <= first * RSS_FACTOR
  return [
    { way: 'no changes', ...before },
    {
      way: 'with changes',
      ...after,
      first,
      last,
      reached:
        after.failed === 0 &&
        flat &&
        after.p99 <= before.p99 * P99_FACTOR &&
        after.perSecond >= PER_SECOND * 0.99,
    },
  ]
}

/** From the event on the main thread until the main thread knows that the last worker uses it. */
async function times(proxy, ports) {
  const found = []
  for (let i = 0; i < WARM_UP + CHANGES; i++) {
    const cluster = proxy.cluster(names[i % CLUSTERS])
    const health = Math.floor(i / CLUSTERS) % 2 === 0 ? 'unhealthy' : 'healthy'
    const begun = performance.now()
    await cluster.updateEndpoints({ set: [{ address: ports[0], health }] })
    if (i >= WARM_UP) found.push(performance.now() - begun)
    await sleep(1)
  }
  return found.sort((a, b) => a - b)
}

async function propagation() {
  return withOrigin(ENDPOINTS, async (ports) => {
    const rows = []
    for (const [workers, loaded] of [
      [2, false],
      [8, false],
      [2, true],
    ]) {
      const proxy = await createProxy(configuration(ports), { concurrency: workers })
      const seconds = Math.ceil((CHANGES + WARM_UP) * 0.004)
      const busy = loaded ? load(proxy.addresses[0].port, { seconds }) : undefined
      if (loaded) await sleep(500)
      const ms = await times(proxy, ports)
      await busy
      await proxy.close()
      const at = (p) => ms[Math.floor(ms.length * p)]
      rows.push({
        way: `${workers} workers, ${loaded ? 'full load' : 'idle'}`,
        p50: at(0.5),
        p99: at(0.99),
        worst: ms.at(-1),
        ...(!loaded && { reached: at(0.99) <= 5 }),
      })
    }
    return rows
  })
}

export const scenarios = [
  {
    name: 'endpoint-changes',
    title: `${PER_SECOND} endpoint changes a second for ${PAIRS * SECONDS} s beside full load`,
    goal: 'no failed request, p99 within 10 % of that without changes, memory flat',
    columns: {
      perSecond: 'changes a second',
      requests: 'requests a second',
      failed: 'failed',
      p99: 'p99, µs',
      cpu: 'main thread, % of a CPU',
      first: 'RSS, first half, MB',
      last: 'RSS, second half, MB',
    },
    run: endpointChanges,
  },
  {
    name: 'propagation',
    title: "A host's health, from the main thread to the last worker that uses it",
    goal: 'p99 of at most 5 ms when idle',
    columns: { p50: 'p50, ms', p99: 'p99, ms', worst: 'most, ms' },
    run: propagation,
  },
]
