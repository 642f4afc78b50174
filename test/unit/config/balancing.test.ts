import { describe, expect, it } from 'vitest'
import { isPrime } from '../../../src/config/compile/balancing.ts'
import { canonicalJson } from '../../../src/config/compile/endpoints.ts'
import type { CompiledRouteTable } from '../../../src/config/index.ts'
import type { NativeForward } from '../../../src/native/index.ts'
import { compiled, said, bootstrap as whole } from './helpers.ts'

const problemsOf = async (text: string): Promise<string> => (await said(text)).join('\n')

const lbOf = async (cluster: string) => (await clusterOf(cluster)).lb

async function clusterOf(cluster: string, assignment = '{cluster_name: web, endpoints: []}') {
  const { clusters } = await compiled(bootstrap(cluster, assignment))
  const first = clusters[0]
  if (!first) throw new Error('no cluster')
  return first.cluster
}

const bootstrap = (cluster: string, assignment = '{cluster_name: web, endpoints: []}'): string =>
  `static_resources: {clusters: [{name: web, load_assignment: ${assignment}, ${cluster}}]}`

const routes = (action: string): string => whole({ routes: `{match: {prefix: /}, ${action}}` })

function forward(tables: readonly CompiledRouteTable[]): NativeForward {
  const action = tables[0]?.table.virtualHosts[0]?.routes[0]?.action
  if (action?.kind !== 'forward') throw new Error('no forwarding route')
  return action
}

const newPolicy = (name: string, type: string, options = ''): string =>
  `load_balancing_policy: {policies: [{typed_extension_config: {name: ${name}, typed_config:
    {'@type': type.googleapis.com/envoy.extensions.load_balancing_policies.${name}.v3.${type}
    ${options && `, ${options}`}}}}]}`

const common = { overprovisioning: 140, panicThreshold: 50 }

