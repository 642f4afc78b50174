// What a whole proxy makes of balancing: zones that another cluster decides, and overload that an
// assignment tells of.

import { readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  bootstrap,
  cluster,
  fileLog,
  httpListener,
  route,
  socketAddress,
} from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { httpService, sayingService } from './support/peers.ts'

type Json = Readonly<Record<string, unknown>>

const endpoints = (ports: readonly number[]): Json => ({
  lb_endpoints: ports.map((port) => ({ endpoint: { address: socketAddress(port) } })),
})

/** Hosts of each zone. */
const zoned = (zones: Readonly<Record<string, readonly number[]>>): Json[] =>
  Object.entries(zones).map(([zone, ports]) => ({ locality: { zone }, ...endpoints(ports) }))

/** A file of endpoints, and the cluster that reads it. */
class EdsFile {
  readonly folder = temporaryFolder()
  readonly #name: string

  constructor(name: string, first: Json) {
    this.#name = name
    write(this.folder, 'eds.json', this.#response(first))
  }

  #response(assignment: Json): Json {
    const type = 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment'
    return { resources: [{ '@type': type, cluster_name: this.#name, ...assignment }] }
  }

  move(assignment: Json): void {
    write(this.folder, 'eds.new', this.#response(assignment))
    renameSync(join(this.folder, 'eds.new'), join(this.folder, 'eds.json'))
  }

  cluster(fields: Json = {}): Json {
    const path = join(this.folder, 'eds.json')
    return {
      name: this.#name,
      type: 'EDS',
      eds_cluster_config: {
        eds_config: { resource_api_version: 'V3', path_config_source: { path } },
      },
      ...fields,
    }
  }
}

/** How often each answer came. */
async function answers(millrace: Millrace, requests: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (let i = 0; i < requests; i++) {
    const response = await fetch(millrace.url())
    const text = await response.text()
    counts[text] = (counts[text] ?? 0) + 1
  }
  return counts
}

const listener = httpListener({ routes: [route('/', 'web')] })

describe('zone-aware routing', () => {
  it('keeps requests in the zone as far as the local cluster lets it', async () => {
    const here = await sayingService('here')
    const there = await sayingService('there')
    const local = new EdsFile('proxies', { endpoints: zoned({ a: [1], b: [2] }) })
    const web = cluster('web', [], {
      common_lb_config: { zone_aware_lb_config: { min_cluster_size: 2 } },
      load_assignment: { cluster_name: 'web', endpoints: zoned({ a: [here], b: [there] }) },
    })
    const config = {
      node: { locality: { zone: 'a' } },
      cluster_manager: { local_cluster_name: 'proxies' },
      ...bootstrap([listener], [web, local.cluster()]),
    }
    const path = write(temporaryFolder(), 'config.json', config)
    const millrace = await Millrace.start(['-c', path])
    expect(await answers(millrace, 20)).toEqual({ here: 20 })
    expect(await millrace.stat('cluster.web.lb_zone_routing_all_directly')).toBe(20)
    expect(await millrace.stat('cluster.web.zone.a.a.upstream_rq_200')).toBe(20)
    expect(await millrace.stat('cluster.web.lb_recalculate_zone_structures')).toBeGreaterThan(0)

    // Three of four proxies are here, and one of two hosts: two of three requests stay.
    local.move({ endpoints: zoned({ a: [1, 3, 4], b: [2] }) })
    await expect
      .poll(async () => {
        await answers(millrace, 20)
        return millrace.stat('cluster.web.lb_zone_routing_cross_zone')
      })
      .toBeGreaterThan(0)
    expect(await millrace.stat('cluster.web.lb_zone_routing_sampled')).toBeGreaterThan(0)
    const { here: stayed = 0, there: left = 0 } = await answers(millrace, 150)
    expect(stayed).toBeGreaterThan(left)
    expect(left).toBeGreaterThan(20)

    // Nobody is known to be here.
    local.move({ endpoints: zoned({ b: [2], c: [5] }) })
    await expect.poll(() => millrace.stat('cluster.web.lb_local_cluster_not_ok')).toBe(1)
    await expect.poll(() => answers(millrace, 4)).toEqual({ here: 2, there: 2 })
  })
})

it('gives hosts what they report that they can take', async () => {
  const kType =
    'type.googleapis.com/envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3'
  const reporting = (text: string, metrics: Readonly<Record<string, string>>): Promise<number> =>
    httpService((_request, response) => {
      for (const [name, value] of Object.entries(metrics)) response.setHeader(name, value)
      response.end(text)
    })
  const idle = await reporting('idle', {
    'endpoint-load-metrics': 'TEXT cpu_utilization=0.2,rps_fractional=100',
  })
  const busy = await reporting('busy', {
    'endpoint-load-metrics': 'JSON {"applicationUtilization": 0.8, "rpsFractional": 100}',
  })
  const bad = await reporting('bad', { 'endpoint-load-metrics': 'TEXT cpu_utilization=lots' })
  const web = cluster('web', [idle, busy, bad], {
    load_balancing_policy: {
      policies: [
        {
          typed_extension_config: {
            name: 'by-reports',
            typed_config: {
              '@type': `${kType}.ClientSideWeightedRoundRobin`,
              blackout_period: '0s',
              weight_update_period: '0.1s',
            },
          },
        },
      ],
    },
  })
  const path = write(temporaryFolder(), 'config.json', bootstrap([listener], [web]))
  const millrace = await Millrace.start(['-c', path])
  // 500 to 125, and who says nothing that can be read has the greater of both, as Envoy's median.
  await expect.poll(() => answers(millrace, 90)).toEqual({ idle: 40, busy: 10, bad: 40 })
  expect(await millrace.stat('cluster.web.lb_load_reports')).toBeGreaterThan(0)
  expect(await millrace.stat('cluster.web.lb_load_reports_refused')).toBeGreaterThan(0)
  const clusters = await (await fetch(millrace.admin('/clusters'))).text()
  expect(clusters).toContain(`web::127.0.0.1:${busy}::weight::125\n`)
})

describe('drop_overloads', () => {
  const drop = (numerator: number): Json => ({
    policy: { drop_overloads: [{ category: 'throttle', drop_percentage: { numerator } }] },
  })

  it('answers 503 for the part of requests that the assignment names', async () => {
    const port = await sayingService('served')
    const eds = new EdsFile('web', { endpoints: [endpoints([port])], ...drop(100) })
    const log = join(temporaryFolder(), 'access.log')
    const logged = httpListener({
      routes: [route('/', 'web')],
      manager: {
        access_log: [fileLog(log, '%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n')],
      },
    })
    const path = write(temporaryFolder(), 'config.json', bootstrap([logged], [eds.cluster()]))
    const millrace = await Millrace.start(['-c', path])
    const dropped = await fetch(millrace.url())
    expect(dropped.status).toBe(503)
    expect(dropped.headers.get('x-envoy-unconditional-drop-overload')).toBe('true')
    expect(await dropped.text()).toBe('unconditional drop overload')

    eds.move({ endpoints: [endpoints([port])], ...drop(50) })
    await expect
      .poll(() => answers(millrace, 30))
      .toMatchObject({ served: expect.any(Number), 'drop overload': expect.any(Number) })
    await expect
      .poll(async () => (await fetch(millrace.url())).headers.get('x-envoy-drop-overload'))
      .toBe('true')
    expect(await millrace.stat('cluster.web.upstream_rq_drop_overload')).toBeGreaterThan(2)

    eds.move({ endpoints: [endpoints([port])] })
    await expect.poll(() => answers(millrace, 30)).toEqual({ served: 30 })
    await millrace.stop()
    const lines = readFileSync(log, 'utf8').split('\n')
    expect(lines[0]).toBe('UDO unconditional_drop_overload')
    expect(lines).toContain('DO drop_overload')
  })

  it('takes that of a static cluster, up to the limit of the runtime', async () => {
    const port = await sayingService('served')
    const assignment = { cluster_name: 'web', endpoints: [endpoints([port])], ...drop(100) }
    const config = {
      ...bootstrap([listener], [cluster('web', [], { load_assignment: assignment })]),
      layered_runtime: {
        layers: [{ name: 'l', static_layer: { 'load_balancing_policy.drop_overload_limit': 0 } }],
      },
    }
    const path = write(temporaryFolder(), 'config.json', config)
    const millrace = await Millrace.start(['-c', path])
    expect(await answers(millrace, 10)).toEqual({ served: 10 })
  })
})

it('upstream.maintenance_mode answers in the place of the cluster that it names', async () => {
  const ports = [await sayingService('up'), await sayingService('down')] as const
  const routes = [route('/down', 'down'), route('/', 'web')]
  const config = {
    ...bootstrap(
      [httpListener({ routes })],
      [cluster('web', [ports[0]]), cluster('down', [ports[1]])],
    ),
    layered_runtime: {
      layers: [{ name: 'l', static_layer: { 'upstream.maintenance_mode.down': 100 } }],
    },
  }
  const millrace = await Millrace.start(['-c', write(temporaryFolder(), 'config.json', config)])
  expect(await (await fetch(millrace.url())).text()).toBe('up')
  const refused = await fetch(millrace.url('/down'))
  expect([refused.status, refused.headers.get('x-envoy-overloaded')]).toEqual([503, 'true'])
  expect(await refused.text()).toBe('maintenance mode')
  expect(await millrace.stat('cluster.down.upstream_rq_maintenance_mode')).toBe(1)
  expect(await millrace.stat('cluster.down.upstream_rq_503')).toBe(1)
  expect(await millrace.stat('cluster.down.upstream_rq_total')).toBe(0)
})
