// The chain of HTTP filters, and what routes tell them.
import { describe, expect, it } from 'vitest'
import { bootstrap, compiled, said } from './helpers.ts'

const kTypes = 'type.googleapis.com/envoy.extensions.filters.http'
const kUnbuilt = `{"@type": ${kTypes}.wasm.v3.Wasm}`
const kRouter = `{"@type": ${kTypes}.router.v3.Router}`

describe('the chain of HTTP filters', () => {
  it('refuses a filter that is not built, by the name of its message', async () => {
    const found = await said(bootstrap({ filters: `{name: a, typed_config: ${kUnbuilt}},` }))
    expect(found).toHaveLength(1)
    expect(found[0]).toContain('envoy.extensions.filters.http.wasm.v3.Wasm is not supported yet')
  })

  it.each([kUnbuilt, '{"@type": type.googleapis.com/of.another.Proxy, anything: 1}'])(
    'leaves %s out where it is optional',
    async (config) => {
      const filters = `{name: a, is_optional: true, typed_config: ${config}},`
      const { listeners } = await compiled(bootstrap({ filters }))
      expect(listeners[0]?.filterChains[0]?.filter).toMatchObject({ kind: 'http', filters: [] })
    },
  )

  it('refuses it all the same where is_optional is false', async () => {
    const filters = `{name: a, is_optional: false, typed_config: ${kUnbuilt}},`
    expect(await said(bootstrap({ filters }))).toHaveLength(1)
  })

  it('has the router at its end only, under a name of its own, and never disabled', async () => {
    const first = `{name: router, disabled: true, typed_config: ${kRouter}},`
    expect((await said(bootstrap({ filters: first }))).map((line) => line.split(' ')[1])).toEqual([
      'conflict',
      'conflict',
      'duplicate',
    ])
  })
})

const kConfig = 'type.googleapis.com/envoy.config.route.v3.FilterConfig'
const kStates = 'type.googleapis.com/envoy.extensions.http.stateful_session'
const kSession = `${kTypes}.stateful_session.v3.StatefulSession`
const header = (name: string) =>
  `session_state: {name: s, typed_config: {"@type": ${kStates}.header.v3.HeaderBasedSessionState,
    name: ${name}}}`
const cookie = (fields: string) =>
  `session_state: {name: s, typed_config: {"@type": ${kStates}.cookie.v3.CookieBasedSessionState,
    cookie: {${fields}}}}`
/** Two filters of sessions, a and b; b is disabled. */
const twoFilters = `{name: a, typed_config: {"@type": ${kSession}, ${header('x-a')}}},
  {name: b, disabled: true, typed_config: {"@type": ${kSession}, ${header('x-b')}}},`