describe('lb_policy', () => {
  it('takes each balancer with its options', async () => {
    expect(await lbOf('lb_policy: ROUND_ROBIN')).toEqual({ policy: 'round-robin', ...common })
    expect(await lbOf('lb_policy: RANDOM')).toEqual({ policy: 'random', ...common })
    expect(
      await lbOf(`round_robin_lb_config: {slow_start_config: {slow_start_window: 60s,
        aggression: {default_value: 2, runtime_key: k}, min_weight_percent: {value: 5}}}`),
    ).toMatchObject({ slowStart: { window: 60_000, aggression: 2, minWeightPercent: 5 } })
    expect(
      await lbOf(`lb_policy: LEAST_REQUEST, least_request_lb_config: {choice_count: 4,
        active_request_bias: {default_value: 0.5, runtime_key: k}}`),
    ).toEqual({ policy: 'least-request', choiceCount: 4, activeRequestBias: 0.5, ...common })
    expect(
      await lbOf(`lb_policy: RING_HASH, ring_hash_lb_config: {minimum_ring_size: 8,
        maximum_ring_size: 16, hash_function: MURMUR_HASH_2},
        common_lb_config: {consistent_hashing_lb_config: {use_hostname_for_hashing: true,
        hash_balance_factor: 120}}`),
    ).toEqual({
      policy: 'ring-hash',
      ringMin: 8,
      ringMax: 16,
      murmur: true,
      hashHostname: true,
      hashBalanceFactor: 120,
      ...common,
    })
    expect(await lbOf('lb_policy: MAGLEV, maglev_lb_config: {table_size: 251}')).toEqual({
      policy: 'maglev',
      maglevTableSize: 251,
      ...common,
    })
  })

  it('takes zone-aware routing from the cluster, or from the runtime', async () => {
    const zones = 'routing_enabled: {value: 49.6}, min_cluster_size: 3, fail_traffic_on_panic: true'
    const zoned = {
      zoneAware: { enabledPercent: 50, minClusterSize: 3 },
      failTrafficOnPanic: true,
      ...common,
    }
    expect(
      await lbOf(`lb_policy: RANDOM, common_lb_config: {zone_aware_lb_config: {${zones}}}`),
    ).toEqual({ policy: 'random', ...zoned })
    for (const [name, type, policy] of [
      ['round_robin', 'RoundRobin', 'round-robin'],
      ['random', 'Random', 'random'],
      ['least_request', 'LeastRequest', 'least-request'],
    ] as const) {
      const options = `locality_lb_config: {zone_aware_lb_config: {${zones}}}`
      expect(await lbOf(newPolicy(name, type, options))).toEqual({ policy, ...zoned })
    }
    const { clusters } = await compiled(`
layered_runtime: {layers: [{name: l, static_layer: {upstream.zone_routing.enabled: 7,
  upstream.zone_routing.min_cluster_size: 1}}]}
${bootstrap('common_lb_config: {zone_aware_lb_config: {}}')}`)
    expect(clusters[0]?.cluster.lb).toMatchObject({
      zoneAware: { enabledPercent: 7, minClusterSize: 1 },
    })
    for (const cluster of [
      'lb_policy: MAGLEV, common_lb_config: {zone_aware_lb_config: {}}',
      `common_lb_config: {zone_aware_lb_config: {}}, ${newPolicy('random', 'Random')}`,
    ]) {
      expect(await problemsOf(bootstrap(cluster))).toMatch(/zone_aware_lb_config.*is not read/)
    }
  })

  it('takes weights that hosts report', async () => {
    const name = 'client_side_weighted_round_robin'
    const type = 'ClientSideWeightedRoundRobin'
    const defaults = { blackout: 10_000, expiration: 180_000, errorPenalty: 1, updatePeriod: 1000 }
    expect(await lbOf(newPolicy(name, type))).toEqual({
      policy: 'round-robin',
      clientWeights: defaults,
      ...common,
    })
    const options = `blackout_period: 1s, weight_expiration_period: 2s, weight_update_period: 0.01s,
      error_utilization_penalty: 0, enable_oob_load_report: false`
    expect((await lbOf(newPolicy(name, type, options))).clientWeights).toEqual({
      blackout: 1000,
      expiration: 2000,
      errorPenalty: 0,
      updatePeriod: 100,
    })
    const refused = newPolicy(name, type, 'enable_oob_load_report: true')
    expect(await problemsOf(bootstrap(refused))).toMatch(/enable_oob_load_report.*not supported/)
  })

  const typed = (name: string, type: string, options = ''): string =>
    `{typed_extension_config: {name: a, typed_config: {${options && `${options},`}
      '@type': type.googleapis.com/envoy.extensions.load_balancing_policies.${name}.v3.${type}}}}`
  const policies = (...list: string[]): string =>
    `load_balancing_policy: {policies: [${list.join(', ')}]}`

  it('takes the first policy that it knows', async () => {
    const foreign = `{typed_extension_config: {name: a, typed_config:
      {'@type': type.googleapis.com/example.v1.Best, anything: 1}}}`
    const wrapped = `{typed_extension_config: {name: a, typed_config: {
      '@type': type.googleapis.com/xds.type.v3.TypedStruct,
      type_url: type.googleapis.com/example.v1.Best, value: {}}}}`
    const random = typed('random', 'Random')
    const robin = typed('round_robin', 'RoundRobin')
    expect(await lbOf(policies(foreign, wrapped, random, foreign, robin))).toEqual({
      policy: 'random',
      ...common,
    })
    expect(await lbOf(policies(typed('pick_first', 'PickFirst'), robin))).toMatchObject({
      policy: 'round-robin',
    })
    expect(await problemsOf(bootstrap(policies(foreign, wrapped)))).toMatch(/example\.v1\.Best/)
    expect(await problemsOf(bootstrap(policies(typed('pick_first', 'PickFirst'))))).toMatch(
      /PickFirst is not supported yet/,
    )
  })

  it('takes wrr_locality around what chooses among hosts', async () => {
    const inner = (policy: string): string =>
      policies(
        typed('wrr_locality', 'WrrLocality', `endpoint_picking_policy: {policies: [${policy}]}`),
      )
    expect(await lbOf(inner(typed('random', 'Random')))).toEqual({
      policy: 'random',
      localityWeighted: true,
      ...common,
    })
    const reports = typed('client_side_weighted_round_robin', 'ClientSideWeightedRoundRobin')
    expect(await lbOf(inner(reports))).toMatchObject({
      policy: 'round-robin',
      localityWeighted: true,
      clientWeights: { blackout: 10_000 },
    })
    for (const policy of [typed('maglev', 'Maglev'), typed('subset', 'Subset')]) {
      expect(await problemsOf(bootstrap(inner(policy)))).toMatch(
        /does not choose among the hosts of one locality|subset/,
      )
    }
    const redirect = `{typed_extension_config: {name: a, typed_config: {'@type':
      type.googleapis.com/envoy.extensions.internal_redirect.safe_cross_scheme.v3.SafeCrossSchemeConfig}}}`
    expect(await problemsOf(bootstrap(policies(redirect)))).toMatch(
      /SafeCrossSchemeConfig balances nothing/,
    )
  })

  it('takes what an assignment drops, of one category', async () => {
    const drops = (...percentages: string[]): string => {
      const list = percentages.map((p) => `{category: a, drop_percentage: ${p}}`)
      const policy = `{drop_overloads: [${list.join(', ')}]}`
      return bootstrap('lb_policy: RANDOM', `{cluster_name: web, endpoints: [], policy: ${policy}}`)
    }
    const { clusters } = await compiled(drops('{numerator: 29, denominator: TEN_THOUSAND}'))
    expect(clusters[0]?.cluster.lb.dropPerMillion).toBe(2900)
    const runtime = 'layered_runtime: {layers: [{name: l, static_layer: {'
    const limited = await compiled(
      `${runtime}load_balancing_policy.drop_overload_limit: 3}}]}\n${drops('{numerator: 29}')}`,
    )
    expect(limited.clusters[0]?.cluster.lb).toMatchObject({
      dropPerMillion: 290_000,
      dropLimitPerMillion: 30_000,
    })
    expect(await problemsOf(drops('{numerator: 1}', '{numerator: 2}'))).toMatch(
      /policy\.drop_overloads.*has 2 categories, may have one/,
    )
    expect(await problemsOf(drops('{numerator: 101}'))).toMatch(/numerator.*more than the whole/)
  })

  it('takes the local cluster, which must be there', async () => {
    const text = (name: string): string => `
node: {locality: {region: r, zone: a, sub_zone: s}}
cluster_manager: {local_cluster_name: ${name}}
${bootstrap('lb_policy: RANDOM')}`
    const { clusters, localCluster } = await compiled(text('web'))
    expect(localCluster).toEqual({
      slot: clusters[0]?.slot,
      node: { region: 'r', zone: 'a', subZone: 's', weight: 0, priority: 0 },
    })
    expect((await compiled(bootstrap('lb_policy: RANDOM'))).localCluster).toEqual({ slot: 0 })
    expect(await problemsOf(text('wab'))).toMatch(
      /cluster_manager\.local_cluster_name.*no cluster is called "wab".*web/s,
    )
  })

  it('refuses what cannot be, and options that nothing reads', async () => {
    expect(
      await problemsOf(
        bootstrap(`lb_policy: RING_HASH,
          ring_hash_lb_config: {minimum_ring_size: 9, maximum_ring_size: 8}`),
      ),
    ).toMatch(/maximum_ring_size.*the smallest ring, 9, is larger than the largest, 8/)
    expect(
      await problemsOf(bootstrap('lb_policy: MAGLEV, maglev_lb_config: {table_size: 100}')),
    ).toMatch(/table_size.*must be a prime number.*101/s)
    expect(
      await problemsOf(bootstrap('lb_policy: RANDOM, maglev_lb_config: {table_size: 251}')),
    ).toMatch(/maglev_lb_config.*MAGLEV/)
    expect(await problemsOf(bootstrap('lb_policy: LOAD_BALANCING_POLICY_CONFIG'))).toMatch(
      /lb_policy.*needs load_balancing_policy/,
    )
    expect(
      await problemsOf(
        bootstrap(`round_robin_lb_config: {slow_start_config: {slow_start_window: 60s,
          aggression: {default_value: 0, runtime_key: k}}}`),
      ),
    ).toMatch(/aggression.*above 0/)
  })
})

