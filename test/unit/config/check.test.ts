// The schema's checks: each kind of mistake is said at its place, with what to write instead.
import { describe, expect, it } from 'vitest'
import { bootstrap, load, problems, said } from './helpers.ts'

const kConnectionManager = 'static_resources.listeners[0].filter_chains[0].filters[0].typed_config'

/** Problems of a bootstrap with one thing changed, without positions. */
async function wrong(parts: Parameters<typeof bootstrap>[0]): Promise<string[]> {
  return (await said(bootstrap(parts))).map((line) =>
    line.replace(/^\d+:\d+ /, '').replace(kConnectionManager, '…'),
  )
}

describe('fields', () => {
  it("that are known may be in either of JSON's cases", async () => {
    const loaded = await load(bootstrap({ manager: 'xffNumTrustedHops: 2, add_user_agent: true,' }))
    const filter =
      loaded.bootstrap.static_resources?.listeners?.[0]?.filter_chains?.[0]?.filters?.[0]
    expect(filter?.typed_config).toMatchObject({ xff_num_trusted_hops: 2, add_user_agent: true })
  })

  const cases: [what: string, parts: Parameters<typeof bootstrap>[0], expected: string][] = [
    [
      'unknown',
      { manager: 'stat_prefx: a,' },
      'unknown-field ….stat_prefx: no such field in HttpConnectionManager (did you mean ' +
        '"stat_prefix"?)',
    ],
    [
      'of an older API',
      { routes: '{match: {prefix: /}, route: {cluster: web, host_rewrite: a}}' },
      'unknown-field ….route_config.virtual_hosts[0].routes[0].route.host_rewrite: no such ' +
        'field in RouteAction (did you mean "host_rewrite_literal"?)',
    ],
    [
      'written twice in two cases',
      { manager: 'xff_num_trusted_hops: 1, xffNumTrustedHops: 2,' },
      'duplicate ….xffNumTrustedHops: xff_num_trusted_hops is in this message twice',
    ],
    [
      'that are not built',
      { manager: 'local_reply_config: {body_format: {text_format: x}},' },
      'not-supported ….local_reply_config: not supported yet',
    ],
    [
      'that are not built, with a reason',
      { manager: 'upgrade_configs: [{upgrade_type: websocket}],' },
      'not-supported ….upgrade_configs: not supported yet: upgrades such as WebSocket are not ' +
        'built yet',
    ],
    [
      'of which some values are not built',
      { manager: 'codec_type: HTTP2,' },
      'not-supported ….codec_type: HTTP2 is not supported yet: ' +
        'HTTP/2 and HTTP/3 are not built yet',
    ],
    [
      'of the wrong type: a text for a number',
      { manager: 'xff_num_trusted_hops: many,' },
      'wrong-type ….xff_num_trusted_hops: is a whole number, not the text "many"',
    ],
    [
      'of the wrong type: a number for a text',
      { manager: 'server_name: 12,' },
      'wrong-type ….server_name: is a text, not 12 (write it in quotes: "12")',
    ],
    [
      'of the wrong type: a text for a boolean',
      { manager: 'merge_slashes: "true",' },
      'wrong-type ….merge_slashes: is true or false, not a text (write true without quotes)',
    ],
    [
      'of the wrong type: a map for a list',
      { manager: 'access_log: {},' },
      'wrong-type ….access_log: is a list, not a map',
    ],
    [
      'of the wrong type: a text for a message',
      { cluster: 'circuit_breakers: yes,' },
      'wrong-type static_resources.clusters[0].circuit_breakers: is a map of fields, not the ' +
        'text "yes"',
    ],
    [
      'that are negative',
      { manager: 'xff_num_trusted_hops: -1,' },
      'wrong-type ….xff_num_trusted_hops: must not be negative',
    ],
    [
      'with an unknown enum value',
      { cluster: 'lb_policy: ROUNDROBIN,' },
      'bad-value static_resources.clusters[0].lb_policy: is the text "ROUNDROBIN", must be one ' +
        'of ROUND_ROBIN, LEAST_REQUEST, RING_HASH, RANDOM, MAGLEV, CLUSTER_PROVIDED, ' +
        'LOAD_BALANCING_POLICY_CONFIG (did you mean "ROUND_ROBIN"?)',
    ],
    [
      'with a duration in other units',
      { cluster: 'connect_timeout: 250ms,' },
      'wrong-type static_resources.clusters[0].connect_timeout: is a duration such as 1.5s, ' +
        'not the text "250ms" (write 0.25s)',
    ],
    [
      'with a duration without a unit',
      { cluster: 'connect_timeout: 5,' },
      'wrong-type static_resources.clusters[0].connect_timeout: is a duration such as 1.5s, ' +
        'not 5 (write 5s)',
    ],
    [
      'that break a rule: range',
      { manager: 'max_request_headers_kb: 10000,' },
      'bad-value ….max_request_headers_kb: must be at most 8192',
    ],
    [
      'that break a rule: pattern',
      { routes: '{match: {path_separated_prefix: /a/}, route: {cluster: web}}' },
      'bad-value ….route_config.virtual_hosts[0].routes[0].match.path_separated_prefix: must ' +
        'match ^[^?#]+[^?#/]$',
    ],
    [
      'that break a rule: choice',
      { manager: 'scheme_header_transformation: {scheme_to_overwrite: ftp},' },
      'bad-value ….scheme_header_transformation.scheme_to_overwrite: must be one of http, https',
    ],
    [
      'that break a rule: header name',
      { manager: 'via: "a\\nb",' },
      'bad-value ….via: must not contain a line break or a NUL character',
    ],
    [
      'that exclude each other',
      { routes: '{match: {prefix: /, path: /a}, route: {cluster: web}}' },
      'conflict ….route_config.virtual_hosts[0].routes[0].match.path: excludes prefix, which ' +
        'is set here too',
    ],
    [
      'of which one is needed',
      { routes: '{match: {}, route: {cluster: web}}' },
      'missing ….route_config.virtual_hosts[0].routes[0].match: needs one of prefix, path, ' +
        'safe_regex, connect_matcher, path_separated_prefix, path_match_policy',
    ],
    [
      'that are needed',
      { routes: '{route: {cluster: web}}' },
      'missing ….route_config.virtual_hosts[0].routes[0]: needs match',
    ],
    [
      'of a base64 that is none',
      {
        routes: '{match: {prefix: /}, direct_response: {status: 200, body: {inline_bytes: "a!"}}}',
      },
      'wrong-type ….route_config.virtual_hosts[0].routes[0].direct_response.body.inline_bytes: ' +
        'is a text in base64',
    ],
  ]
  it.each(cases)('%s', async (_what, parts, expected) => {
    expect(await wrong(parts)).toEqual([expected])
  })

  it('that say nothing are no matter, built or not', async () => {
    const manager =
      'local_reply_config: null, append_local_overload: false, ' +
      'original_ip_detection_extensions: [],'
    expect(await wrong({ manager })).toEqual([])
  })

  it('wrappers say something even as zero', async () => {
    const manager = 'add_proxy_protocol_connection_state: false,'
    expect(await wrong({ manager })).toEqual([
      'not-supported ….add_proxy_protocol_connection_state: not supported yet',
    ])
  })

  it('in what is refused are checked, and refused once', async () => {
    const top =
      'dynamic_resources: {cds_config: {ads: {}, resource_api_version: V4}, ads_cnfig: {}}'
    expect(await wrong({ top })).toEqual([
      'not-supported dynamic_resources: not supported yet: xDS is not built yet',
      'bad-value dynamic_resources.cds_config.resource_api_version: is the text "V4", must be ' +
        'one of AUTO, V2, V3',
      'unknown-field dynamic_resources.ads_cnfig: no such field in Bootstrap.DynamicResources ' +
        '(did you mean "ads_config"?)',
    ])
  })

  it('that only name enum values in another case are taken, as Envoy takes them', async () => {
    expect(await wrong({ manager: 'codec_type: auto, merge_slashes: on,' })).toEqual([])
  })
})

