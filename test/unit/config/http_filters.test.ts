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