describe('load_balancing_policy', () => {
  it('takes each balancer with its options, and wins', async () => {
    const weighted = 'locality_lb_config: {locality_weighted_lb_config: {}}'
    expect(
      await lbOf(`lb_policy: RANDOM, ${newPolicy('round_robin', 'RoundRobin', weighted)}`),
    ).toEqual({ policy: 'round-robin', localityWeighted: true, ...common })
    expect(
      await lbOf(newPolicy('least_request', 'LeastRequest', 'selection_method: FULL_SCAN')),
    ).toEqual({ policy: 'least-request', fullScan: true, ...common })
    expect(await lbOf(newPolicy('random', 'Random'))).toEqual({ policy: 'random', ...common })
    expect(
      await lbOf(
        newPolicy(
          'ring_hash',
          'RingHash',
          'consistent_hashing_lb_config: {hash_balance_factor: 125}',
        ),
      ),
    ).toMatchObject({
      policy: 'ring-hash',
      ringMin: 1024,
      ringMax: 8_388_608,
      hashBalanceFactor: 125,
    })
    expect(
      await lbOf(newPolicy('maglev', 'Maglev', 'locality_weighted_lb_config: {}')),
    ).toMatchObject({ policy: 'maglev', maglevTableSize: 65_537, localityWeighted: true })
  })

  it('refuses what is not built, and options that only lb_policy reads', async () => {
    expect(await problemsOf(bootstrap(newPolicy('cluster_provided', 'ClusterProvided')))).toMatch(
      /ClusterProvided/,
    )
    expect(
      await problemsOf(
        bootstrap(`${newPolicy('random', 'Random')}, maglev_lb_config: {table_size: 251}`),
      ),
    ).toMatch(/maglev_lb_config.*load_balancing_policy/)
  })
})