describe('what routes tell filters', () => {
  const per = (name: string, config: string) => `typed_per_filter_config: {${name}: ${config}}`
  const own = (name: string) =>
    `{"@type": ${kSession}PerRoute, stateful_session: {${header(name)}}}`
  const withRoute = (name: string, config: string) =>
    bootstrap({
      filters: twoFilters,
      routes: `{match: {prefix: /}, route: {cluster: web}, ${per(name, config)}}`,
    })

  it('needs a filter of that name', async () => {
    const [problem, more] = await said(withRoute('rooter', `{"@type": ${kConfig}, disabled: true}`))
    expect(problem).toMatch(/bad-reference .*\.rooter: no HTTP filter .* is called "rooter"/)
    expect(problem).toContain('router')
    expect(more).toBeUndefined()
  })

  it('is left out where it is optional', async () => {
    const text = withRoute('gone', `{"@type": ${kConfig}, is_optional: true, config: ${kUnbuilt}}`)
    const { routeTables } = await compiled(text)
    expect(routeTables[0]?.table.virtualHosts[0]?.routes[0]?.filters).toBeUndefined()
  })

  it.each([
    ['router', `{"@type": ${kConfig}, disabled: true}`, 'the router takes nothing from routes'],
    ['a', kUnbuilt, 'envoy.extensions.filters.http.wasm.v3.Wasm is not supported yet'],
    ['a', `{"@type": ${kConfig}, config: ${kUnbuilt}}`, 'Wasm is not supported yet'],
    ['a', `{"@type": ${kConfig}}`, 'needs config, or disabled: true'],
    ['a', `{"@type": ${kConfig}, config: {"@type": ${kConfig}}}`, 'not supported yet'],
    ['a', `{"@type": ${kSession}PerRoute}`, 'needs one of disabled, stateful_session'],
    ['a', `{"@type": ${kSession}PerRoute, disabled: false}`, 'must be true'],
    ['a', `{"@type": ${kSession}}`, 'not supported yet'],
  ])('to %s: %s is refused', async (name, config, text) => {
    const problems = await said(withRoute(name, config))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(text)
  })

  it('holds where it is most specific, and from above where a level says nothing', async () => {
    const text = bootstrap({
      filters: twoFilters,
      table: `, ${per('a', own('x-table'))}`,
      hosts: `[
        {name: plain, domains: [plain], routes: [{match: {prefix: /}, route: {cluster: web}}]},
        {name: all, domains: ["*"], ${per('b', own('x-host'))}, routes: [
          {match: {prefix: /1}, direct_response: {status: 200},
           ${per('a', `{"@type": ${kConfig}, disabled: true}`)}},
          {match: {prefix: /2}, route: {cluster: web}, ${per('b', own('x-route'))}},
          {match: {prefix: /3}, route: {weighted_clusters: {clusters: [
             {name: web, weight: 1},
             {name: web, weight: 1, ${per('a', own('x-cluster'))}}]}}}]}]`,
    })
    const { listeners, routeTables } = await compiled(text)
    const manager = listeners[0]?.filterChains[0]?.filter
    if (manager?.kind !== 'http') throw new Error('no connection manager')
    const [a, b] = manager.filters.map((filter) => filter.id)
    expect(manager.filters).toMatchObject([{ name: 'a' }, { name: 'b', disabled: true }])
    const table = routeTables[0]?.table
    const names = table?.filterConfigs?.map((config) =>
      config.kind === 'stateful-session' ? config.session?.name : undefined,
    )
    expect(names).toEqual(['x-table', 'x-host', 'x-route', 'x-cluster'])
    const [plain, all] = table?.virtualHosts ?? []
    expect(plain?.routes[0]?.filters).toEqual([{ filter: a, config: 0 }])
    expect(all?.routes.map((route) => route.filters)).toEqual([
      [
        { filter: a, disabled: true, config: 0 },
        { filter: b, config: 1 },
      ],
      [
        { filter: a, config: 0 },
        { filter: b, config: 2 },
      ],
      [
        { filter: a, config: 0 },
        { filter: b, config: 1 },
      ],
    ])
    expect(all?.routes[2]?.action).toMatchObject({
      cluster: {
        clusters: [
          { name: 'web' },
          {
            filters: [
              { filter: a, config: 3 },
              { filter: b, config: 1 },
            ],
          },
        ],
      },
    })
  })

  it('may be no more than that the filter is there', async () => {
    const { routeTables } = await compiled(withRoute('b', `{"@type": ${kConfig}, config: {}}`))
    const filters = routeTables[0]?.table.virtualHosts[0]?.routes[0]?.filters
    expect(filters).toEqual([{ filter: expect.any(Number) }])
    expect(routeTables[0]?.table.filterConfigs).toBeUndefined()
  })
})

describe('stateful sessions', () => {
  const filter = (fields: string) =>
    bootstrap({ filters: `{name: a, typed_config: {"@type": ${kSession}, ${fields}}},` })
  const session = async (fields: string) => {
    const { listeners } = await compiled(filter(fields))
    const manager = listeners[0]?.filterChains[0]?.filter
    return manager?.kind === 'http' ? manager.filters[0]?.config : undefined
  }

  it.each([
    ['', { state: 'none' }],
    [header('X-Session'), { state: 'header', name: 'x-session' }],
    [`${header('x')}, strict: true`, { state: 'header', name: 'x', strict: true }],
    [cookie('name: host'), { state: 'cookie', name: 'host' }],
    [
      cookie('name: host, ttl: 90.5s, path: /shop'),
      { state: 'cookie', name: 'host', ttl: 90, path: '/shop' },
    ],
    [cookie('name: host, ttl: 0s'), { state: 'cookie', name: 'host' }],
  ])('%s', async (fields, expected) => {
    expect(await session(fields)).toEqual({ kind: 'stateful-session', ...expected })
  })

  it.each([
    ['session_state: {name: s}', 'needs typed_config'],
    [header('""'), 'name'],
    [header('"a b"'), 'is no name of a header field'],
    [cookie('path: /'), 'needs name'],
    [cookie('name: "a=b"'), 'is no name of a cookie'],
    [cookie('name: a, path: "/;x"'), 'no cookie can have'],
    [
      `session_state: {name: s, typed_config: {"@type":
        ${kStates}.envelope.v3.EnvelopeSessionState}}`,
      'envelope.v3.EnvelopeSessionState is not supported yet',
    ],
    [
      `session_state: {name: s, typed_config: {"@type":
        type.googleapis.com/envoy.extensions.load_balancing_policies.random.v3.Random}}`,
      'keeps no sessions',
    ],
  ])('%s is refused', async (fields, text) => {
    const problems = await said(filter(fields))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(text)
  })

  it.each([
    ['', undefined],
    ['common_lb_config: {override_host_status: {statuses: []}},', 0],
    ['common_lb_config: {override_host_status: {statuses: [UNKNOWN, DRAINING]}},', 0b1001],
    ['common_lb_config: {override_host_status: {statuses: [HEALTHY, DEGRADED]}},', 0b100010],
  ])('of the cluster: %s', async (cluster, expected) => {
    const { clusters } = await compiled(bootstrap({ cluster }))
    expect(clusters[0]?.cluster.lb.overrideStatuses).toBe(expected)
  })
})

