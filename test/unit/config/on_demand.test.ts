// Clusters whose hosts are added as requests name them: what their configuration may say.
import { describe, expect, it } from 'vitest'
import type { ClusterDefinition } from '../../../src/config/index.ts'
import { compiled, said } from './helpers.ts'

const bootstrap = (...clusters: string[]): string =>
  `static_resources: {clusters: [${clusters.join(', ')}]}`

async function first(cluster: string): Promise<ClusterDefinition> {
  const { clusters } = await compiled(bootstrap(cluster))
  return clusters[0]?.cluster as ClusterDefinition
}

const originalDst = (fields = ''): string =>
  `{name: any, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED, ${fields}}`

describe('ORIGINAL_DST', () => {
  it("has Envoy's defaults", async () => {
    const { hosts, discovery, onDemand } = await first(originalDst())
    expect({ hosts, discovery, onDemand }).toEqual({
      hosts: [],
      discovery: { kind: 'original-dst', cleanupInterval: 5000 },
      onDemand: { kind: 'original-dst', wait: 5000, maxWaiting: 1024 },
    })
  })

  it('takes what it is told', async () => {
    const told = await first(
      originalDst(`connect_timeout: 2s, cleanup_interval: 0.25s,
        circuit_breakers: {thresholds: [{max_pending_requests: 7}]},
        original_dst_lb_config: {use_http_header: true, upstream_port_override: 8443}`),
    )
    expect(told.discovery).toEqual({ kind: 'original-dst', cleanupInterval: 250 })
    expect(told.onDemand).toEqual({
      kind: 'original-dst',
      wait: 2000,
      maxWaiting: 7,
      header: 'x-envoy-original-dst-host',
      port: 8443,
    })
    const named = await first(
      originalDst(`original_dst_lb_config: {use_http_header: true, http_header_name: X-To}`),
    )
    expect(named.onDemand?.header).toBe('x-to')
  })

  it('refuses what nothing reads, and what is not built', async () => {
    expect(await said(bootstrap('{name: any, type: ORIGINAL_DST}'))).toEqual([
      expect.stringContaining('chooses hosts by itself (lb_policy: CLUSTER_PROVIDED)'),
    ])
    expect(
      await said(bootstrap('{name: any, type: ORIGINAL_DST, lb_policy: ROUND_ROBIN}')),
    ).toEqual([expect.stringMatching(/clusters\[0\]\.lb_policy: .* chooses hosts by itself/)])
    expect(await said(bootstrap('{name: any, type: STATIC, lb_policy: CLUSTER_PROVIDED}'))).toEqual(
      [expect.stringContaining('is for clusters of a custom type and of type ORIGINAL_DST only')],
    )
    const conflict = (field: string): unknown => [expect.stringContaining(`.${field}: is`)]
    const refused = async (fields: string): Promise<string[]> =>
      said(bootstrap(originalDst(fields)))
    expect(await refused('load_assignment: {cluster_name: any}')).toEqual(
      conflict('load_assignment'),
    )
    expect(await refused('lb_subset_config: {subset_selectors: [{keys: [a]}]}')).toEqual(
      conflict('lb_subset_config'),
    )
    expect(await refused('maglev_lb_config: {table_size: 251}')).toEqual(
      conflict('maglev_lb_config'),
    )
    expect(await refused('common_lb_config: {healthy_panic_threshold: {value: 1}}')).toEqual(
      conflict('common_lb_config.healthy_panic_threshold'),
    )
    expect(await refused('original_dst_lb_config: {http_header_name: x}')).toEqual(
      conflict('original_dst_lb_config.http_header_name'),
    )
    expect(
      await refused('original_dst_lb_config: {use_http_header: true, http_header_name: "a b"}'),
    ).toEqual([expect.stringContaining('"a b" is no name of a header')])
    expect(await refused('original_dst_lb_config: {upstream_port_override: 0}')).toEqual([
      expect.stringContaining('must not be 0'),
    ])
    expect(
      await refused('original_dst_lb_config: {metadata_key: {key: k, path: [{key: p}]}}'),
    ).toEqual([expect.stringMatching(/metadata_key: not supported yet/)])
    expect(await refused('cleanup_interval: 0s')).toHaveLength(1)
    for (const field of ['cleanup_interval: 1s', 'original_dst_lb_config: {}']) {
      expect(await said(bootstrap(`{name: web, ${field}}`))).toEqual([
        expect.stringContaining('is read with type ORIGINAL_DST only'),
      ])
    }
  })

  it('is no part of an aggregate cluster', async () => {
    const config = 'envoy.extensions.clusters.aggregate.v3.ClusterConfig'
    const aggregate = `{name: both, lb_policy: CLUSTER_PROVIDED, cluster_type: {name: a,
      typed_config: {"@type": type.googleapis.com/${config}, clusters: [any]}}}`
    expect(await said(bootstrap(aggregate, originalDst()))).toEqual([
      expect.stringMatching(/clusters\[0\]: "any" adds hosts as requests name them/),
    ])
  })
})