describe('subsets', () => {
  it('are taken from both ways of writing them', async () => {
    const options = `fallback_policy: DEFAULT_SUBSET, default_subset: {stage: prod, n: 1},
      subset_selectors: [{keys: [stage], single_host_per_subset: true},
        {keys: [a, b], fallback_policy: KEYS_SUBSET, fallback_keys_subset: [a]}],
      locality_weight_aware: true, scale_locality_weight: true, panic_mode_any: true,
      metadata_fallback_policy: FALLBACK_LIST`
    const subsets = {
      fallback: 'default',
      defaultSubset: ['stage', '"prod"', 'n', '1'],
      selectors: [
        { keys: ['stage'], singleHost: true, fallback: 'not-defined' },
        { keys: ['a', 'b'], fallback: 'keys', fallbackKeys: ['a'] },
      ],
      localityWeightAware: true,
      scaleLocalityWeight: true,
      panicModeAny: true,
      fallbackList: true,
    }
    expect((await lbOf(`lb_subset_config: {${options}}`)).subsets).toEqual(subsets)
    const inner = newPolicy('random', 'Random').replace('load_balancing_policy', 'subset_lb_policy')
    expect(
      await lbOf(newPolicy('subset', 'Subset', `allow_redundant_keys: true, ${options}, ${inner}`)),
    ).toMatchObject({ policy: 'random', subsets: { ...subsets, allowRedundantKeys: true } })
    expect((await lbOf('lb_subset_config: {fallback_policy: ANY_ENDPOINT}')).subsets).toBe(
      undefined,
    )
  })

  it('refuse what cannot be', async () => {
    const selector = (text: string): Promise<string> =>
      problemsOf(bootstrap(`lb_subset_config: {subset_selectors: [{${text}}]}`))
    expect(await selector('keys: [a, b], single_host_per_subset: true')).toMatch(
      /single_host_per_subset.*exactly one key/,
    )
    expect(await selector('keys: [a], fallback_keys_subset: [a]')).toMatch(/KEYS_SUBSET only/)
    expect(await selector('keys: [a], fallback_policy: KEYS_SUBSET')).toMatch(
      /needs fallback_keys_subset/,
    )
    expect(
      await selector('keys: [a], fallback_policy: KEYS_SUBSET, fallback_keys_subset: [b]'),
    ).toMatch(/"b" is none of the keys/)
    expect(
      await selector('keys: [a], fallback_policy: KEYS_SUBSET, fallback_keys_subset: [a]'),
    ).toMatch(/must be fewer/)
  })

  it('are chosen by metadata of routes and of weighted clusters, which win', async () => {
    const { routeTables } = await compiled(
      routes(`route: {cluster: web, metadata_match: {filter_metadata: {envoy.lb:
          {stage: prod, fallback_list: [{version: 1}, {stage: test}]}}}}`),
    )
    expect(forward(routeTables).metadataMatch).toEqual({
      criteria: ['stage', '"prod"', 'fallback_list', '[{"version":1},{"stage":"test"}]'],
      variants: [
        ['stage', '"prod"', 'version', '1'],
        ['stage', '"test"'],
      ],
    })
    const weighted = await compiled(
      routes(`route: {metadata_match: {filter_metadata: {envoy.lb: {a: 1, b: 1}}},
          weighted_clusters: {clusters: [{name: web, weight: 1,
            metadata_match: {filter_metadata: {envoy.lb: {b: 2}}}}]}}`),
    )
    expect(forward(weighted.routeTables)).toMatchObject({
      metadataMatch: { criteria: ['a', '1', 'b', '1'] },
      cluster: { clusters: [{ metadataMatch: { criteria: ['a', '1', 'b', '2'] } }] },
    })
  })

  it('take a list for each of its elements with list_as_any', async () => {
    const endpoint = `{cluster_name: web, endpoints: [{lb_endpoints: [
      {endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}},
       metadata: {filter_metadata: {envoy.lb: {stage: [prod, test]}}}}]}]}`
    const { hosts } = await clusterOf(
      'lb_subset_config: {list_as_any: true, subset_selectors: [{keys: [stage]}]}',
      endpoint,
    )
    expect(hosts[0]?.metadata).toEqual([
      ...['stage', '["prod","test"]'],
      ...['stage', '"prod"'],
      ...['stage', '"test"'],
    ])
  })
})