/** The compiled form of the only filter, which is of this type and says this. */
async function compiledFilter(type: string, fields: string): Promise<unknown> {
  const { listeners } = await compiled(oneFilter(type, fields))
  const manager = listeners[0]?.filterChains[0]?.filter
  return manager?.kind === 'http' ? manager.filters[0]?.config : undefined
}

function oneFilter(type: string, fields: string): string {
  return bootstrap({ filters: `{name: a, typed_config: {"@type": ${kTypes}.${type}, ${fields}}},` })
}

const plain = (value: number) => ({ value, flag: -1 })

describe('admission control', () => {
  const kType = 'admission_control.v3.AdmissionControl'

  it('has the defaults of Envoy', async () => {
    expect(await compiledFilter(kType, 'success_criteria: {}')).toEqual({
      kind: 'admission-control',
      enabled: plain(1),
      httpSuccess: [[0, 500]],
      grpcSuccess: 0x11aef,
      windowSeconds: 30,
      aggression: plain(1),
      threshold: plain(95),
      rpsThreshold: plain(0),
      mostRejected: plain(80),
    })
  })

  it('takes what is written', async () => {
    const flag = { value: expect.any(Number), flag: expect.any(Number) }
    const fields = `success_criteria: {
        http_criteria: {http_success_status: [{start: 200, end: 300}, {start: 404, end: 405}]},
        grpc_criteria: {grpc_success_status: [0, 4, 16]}},
      enabled: {default_value: false, runtime_key: a.enabled}, sampling_window: 10.6s,
      aggression: {default_value: 2.5, runtime_key: a.aggression},
      sr_threshold: {default_value: {value: 90}, runtime_key: a.threshold},
      rps_threshold: {default_value: 7, runtime_key: a.rps},
      max_rejection_probability: {default_value: {value: 60}, runtime_key: a.most}`
    const filter = await compiledFilter(kType, fields)
    expect(filter).toEqual({
      kind: 'admission-control',
      enabled: { ...flag, value: 0 },
      httpSuccess: [
        [200, 300],
        [404, 405],
      ],
      grpcSuccess: 0x10011,
      windowSeconds: 11,
      aggression: { ...flag, value: 2.5 },
      threshold: { ...flag, value: 90 },
      rpsThreshold: { ...flag, value: 7 },
      mostRejected: { ...flag, value: 60 },
    })
    expect(JSON.stringify(filter)).not.toContain('"flag":-1')
  })

  it("takes a range without a status, as of the example in Envoy's documents", async () => {
    const fields = `success_criteria: {http_criteria: {http_success_status:
      [{start: 100, end: 400}, {start: 404, end: 404}]}}`
    const { httpSuccess } = (await compiledFilter(kType, fields)) as { httpSuccess: unknown }
    expect(httpSuccess).toEqual([
      [100, 400],
      [404, 404],
    ])
  })

  it.each([
    ['', 'needs one of success_criteria'],
    ['success_criteria: {}, sampling_window: 0.4s', 'must be from 1 to 3600 whole seconds'],
    ['success_criteria: {}, sampling_window: 3601s', 'must be from 1 to 3600 whole seconds'],
    [
      'success_criteria: {}, sr_threshold: {default_value: {value: 0.5}, runtime_key: a}',
      'must be at least 1 percent',
    ],
    [
      'success_criteria: {}, sr_threshold: {default_value: {value: 101}, runtime_key: a}',
      'must be at most 100',
    ],
    ['success_criteria: {}, enabled: {runtime_key: a}', 'needs default_value'],
    ['success_criteria: {http_criteria: {}}', 'needs http_success_status'],
    [
      'success_criteria: {http_criteria: {http_success_status: [{start: 99, end: 300}]}}',
      'no range of status codes',
    ],
    [
      'success_criteria: {http_criteria: {http_success_status: [{start: 301, end: 300}]}}',
      'no range of status codes',
    ],
    ['success_criteria: {grpc_criteria: {grpc_success_status: [0, 17]}}', 'is no gRPC status'],
  ])('%s is refused', async (fields, text) => {
    const problems = await said(oneFilter(kType, fields))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(text)
  })
})