const kExtensions = 'type.googleapis.com/envoy.extensions'

/** A forward proxy's cluster; its cache is `names` with these fields. */
const forward = (fields = '', more = '', name = 'any'): string =>
  `{name: ${name}, lb_policy: CLUSTER_PROVIDED, cluster_type: {name: d, typed_config: {
    "@type": ${kExtensions}.clusters.dynamic_forward_proxy.v3.ClusterConfig,
    dns_cache_config: {name: names, ${fields}}}}, ${more}}`

const listener = (cache: string): string => `{name: in,
  address: {socket_address: {address: 127.0.0.1, port_value: 1}},
  filter_chains: [{filters: [{name: h, typed_config: {
    "@type": ${kExtensions}.filters.network.http_connection_manager.v3.HttpConnectionManager,
    stat_prefix: in,
    route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [
      {match: {prefix: /}, route: {cluster: any}}]}]},
    http_filters: [
      {name: d, typed_config: {
        "@type": ${kExtensions}.filters.http.dynamic_forward_proxy.v3.FilterConfig, ${cache}}},
      {name: r, typed_config: {"@type": ${kExtensions}.filters.http.router.v3.Router}}]}}]}]}`

const both = (cache: string, cluster: string): string =>
  `static_resources: {listeners: [${listener(cache)}], clusters: [${cluster}]}`

describe('the dynamic forward proxy', () => {
  it("has Envoy's defaults", async () => {
    const { discovery, onDemand } = await first(forward())
    expect(discovery).toEqual({
      kind: 'forward-proxy',
      cache: {
        name: 'names',
        family: 'auto',
        resolver: { servers: [], serversAsFallback: false, search: true, routableOnly: false },
        refresh: 60_000,
        minRefresh: 5_000,
        queryTimeout: 5_000,
        hostTtl: 300_000,
        maxHosts: 1024,
        maxPending: 1024,
        preresolve: [],
      },
    })
    expect(onDemand).toEqual({ kind: 'forward-proxy', wait: 6_000, maxWaiting: 1024 })
  })

  it('takes what it is told', async () => {
    const { discovery } = await first(
      forward(`dns_lookup_family: V4_PREFERRED, dns_refresh_rate: 30s, dns_min_refresh_rate: 2s,
        host_ttl: 9s, max_hosts: 3, dns_query_timeout: 1s,
        dns_failure_refresh_rate: {base_interval: 1s},
        dns_cache_circuit_breaker: {max_pending_requests: 5},
        preresolve_hostnames: [{address: A.test, port_value: 80}, {address: "::1", port_value: 1}]`),
    )
    expect(discovery).toMatchObject({
      cache: {
        family: 'v4-preferred',
        refresh: 30_000,
        minRefresh: 2_000,
        failureRefresh: { base: 1_000, max: 10_000 },
        queryTimeout: 1_000,
        hostTtl: 9_000,
        maxHosts: 3,
        maxPending: 5,
        preresolve: ['a.test:80', '[::1]:1'],
      },
    })
  })

  it('has the same cache in its cluster and in its filter', async () => {
    expect(await said(both('dns_cache_config: {name: names}', forward()))).toEqual([])
    expect(await said(both('dns_cache_config: {name: others, max_hosts: 2}', forward()))).toEqual(
      [],
    )
    expect(await said(both('dns_cache_config: {name: names, max_hosts: 2}', forward()))).toEqual([
      expect.stringMatching(/another DNS cache "names" has other settings/),
    ])
    expect(await said(bootstrap(forward(), forward('host_ttl: 1s', '', 'other')))).toEqual([
      expect.stringMatching(/clusters\[1\].*another DNS cache "names" has other settings/),
    ])
    expect(await said(both('', forward()))).toEqual([expect.stringMatching(/dns_cache_config/)])
  })

  it('refuses what is not built, and what nothing reads', async () => {
    const later = async (cluster: string): Promise<string> =>
      (await said(bootstrap(cluster))).join()
    expect(await later(forward('key_value_config: {config: {name: k}}'))).toMatch(
      /key_value_config: not supported yet/,
    )
    expect(await later(forward('', 'load_assignment: {cluster_name: any}'))).toMatch(
      /load_assignment: is not read/,
    )
    expect(await later(forward().replace('lb_policy: CLUSTER_PROVIDED, ', ''))).toMatch(
      /a dynamic forward proxy chooses hosts by itself/,
    )
    expect(await later(forward('preresolve_hostnames: [{address: a, port_value: 0}]'))).toMatch(
      /needs port_value/,
    )
    const sub = forward().replace(/dns_cache_config: \{[^}]*\}/, 'sub_clusters_config: {}')
    expect(await later(sub)).toMatch(/sub_clusters_config: not supported yet/)
    const saved = both('dns_cache_config: {name: names}, save_upstream_address: true', forward())
    expect((await said(saved)).join()).toMatch(/save_upstream_address: not supported yet/)
  })
})
