// What active health checks cost the main thread.
import { setTimeout as sleep } from 'node:timers/promises'
import { createProxy } from '../../dist/index.js'
import { median, ownTid, threadCpuMs } from './measure.mjs'
import { withOrigin } from './origin.mjs'

const HOSTS = 5_000
const PORTS = 100
const INTERVAL_S = 5
const CPU_PERCENT = 25

/** Hosts of a port are told apart by their names. */
const cluster = (ports, check) => ({
  name: 'web',
  load_assignment: {
    cluster_name: 'web',
    endpoints: [
      {
        lb_endpoints: Array.from({ length: HOSTS }, (_, i) => ({
          endpoint: {
            hostname: `h${i}.test`,
            address: { socket_address: { address: '127.0.0.1', port_value: ports[i % PORTS] } },
          },
        })),
      },
    ],
  },
  health_checks: [
    {
      timeout: '2s',
      interval: `${INTERVAL_S}s`,
      no_traffic_interval: `${INTERVAL_S}s`,
      initial_jitter: `${INTERVAL_S}s`,
      unhealthy_threshold: 3,
      healthy_threshold: 1,
      ...check,
    },
  ],
})

const kinds = {
  'HTTP, a connection each that stays': { http_health_check: { path: '/1k' } },
  'HTTP, a connection for each check': {
    reuse_connection: false,
    http_health_check: { path: '/1k' },
  },
  'TCP, connecting alone': { tcp_health_check: {} },
}

async function healthChecks({ rounds }) {
  return withOrigin(PORTS, async (ports) => {
    const rows = []
    for (const [way, check] of Object.entries(kinds)) {
      const configuration = { static_resources: { clusters: [cluster(ports, check)] } }
      const proxy = await createProxy(configuration, { concurrency: 1 })
      await sleep(INTERVAL_S * 1000)
      const found = []
      for (let round = 0; round < rounds; round++) {
        const [before, checks] = [threadCpuMs(ownTid()), await counted(proxy)]
        const begun = performance.now()
        await sleep(INTERVAL_S * 1000)
        const seconds = (performance.now() - begun) / 1000
        found.push({
          cpu: (threadCpuMs(ownTid()) - before) / (seconds * 10),
          perSecond: ((await counted(proxy)).attempt - checks.attempt) / seconds,
        })
      }
      const { failure, healthy } = await counted(proxy)
      await proxy.close()
      const cpu = median(found.map((run) => run.cpu))
      const perSecond = median(found.map((run) => run.perSecond))
      rows.push({ way, perSecond, cpu, healthy, failure, reached: cpu <= CPU_PERCENT })
    }
    return rows
  })
}

async function counted(proxy) {
  for await (const sample of proxy.stats({ interval: 1 })) {
    const value = (name) => sample.get(`cluster.web.${name}`)?.value ?? 0
    return {
      attempt: value('health_check.attempt'),
      failure: value('health_check.failure'),
      healthy: value('membership_healthy'),
    }
  }
}

export const scenarios = [
  {
    name: 'health-checks',
    title: `${HOSTS} hosts checked every ${INTERVAL_S} s`,
    goal: `at most ${CPU_PERCENT} % of one CPU of the main thread`,
    columns: {
      perSecond: 'checks a second',
      cpu: 'main thread, % of a CPU',
      healthy: 'healthy hosts',
      failure: 'failed checks',
    },
    run: healthChecks,
  },
]