describe('adaptive concurrency', () => {
  const kType = 'adaptive_concurrency.v3.AdaptiveConcurrency'
  const needed = (limit = '', measuring = '', more = '') =>
    `gradient_controller_config: {${more}
      concurrency_limit_params: {concurrency_update_interval: 0.1s, ${limit}},
      min_rtt_calc_params: {interval: 60s, ${measuring}}}`

  it('has the defaults of Envoy, and the flags of its names', async () => {
    const names = new Map<number, unknown>()
    const { listeners } = await compiled(oneFilter(kType, needed()), names)
    const manager = listeners[0]?.filterChains[0]?.filter
    const filter = manager?.kind === 'http' ? manager.filters[0]?.config : undefined
    if (filter?.kind !== 'adaptive-concurrency') throw new Error('no such filter')
    const values = Object.entries(filter.gradient).map(([name, { value, flag }]) => [
      name,
      [value, String(names.get(flag)).replace(/^runtime .*gradient_controller\./, '')],
    ])
    expect(Object.fromEntries(values)).toEqual({
      percentile: [50, 'sample_aggregate_percentile'],
      mostConcurrency: [1000, 'max_concurrency_limit'],
      updateEvery: [100, 'sample_rtt_calc_interval_ms'],
      measureEvery: [60_000, 'min_rtt_calc_interval_ms'],
      requests: [50, 'min_rtt_aggregate_request_count'],
      jitter: [15, 'jitter'],
      leastConcurrency: [3, 'min_concurrency'],
      buffer: [25, 'min_rtt_buffer'],
    })
    expect(filter).toMatchObject({ enabled: plain(1), exceededStatus: 503 })
  })

  it('takes what is written', async () => {
    const fields = `${needed(
      'max_concurrency_limit: 9',
      'request_count: 8, jitter: {value: 7}, min_concurrency: 6, buffer: {value: 5}',
      'sample_aggregate_percentile: {value: 90},',
    )}, enabled: {default_value: false, runtime_key: b}`
    expect(await compiledFilter(kType, fields)).toMatchObject({
      enabled: { value: 0 },
      gradient: {
        percentile: { value: 90 },
        mostConcurrency: { value: 9 },
        requests: { value: 8 },
        jitter: { value: 7 },
        leastConcurrency: { value: 6 },
        buffer: { value: 5 },
      },
    })
  })

  it.each([
    ['TooManyRequests', 429],
    ['OK', 503],
    ['Found', 503],
    ['GatewayTimeout', 504],
  ])('answers %s as %i', async (code, status) => {
    const fields = `${needed()}, concurrency_limit_exceeded_status: {code: ${code}}`
    expect(await compiledFilter(kType, fields)).toMatchObject({ exceededStatus: status })
  })

  it.each([
    ['', 'needs one of gradient_controller_config'],
    [needed('max_concurrency_limit: 0'), 'must be more than 0'],
    [needed('', 'min_concurrency: 0'), 'must be more than 0'],
    [needed('', 'request_count: 0'), 'must be more than 0'],
    [needed('', 'jitter: {value: 101}'), 'must be at most 100'],
    [
      `gradient_controller_config: {min_rtt_calc_params: {interval: 1s},
        concurrency_limit_params: {}}`,
      'needs concurrency_update_interval',
    ],
    [
      `gradient_controller_config: {min_rtt_calc_params: {interval: 0.0001s},
        concurrency_limit_params: {concurrency_update_interval: 1s}}`,
      'must be at least',
    ],
    [`${needed()}, concurrency_limit_exceeded_status: {code: 0}`, 'code'],
  ])('%s is refused', async (fields, text) => {
    const problems = await said(oneFilter(kType, fields))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(text)
  })
})
