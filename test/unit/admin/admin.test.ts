import { request } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { AdminServer } from '../../../src/admin/server.ts'
import { HostFlag } from '../../../src/cluster/flags.ts'
import { bootstrap, cluster, host, RecordingTarget } from './target.ts'

let target: RecordingTarget
let server: AdminServer

beforeAll(async () => {
  target = new RecordingTarget()
  server = await AdminServer.listen({ ip: '127.0.0.1', port: 0 }, target, target.log)
})
afterAll(() => server.close())
beforeEach(() => {
  target.calls.length = 0
  target.failedLogs = []
  target.current = 'LIVE'
  target.forget()
})

const eds = {
  kind: 'eds',
  path: '/x',
  serviceName: 'elsewhere',
  namesService: true,
  listAsAny: false,
} as const

interface Reply {
  status: number
  type: string
  text: string
}

/** node:http, not fetch: fetch does not let Host and Origin be set. */
function ask(path: string, method = 'GET', headers: Record<string, string> = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${server.url}${path}`, { method, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => {
        const type = response.headers['content-type'] ?? ''
        resolve({ status: response.statusCode ?? 0, type, text })
      })
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}
const post = (path: string): Promise<Reply> => ask(path, 'POST')
const read = async (path: string): Promise<unknown> => JSON.parse((await ask(path)).text)

describe('/ready', () => {
  it('is 200 LIVE', async () => {
    expect(await ask('/ready')).toMatchObject({ status: 200, text: 'LIVE\n' })
  })
  it('is 503 with the state otherwise', async () => {
    target.current = 'DRAINING'
    expect(await ask('/ready')).toMatchObject({ status: 503, text: 'DRAINING\n' })
  })
  it('answers HEAD without a body', async () => {
    expect(await ask('/ready', 'HEAD')).toMatchObject({ status: 200, text: '' })
  })
})

describe('what it tells', () => {
  it('/server_info', async () => {
    expect(await read('/server_info')).toMatchObject({
      version: 'millrace/1.2.3',
      state: 'LIVE',
      command_line_options: { concurrency: 2 },
      node: { id: 'n1' },
    })
  })
  it('/listeners as text and as JSON', async () => {
    expect((await ask('/listeners')).text).toBe(
      'main::127.0.0.1:8080\nmain::[::1]:8080\nmain::/run/m.sock\n',
    )
    expect(await read('/listeners?format=json')).toEqual({
      listener_statuses: [
        {
          name: 'main',
          local_address: { socket_address: { address: '127.0.0.1', port_value: 8080 } },
          additional_local_addresses: [
            { socket_address: { address: '::1', port_value: 8080 } },
            { pipe: { path: '/run/m.sock' } },
          ],
        },
      ],
    })
  })
  it('/clusters as text', async () => {
    const { text } = await ask('/clusters')
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        'web::observability_name::web',
        'web::default_priority::max_connections::1024',
        'web::high_priority::max_requests::7',
        'web::added_via_api::false',
        'web::127.0.0.1:3000::cx_active::2',
        'web::127.0.0.1:3000::rq_total::9',
        'web::127.0.0.1:3000::hostname::web-1',
        'web::127.0.0.1:3000::health_flags::healthy',
        'web::127.0.0.1:3000::weight::1',
      ]),
    )
  })
  it('/clusters as JSON, with defaults left out', async () => {
    expect(await read('/clusters?format=json')).toMatchObject({
      cluster_statuses: [
        {
          name: 'web',
          host_statuses: [
            {
              address: { socket_address: { address: '127.0.0.1', port_value: 3000 } },
              stats: expect.arrayContaining([
                { type: 'GAUGE', value: '2', name: 'cx_active' },
                { name: 'cx_connect_fail' },
              ]),
              health_status: { eds_health_status: 'HEALTHY' },
              hostname: 'web-1',
            },
          ],
          circuit_breakers: { thresholds: [{ max_retries: 3 }, { priority: 'HIGH' }] },
        },
      ],
    })
  })
  it('/clusters line by line, as Envoy writes it', async () => {
    Object.assign(target, {
      flags: HostFlag.failedActiveCheck | HostFlag.activeCheckTimeout,
      rates: { success: 200 / 3, local: 100 },
      locality: { region: 'eu', zone: 'a', subZone: '1', weight: 0, priority: 0 },
      clusterState: {
        cluster: { ...cluster('web', 3000), statName: 'w', discovery: eds },
        rates: {
          external: { average: 90.12345678, threshold: -3.5 },
          local: { average: -1, threshold: -1 },
        },
      },
    })
    const { text } = await ask('/clusters')
    const breakers = (priority: string, requests: number): string[] => [
      `${priority}_priority::max_connections::1024`,
      `${priority}_priority::max_pending_requests::1024`,
      `${priority}_priority::max_requests::${requests}`,
      `${priority}_priority::max_retries::3`,
    ]
    const lines = [
      'observability_name::w',
      'outlier::success_rate_average::90.1235',
      'outlier::success_rate_ejection_threshold::-3.5',
      'outlier::local_origin_success_rate_average::-1',
      'outlier::local_origin_success_rate_ejection_threshold::-1',
      ...breakers('default', 1024),
      ...breakers('high', 7),
      'added_via_api::false',
      'eds_service_name::elsewhere',
      ...[
        'cx_active::2',
        'cx_connect_fail::0',
        'cx_total::5',
        'rq_active::1',
        'rq_error::1',
        'rq_success::8',
        'rq_timeout::0',
        'rq_total::9',
        'hostname::web-1',
        'health_flags::/failed_active_hc/active_hc_timeout',
        'weight::1',
        'region::eu',
        'zone::a',
        'sub_zone::1',
        'canary::false',
        'priority::0',
        'success_rate::66.66666666666667',
        'local_origin_success_rate::100',
      ].map((line) => `127.0.0.1:3000::${line}`),
    ]
    expect(text).toBe(lines.map((line) => `web::${line}\n`).join(''))
  })
  it('/clusters as JSON with all that there can be', async () => {
    Object.assign(target, {
      flags:
        HostFlag.failedActiveCheck |
        HostFlag.failedOutlierCheck |
        HostFlag.degradedActiveCheck |
        HostFlag.pendingRemoval |
        HostFlag.pendingActiveCheck |
        HostFlag.excludedByImmediateFail |
        HostFlag.activeCheckTimeout |
        HostFlag.failedEdsHealth,
      rates: { success: 99.5, local: 0 },
      locality: { region: 'eu', zone: 'a', subZone: '1', weight: 0, priority: 0 },
      hosts: [{ ...host, id: 1, priority: 2, weight: 7 }, host],
      clusterState: {
        cluster: { ...cluster('web', 3000), discovery: eds },
        rates: {
          external: { average: 90, threshold: 80.25 },
          local: { average: 99, threshold: 98 },
        },
      },
    })
    const { cluster_statuses } = (await read('/clusters?format=json')) as {
      cluster_statuses: [{ host_statuses: [unknown, object] }]
    }
    expect(cluster_statuses).toMatchObject([
      {
        name: 'web',
        added_via_api: false,
        success_rate_ejection_threshold: { value: 80.25 },
        local_origin_success_rate_ejection_threshold: { value: 98 },
        eds_service_name: 'elsewhere',
      },
    ])
    // By priority, and each with every field of Envoy's HostStatus.
    expect(cluster_statuses[0].host_statuses[1]).toEqual({
      address: { socket_address: { address: '127.0.0.1', port_value: 3000 } },
      stats: [
        { name: 'cx_connect_fail' },
        { value: '5', name: 'cx_total' },
        { value: '1', name: 'rq_error' },
        { value: '8', name: 'rq_success' },
        { name: 'rq_timeout' },
        { value: '9', name: 'rq_total' },
        { type: 'GAUGE', value: '2', name: 'cx_active' },
        { type: 'GAUGE', value: '1', name: 'rq_active' },
      ],
      health_status: {
        failed_active_health_check: true,
        failed_outlier_check: true,
        failed_active_degraded_check: true,
        pending_dynamic_removal: true,
        pending_active_hc: true,
        excluded_via_immediate_hc_fail: true,
        active_hc_timeout: true,
        eds_health_status: 'UNHEALTHY',
      },
      success_rate: { value: 99.5 },
      weight: 7,
      hostname: 'web-1',
      priority: 2,
      local_origin_success_rate: { value: 0 },
      locality: { region: 'eu', zone: 'a', sub_zone: '1' },
    })
  })
  it.each([
    [HostFlag.edsDraining | HostFlag.failedEdsHealth, 'DRAINING'],
    [HostFlag.degradedEdsHealth, 'DEGRADED'],
    [0, 'HEALTHY'],
  ])('/clusters says the health of endpoints: %d is %s', async (flags, expected) => {
    target.flags = flags
    const { cluster_statuses } = (await read('/clusters?format=json')) as {
      cluster_statuses: { host_statuses: object[] }[]
    }
    expect(cluster_statuses[0]?.host_statuses).toMatchObject([
      { health_status: { eds_health_status: expected } },
    ])
  })
  it('/clusters of some names alone', async () => {
    expect((await ask('/clusters?filter=^we')).text).toContain('web::observability_name')
    expect((await ask('/clusters?filter=^eb')).text).toBe('')
    expect(await read('/clusters?format=json&filter=nobody')).toEqual({ cluster_statuses: [] })
    expect((await ask('/clusters?filter=(')).status).toBe(400)
  })
  it('/runtime', async () => {
    expect(await read('/runtime')).toEqual(target.runtime())
  })
  it('/stats in three formats', async () => {
    expect((await ask('/stats')).text).toBe('cluster.web.upstream_rq_total: 9\nserver.uptime: 0\n')
    expect(await read('/stats?format=json&usedonly')).toEqual({
      stats: [{ name: 'cluster.web.upstream_rq_total', value: 9 }],
    })
    const { type, text } = await ask('/stats/prometheus?filter=^cluster')
    expect(type).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(text).toContain('envoy_cluster_upstream_rq_total{envoy_cluster_name="web"} 9\n')
    expect(text).not.toContain('uptime')
    expect((await ask('/stats?format=prometheus&filter=^cluster')).text).toBe(text)
  })
  it('/stats?type=', async () => {
    expect((await ask('/stats?type=Gauges')).text).toBe('server.uptime: 0\n')
    expect((await ask('/stats?type=TextReadouts')).text).toBe('')
    expect((await ask('/stats?type=Nothing')).status).toBe(400)
  })
  it('refuses an expression that is none', async () => {
    expect(await ask('/stats?filter=(')).toMatchObject({ status: 400 })
    expect((await ask('/stats?filter=(')).text).toContain('Invalid regex')
  })
  it('/ and /help name every endpoint', async () => {
    const page = await ask('/')
    const help = await ask('/help')
    expect(page.type).toContain('text/html')
    for (const path of ['/ready', '/stats/prometheus', '/quitquitquit', '/help', '/config_dump']) {
      expect(page.text).toContain(`>${path}<`)
      expect(help.text).toContain(`  ${path}`)
    }
  })
})

describe('/config_dump', () => {
  const at = '2026-01-02T00:00:00.000Z'
  it('holds bootstrap, clusters, listeners and routes', async () => {
    const admin = 'type.googleapis.com/envoy.admin.v3'
    const listener = bootstrap.static_resources.listeners[0]
    expect(await read('/config_dump')).toEqual({
      configs: [
        { '@type': `${admin}.BootstrapConfigDump`, bootstrap, last_updated: at },
        {
          '@type': `${admin}.ClustersConfigDump`,
          static_clusters: ['web', 'api'].map((name) => ({
            cluster: { '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', name },
            last_updated: at,
          })),
        },
        {
          '@type': `${admin}.ListenersConfigDump`,
          static_listeners: [
            {
              listener: {
                '@type': 'type.googleapis.com/envoy.config.listener.v3.Listener',
                ...listener,
              },
              last_updated: at,
            },
          ],
        },
        {
          '@type': `${admin}.RoutesConfigDump`,
          static_route_configs: [
            {
              route_config: {
                '@type': 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
                name: 'local',
                virtual_hosts: [],
              },
              last_updated: at,
            },
          ],
        },
      ],
    })
  })
  it('gives one kind of resource, by name', async () => {
    const dump = await read('/config_dump?resource=static_clusters&name_regex=^a')
    expect(dump).toMatchObject({ configs: [{ cluster: { name: 'api' } }] })
  })
  it('has nothing dynamic, and no mask', async () => {
    expect((await ask('/config_dump?resource=dynamic_listeners')).status).toBe(404)
    const masked = await ask('/config_dump?mask=bootstrap')
    expect(masked.status).toBe(400)
    expect(masked.text).toContain('no parameter "mask"')
  })
})

describe('what it changes', () => {
  it.each([
    ['/healthcheck/fail', 'setHealthFailed true'],
    ['/healthcheck/ok', 'setHealthFailed false'],
    ['/drain_listeners', 'stopListeners'],
    ['/drain_listeners?graceful', 'drainListeners true'],
    ['/drain_listeners?graceful&skip_exit', 'drainListeners false'],
    ['/reset_counters', 'resetCounters'],
    ['/reopen_logs', 'reopenLogs'],
    ['/quitquitquit', 'quit'],
  ])('POST %s', async (path, call) => {
    expect(await post(path)).toMatchObject({ status: 200, text: 'OK\n' })
    await expect.poll(() => target.calls).toEqual([call])
  })
  it.each(['/healthcheck/fail', '/quitquitquit', '/reopen_logs', '/reset_counters'])(
    'GET %s is refused and does nothing',
    async (path) => {
      const { status, text } = await ask(path)
      expect(status).toBe(405)
      expect(text).toBe('Method GET not allowed, POST required.\n')
      expect(target.calls).toEqual([])
    },
  )
  it('refuses POST to what only tells', async () => {
    expect((await post('/stats')).status).toBe(405)
  })
  it('refuses skip_exit without graceful, and parameters that it does not have', async () => {
    expect((await post('/drain_listeners?skip_exit')).status).toBe(400)
    expect((await post('/drain_listeners?inboundonly')).text).toContain(
      'no parameter "inboundonly"',
    )
    expect(target.calls).toEqual([])
  })
  it('names the log files that could not be opened', async () => {
    target.failedLogs = [{ target: '/var/log/a.log', message: 'EACCES' }]
    expect(await post('/reopen_logs')).toMatchObject({
      status: 500,
      text: '/var/log/a.log: EACCES\n',
    })
  })
  it('/logging sets the level, also by the names of Envoy', async () => {
    expect((await post('/logging')).text).toBe('active loggers:\n  millrace: info\n')
    expect((await post('/logging?level=debug')).text).toContain('millrace: debug')
    expect((await post('/logging?level=warning')).text).toContain('millrace: warn')
    expect((await post('/logging?level=loud')).status).toBe(400)
    expect(target.log.level).toBe('warn')
  })
  it('answers 404 elsewhere', async () => {
    expect((await ask('/nothing')).status).toBe(404)
  })
})

describe('who may ask', () => {
  const evil = { origin: 'http://evil.example' }
  const refused: [string, Record<string, string>][] = [
    ['another origin', evil],
    ['no origin at all (a sandboxed page)', { origin: 'null' }],
    ['a name that can point anywhere', { host: 'evil.example' }],
    ['a name and its own origin', { host: 'evil.example', origin: 'http://evil.example' }],
    ['another site, by fetch metadata', { 'sec-fetch-site': 'cross-site' }],
    ['a name that only begins well', { host: 'localhost.evil.example' }],
  ]
  it.each(refused)('%s is refused', async (_what, headers) => {
    expect((await ask('/quitquitquit', 'POST', headers)).status).toBe(403)
    expect((await ask('/stats', 'GET', headers)).status).toBe(403)
    expect(target.calls).toEqual([])
  })
  it('its own page is not', async () => {
    const headers = { origin: server.url, 'sec-fetch-site': 'same-origin' }
    expect((await ask('/reset_counters', 'POST', headers)).status).toBe(200)
  })
  it.each(['localhost:9', 'x.localhost', '[::1]:9', '127.0.0.1'])(
    '%s is an own name',
    async (host) => {
      expect((await ask('/ready', 'GET', { host })).status).toBe(200)
    },
  )
})
