// Whatever a runtime key is set to, clusters are made of values that they can have: a key that is
// wrong must not keep a configuration from being put in force.

import { expect, it } from 'vitest'
import { compiled } from './helpers.ts'

const kNumbers = [-5, -1, -0.5, 0, 0.5, 2.5, 12.5, 101, 2 ** 32, 1e300]
const kKeys = [
  'upstream.healthy_panic_threshold',
  'upstream.zone_routing.enabled',
  'upstream.zone_routing.min_cluster_size',
  'upstream.maintenance_mode.web',
  'load_balancing_policy.drop_overload_limit',
  'circuit_breakers.web.default.max_requests',
  'circuit_breakers.web.default.retry_budget.budget_percent',
  'health_check.min_interval',
  'health_check.max_interval',
  'outlier_detection.consecutive_5xx',
  'outlier_detection.interval_ms',
  'outlier_detection.max_ejection_time_ms',
  'outlier_detection.max_ejection_percent',
  'bias',
  'aggression',
]

async function clusterWith(key: string, value: number): Promise<object> {
  const { clusters } = await compiled(`
layered_runtime: {layers: [{name: a, static_layer: {"${key}": ${value}}}]}
static_resources: {clusters: [{name: web, load_assignment: {cluster_name: web, endpoints: []},
  lb_policy: LEAST_REQUEST, least_request_lb_config: {
    active_request_bias: {default_value: 1, runtime_key: bias}, slow_start_config: {
      slow_start_window: 60s, aggression: {default_value: 1, runtime_key: aggression}}},
  outlier_detection: {}, health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1,
    healthy_threshold: 1, tcp_health_check: {}}]}]}`)
  const cluster = clusters[0]?.cluster
  if (!cluster) throw new Error('there is a cluster')
  return cluster
}

/** Every number in it, by its path. */
function numbers(value: unknown, path = ''): [string, number][] {
  if (typeof value === 'number') return [[path, value]]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, item]) => numbers(item, `${path}.${key}`))
}

/** All others are whole numbers for the core. */
const kFractions = /panicThreshold|activeRequestBias|aggression|percent$|minWeightPercent/

it.each(kKeys)('%s makes no cluster that cannot be', async (key) => {
  for (const value of kNumbers) {
    for (const [path, number] of numbers(await clusterWith(key, value))) {
      const what = `${key} ${value}: ${path} is ${number}`
      expect(number, what).toBeGreaterThanOrEqual(0)
      if (!kFractions.test(path)) expect(Number.isInteger(number), what).toBe(true)
      if (/panicThreshold|enabledPercent/.test(path)) expect(number, what).toBeLessThanOrEqual(100)
      if (path.endsWith('aggression')) expect(number, what).toBeGreaterThan(0)
      if (/minClusterSize|consecutive|maxRe/.test(path)) {
        expect(number, what).toBeLessThanOrEqual(0xffff_ffff)
      }
    }
  }
})

it('below zero is as not set for intervals of checks', async () => {
  expect(await clusterWith('health_check.max_interval', -5)).toMatchObject({
    healthCheck: { maxInterval: Number.MAX_SAFE_INTEGER },
  })
})