describe('extensions', () => {
  const filters = (filter: string) =>
    '{static_resources: {listeners: [{address: {socket_address: {address: "::1", port_value: ' +
    `1}}, filter_chains: [{filters: [{name: a, typed_config: ${filter}}]}]}]}}`
  const cases: [filter: string, expected: RegExp][] = [
    ['{stat_prefix: a}', /missing .*typed_config: needs "@type"/],
    ['5', /wrong-type .*typed_config: is a map with "@type", not 5/],
    [
      '{"@type": type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProxy}',
      /not-supported .*typed_config\.@type: envoy\.\S*\.v3\.RedisProxy is not supported yet/,
    ],
    [
      '{"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxi, ' +
        'cluster: a}',
      /unknown-type .*: no message is called .* \(did you mean "envoy\.\S*\.v3\.TcpProxy"\?\)/,
    ],
    [
      '{"@type": type.googleapis.com/my.own.Filter}',
      /unknown-type .*: no message is called my\.own\.Filter/,
    ],
    [
      '{"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, ' +
        'cluster: a, stat: b}',
      /unknown-field .*typed_config\.stat: no such field in TcpProxy/,
    ],
  ]
  it.each(cases)('%s', async (filter, expected) => {
    expect((await said(filters(filter))).join('\n')).toMatch(expected)
  })

  it('may be wrapped in a TypedStruct', async () => {
    const wrapped =
      '{"@type": type.googleapis.com/xds.type.v3.TypedStruct, type_url: type.googleapis.' +
      'com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, value: {stat_prefix: a, ' +
      'cluster: b}}'
    const found = await said(filters(wrapped))
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(/bad-reference .*typed_config\.cluster: no cluster is called "b"$/)
  })
})

it('problems come in the order of the file, each with its line', async () => {
  const text =
    'static_resources:\n  clusters:\n  - name: a\n    typ: STATIC\n    connect_timeout: ' +
    '1m\nadmin:\n  adress: {}\n'
  const found = await problems(text)
  expect(found.map(({ line, column, source }) => [line, column, source])).toEqual([
    [4, 5, { text: '    typ: STATIC', length: 3 }],
    [5, 22, { text: '    connect_timeout: 1m', length: 2 }],
    [7, 3, { text: '  adress: {}', length: 6 }],
  ])
})