describe('hash policies', () => {
  it('of routes', async () => {
    const { routeTables } = await compiled(
      routes(`route: {cluster: web, hash_policy: [
        {header: {header_name: X-User, regex_rewrite: {pattern: {regex: a}, substitution: b}}},
        {cookie: {name: c}, terminal: true},
        {cookie: {name: d, ttl: 1.5s, path: /p, attributes: [{name: Secure}]}},
        {connection_properties: {source_ip: true}}, {query_parameter: {name: q}}]}`),
    )
    expect(forward(routeTables).hashPolicies).toEqual([
      { kind: 'header', name: 'x-user', rewrite: expect.anything() },
      { kind: 'cookie', name: 'c', terminal: true },
      { kind: 'cookie', name: 'd', ttl: 1, path: '/p', attributes: [['Secure', '']] },
      { kind: 'source-ip' },
      { kind: 'query', name: 'q' },
    ])
    expect(
      await problemsOf(routes('route: {cluster: web, hash_policy: [{filter_state: {key: k}}]}')),
    ).toMatch(/filter_state.*not supported yet/)
  })
})

describe('endpoints', () => {
  it('have localities, priorities, health, weights and metadata', async () => {
    const { hosts, localities, lb } = await clusterOf(
      'common_lb_config: {healthy_panic_threshold: {value: 20}, locality_weighted_lb_config: {}}',
      `{cluster_name: web, policy: {overprovisioning_factor: 200, weighted_priority_health: true},
        endpoints: [
        {locality: {region: r, zone: a, sub_zone: s}, load_balancing_weight: 3, lb_endpoints: [
          {endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}},
           health_status: DEGRADED, load_balancing_weight: 5,
           metadata: {filter_metadata: {envoy.lb: {stage: prod, canary: true, n: [1, {b: 1, a: 2}]},
           other: {x: 1}}}}]},
        {priority: 2, lb_endpoints: [
          {endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 2}}},
           health_status: DRAINING}]}]}`,
    )
    expect(hosts).toEqual([
      {
        address: { ip: '127.0.0.1', port: 1 },
        hostname: '',
        weight: 5,
        priority: 0,
        locality: 0,
        health: 'degraded',
        canary: true,
        metadata: ['stage', '"prod"', 'canary', 'true', 'n', '[1,{"a":2,"b":1}]'],
      },
      {
        address: { ip: '127.0.0.1', port: 2 },
        hostname: '',
        weight: 1,
        priority: 2,
        locality: 1,
        health: 'unhealthy',
        status: 'draining',
      },
    ])
    expect(localities).toEqual([
      { region: 'r', zone: 'a', subZone: 's', weight: 3, priority: 0 },
      { region: '', zone: '', subZone: '', weight: 0, priority: 2 },
    ])
    expect(lb).toEqual({
      policy: 'round-robin',
      overprovisioning: 200,
      panicThreshold: 20,
      localityWeighted: true,
      weightedPriorityHealth: true,
    })
  })

  it('have weights whose sum is bounded', async () => {
    const endpoint = (port: number): string =>
      `{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ${port}}}},
        load_balancing_weight: 4294967295}`
    const assignment = `{cluster_name: web, endpoints: [{lb_endpoints: [${endpoint(1)}, ${endpoint(2)}]}]}`
    expect(await problemsOf(bootstrap('', assignment))).toMatch(
      /lb_endpoints.*sum up to more than 4294967295/,
    )
  })
})

it('knows prime numbers', () => {
  expect([0, 1, 2, 3, 4, 9, 25, 65_537, 5_000_011].filter(isPrime)).toEqual([
    2, 3, 65_537, 5_000_011,
  ])
})

it('writes JSON in one form', () => {
  expect(canonicalJson({ b: [null, true, 'x'], a: { d: 1, c: 2 } })).toBe(
    '{"a":{"c":2,"d":1},"b":[null,true,"x"]}',
  )
})
