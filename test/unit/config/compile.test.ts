// From messages to what the native core takes: defaults, and every field that is built.
import { describe, expect, it } from 'vitest'
import type { NativeHttpManager, NativeTcpProxy } from '../../../src/native/index.ts'
import { bootstrap, compiled, said } from './helpers.ts'

async function manager(parts: Parameters<typeof bootstrap>[0] = {}): Promise<NativeHttpManager> {
  const filter = (await compiled(bootstrap(parts))).listeners[0]?.filterChains[0]?.filter
  if (filter?.kind !== 'http') throw new Error('no connection manager')
  return filter
}

/** Problems without their positions. */
const wrong = async (parts: Parameters<typeof bootstrap>[0]): Promise<string[]> =>
  (await said(bootstrap(parts))).map((line) =>
    line.replace(/^\d+:\d+ /, '').replace(/static_resources\S*\.typed_config/, '…'),
  )

describe('the connection manager', () => {
  it('has the defaults of Envoy', async () => {
    expect(await manager()).toEqual({
      kind: 'http',
      statPrefix: 'http',
      codec: 'auto',
      routes: expect.any(Number),
      serverName: 'envoy',
      serverHeader: 'overwrite',
      useRemoteAddress: false,
      xffTrustedHops: 0,
      skipXffAppend: false,
      appendXForwardedPort: false,
      internalAddresses: [],
      generateRequestId: true,
      preserveExternalRequestId: false,
      alwaysSetRequestIdInResponse: false,
      normalizePath: false,
      mergeSlashes: false,
      escapedSlashes: 'keep',
      underscores: 'allow',
      proxy100Continue: false,
      stripPort: 'none',
      stripTrailingDot: false,
      schemeOverwrite: '',
      via: '',
      addUserAgent: false,
      suppressEnvoyHeaders: false,
      idleTimeout: 3_600_000,
      streamIdleTimeout: 300_000,
      streamFlushTimeout: 300_000,
      requestTimeout: 0,
      requestHeadersTimeout: 0,
      delayedCloseTimeout: 1000,
      maxConnectionDuration: 0,
      drainTimeout: 5000,
      maxStreamDuration: 0,
      maxRequestsPerConnection: 0,
      maxRequestHeaderBytes: 61_440,
      maxHeaders: 100,
      acceptHttp10: false,
      defaultHostForHttp10: '',
      enableTrailers: false,
      allowAbsoluteUrl: true,
      headerCase: 'keep',
      halfCloseFlag: expect.any(Number),
      mostHeldFlag: expect.any(Number),
      filters: [],
      accessLogs: [],
    })
  })

  it('takes what is written', async () => {
    const text = `codec_type: HTTP1, server_name: mill, server_header_transformation: PASS_THROUGH,
      use_remote_address: true, xff_num_trusted_hops: 2, skip_xff_append: true,
      append_x_forwarded_port: true,
      internal_address_config: {cidr_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]},
      generate_request_id: false, preserve_external_request_id: true,
      always_set_request_id_in_response: true,
      normalize_path: true, merge_slashes: true,
      path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT,
      proxy_100_continue: true,
      strip_any_host_port: true,
      strip_trailing_host_dot: true, scheme_header_transformation: {scheme_to_overwrite: https},
      via: v,
      add_user_agent: true, stream_idle_timeout: 1s, request_timeout: 2s,
      request_headers_timeout: 3s,
      drain_timeout: 4s, delayed_close_timeout: 0s, max_request_headers_kb: 8,
      common_http_protocol_options: {idle_timeout: 5s, max_connection_duration: 6s,
      max_stream_duration: 7s,
        max_headers_count: 8, max_requests_per_connection: 9,
        headers_with_underscores_action: DROP_HEADER},
      http_protocol_options: {accept_http_10: true, default_host_for_http_10: h,
      enable_trailers: true,
        allow_absolute_url: false, header_key_format: {proper_case_words: {}}},`
    expect(await manager({ manager: text })).toMatchObject({
      codec: 'http1',
      serverName: 'mill',
      serverHeader: 'pass-through',
      useRemoteAddress: true,
      xffTrustedHops: 2,
      skipXffAppend: true,
      appendXForwardedPort: true,
      internalAddresses: [{ ip: '10.0.0.0', bits: 8 }],
      generateRequestId: false,
      preserveExternalRequestId: true,
      alwaysSetRequestIdInResponse: true,
      normalizePath: true,
      mergeSlashes: true,
      escapedSlashes: 'redirect',
      proxy100Continue: true,
      stripPort: 'any',
      stripTrailingDot: true,
      schemeOverwrite: 'https',
      via: 'v',
      addUserAgent: true,
      streamIdleTimeout: 1000,
      streamFlushTimeout: 1000,
      requestTimeout: 2000,
      requestHeadersTimeout: 3000,
      delayedCloseTimeout: 0,
      maxRequestHeaderBytes: 8192,
      idleTimeout: 5000,
      maxConnectionDuration: 6000,
      drainTimeout: 4000,
      maxStreamDuration: 7000,
      maxHeaders: 8,
      maxRequestsPerConnection: 9,
      underscores: 'drop',
      acceptHttp10: true,
      defaultHostForHttp10: 'h',
      enableTrailers: true,
      allowAbsoluteUrl: false,
      headerCase: 'proper-case',
      halfCloseFlag: expect.any(Number),
      mostHeldFlag: expect.any(Number),
    })
  })

  it('needs the router, once and last', async () => {
    const filters = (list: string) =>
      bootstrap().replace(/http_filters: \[[^\]]*\]/, `http_filters: [${list}]`)
    const router =
      '{name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.' +
      'router.v3.Router}}'
    expect((await said(filters(''))).join()).toMatch(
      /missing .*needs http_filters, of which the last is the router/,
    )
    expect((await said(filters('{name: envoy.filters.http.router}'))).join()).toMatch(
      /missing .*http_filters\[0\]: needs typed_config/,
    )
    expect((await said(filters(`${router}, ${router}`))).join()).toMatch(
      /conflict .*http_filters\[0\]: the router ends the chain/,
    )
  })
})

describe('access logs', () => {
  const log = (config: string, filter = '') =>
    `access_log: [{${filter} typed_config: {"@type": type.googleapis.com/envoy.extensions.` +
    `access_loggers.${config}}}],`

  it('go to files and to the standard streams', async () => {
    const logger = (config: string): string =>
      `{typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.${config}}}`
    const logs = [
      'file.v3.FileAccessLog, path: /a, format: "%DURATION%\\n"',
      'file.v3.FileAccessLog, path: /dev/stdout, json_format: {a: "%DURATION%"}',
      'stream.v3.StdoutAccessLog',
      'stream.v3.StderrAccessLog, ' +
        'log_format: {text_format_source: {inline_string: x}, omit_empty_values: true}',
    ]
    const text = `access_log: [${logs.map(logger).join()}],`
    const { accessLogs } = await manager({ manager: text })
    expect(accessLogs[0]?.format).toEqual({ mode: 'text', ops: [{ op: 'DURATION' }, '\n'] })
    expect(accessLogs[1]?.format).toEqual({
      mode: 'json',
      omitEmpty: false,
      root: { kind: 'object', entries: [['a', { kind: 'value', ops: [{ op: 'DURATION' }, ''] }]] },
    })
    expect(accessLogs[1]?.log).toBe(accessLogs[2]?.log)
    expect(accessLogs[2]?.format).toMatchObject({
      mode: 'text',
      ops: expect.arrayContaining([{ op: 'UPSTREAM_HOST' }, '"\n']),
    })
    expect(accessLogs[3]?.format).toEqual({ mode: 'text', ops: ['x'], omitEmpty: true })
  })

  it('are filtered', async () => {
    const filter = `filter: {and_filter: {filters: [
      {status_code_filter: {comparison: {op: GE, value: {default_value: 500, runtime_key: k}}}},
      {duration_filter: {comparison: {op: LE, value: {default_value: 5, runtime_key: l}}}},
      {or_filter: {filters: [{header_filter: {header: {name: X-A, present_match: false}}},
      {response_flag_filter: {flags: [UH, NR]}}]}}]}},`
    const { accessLogs } = await manager({ manager: log('stream.v3.StdoutAccessLog', filter) })
    expect(accessLogs[0]?.filter).toEqual({
      kind: 'and',
      filters: [
        { kind: 'status', op: 'ge', value: 500, flag: expect.any(Number) },
        { kind: 'duration', op: 'le', value: 5, flag: expect.any(Number) },
        {
          kind: 'or',
          filters: [
            { kind: 'header', header: { name: 'x-a', kind: 'present', present: false } },
            { kind: 'flag', flags: ['UH', 'NR'] },
          ],
        },
      ],
    })
  })

  it('are rotated as they say', async () => {
    const kRotating = 'millrace.access_loggers.rotating_file.v1.RotatingFileAccessLog'
    const rotating = (rotation: string): string =>
      `access_log: [{typed_config: {"@type": type.googleapis.com/${kRotating}, path: /a, ` +
      `log_format: {text_format_source: {inline_string: x}}, rotation: ${rotation}}}],`
    expect(await wrong({ manager: rotating('{max_bytes: 4096, keep: 3, gzip: true}') })).toEqual([])
    expect(await wrong({ manager: rotating('{interval: 900s}') })).toEqual([])
    expect(await wrong({ manager: rotating('{period: DAILY}') })).toEqual([])
    for (const [rotation, problem] of [
      ['{}', /missing .*rotation: needs max_bytes, period or interval/],
      ['{max_bytes: 4095}', /bad-value .*max_bytes: must be at least 4096/],
      ['{period: HOURLY, interval: 60s}', /conflict .*interval: does not go with period/],
      ['{period: WEEKLY}', /period/],
      ['{max_bytes: 4096, keep: 0}', /bad-value .*keep: is 1 or more/],
    ] as const) {
      const [found = ''] = await wrong({ manager: rotating(rotation) })
      expect(found, rotation).toMatch(problem)
    }
  })

  it('with a wrong format are refused at its character', async () => {
    const json = log(
      'stream.v3.StdoutAccessLog, log_format: {json_format: {a: {b: ["%DURATIN%"]}}}',
    )
    const [found] = await said(bootstrap({ manager: json }))
    expect(found).toMatch(
      /bad-value .*json_format\.a\.b\[0\]: no operator .* DURATIN \(did you mean "DURATION"\?\)/,
    )
    expect(
      await wrong({
        manager: log('stream.v3.StdoutAccessLog', 'filter: {runtime_filter: {runtime_key: a}},'),
      }),
    ).toEqual(['not-supported ….access_log[0].filter.runtime_filter: not supported yet'])
  })
})

describe('listeners', () => {
  it('have the defaults of Envoy', async () => {
    const { listeners } = await compiled(bootstrap())
    expect(listeners[0]).toMatchObject({
      name: 'main',
      addresses: [{ ip: '127.0.0.1', port: 8080 }],
      statPrefix: '127.0.0.1_8080',
      reusePort: true,
      backlog: 0,
      ipv4Compat: false,
      freebind: false,
      transparent: false,
      originalDst: false,
      bufferLimit: 1_048_576,
      connectionLimitFlag: expect.any(Number),
      drainType: 'default',
    })
  })

  it('have several addresses, chains by port, and TCP proxies', async () => {
    const tcp = (cluster: string) =>
      '{filters: [{name: t, typed_config: {"@type": type.googleapis.com/envoy.extensions.' +
      `filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, ${cluster}}}]`
    const text = bootstrap({
      listener: `additional_addresses: [{address: {pipe: {path: /run/x, mode: 384}}}],
        enable_reuse_port: false, tcp_backlog_size: 7,
        default_filter_chain: ${tcp('cluster: web, idle_timeout: 0s')}}, `,
    }).replace(
      'filter_chains: [',
      'filter_chains: ' +
        '[' +
        tcp('weighted_clusters: {clusters: [{name: web, weight: 2}]}, max_connect_attempts: 3') +
        ', filter_chain_match: {destination_port: 81}},',
    )
    const listener = (await compiled(text)).listeners[0]
    expect(listener).toMatchObject({
      addresses: [
        { ip: '127.0.0.1', port: 8080 },
        { path: '/run/x', mode: 384 },
      ],
      reusePort: false,
      backlog: 7,
      filterChains: [{ destinationPort: 81 }, { destinationPort: 0 }],
    })
    const proxies = [
      listener?.filterChains[0]?.filter,
      listener?.defaultFilterChain?.filter,
    ] as NativeTcpProxy[]
    expect(proxies).toEqual([
      {
        kind: 'tcp',
        statPrefix: 't',
        cluster: {
          kind: 'weighted',
          totalWeight: 2,
          clusters: [{ name: 'web', slot: expect.any(Number), weight: 2 }],
        },
        idleTimeout: 3_600_000,
        maxConnectAttempts: 3,
        maxDownstreamDuration: 0,
        mostHeldFlag: expect.any(Number),
        accessLogs: [],
      },
      {
        kind: 'tcp',
        statPrefix: 't',
        cluster: { kind: 'cluster', name: 'web', slot: expect.any(Number) },
        idleTimeout: 0,
        maxConnectAttempts: 1,
        maxDownstreamDuration: 0,
        mostHeldFlag: expect.any(Number),
        accessLogs: [],
      },
    ])
  })

  it('without what they need are refused', async () => {
    const chains = (text: string) =>
      '{static_resources: {listeners: [{name: a, address: {socket_address: {address: "::", ' +
      `port_value: 1}}, ${text}}]}}`
    expect((await said(chains(''))).join()).toMatch(/missing .*listeners\[0\]: needs filter_chains/)
    expect((await said(chains('filter_chains: [{}]'))).join()).toMatch(
      /missing .*needs a filter that serves the connection/,
    )
    expect((await said('{static_resources: {listeners: [{name: a}]}}')).join()).toMatch(
      /missing .*a listener needs an address/,
    )
    expect(
      (
        await said(
          bootstrap().replace(
            'address: 127.0.0.1, port_value: 8080',
            'address: localhost, port_value: 8080',
          ),
        )
      ).join(),
    ).toMatch(/bad-value .*"localhost" is not an IP address.*\(write 127\.0\.0\.1\)/)
  })

  it('have names and addresses of their own', async () => {
    const chain =
      '{"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, ' +
      'stat_prefix: t, cluster: web}'
    const more =
      ', {name: main, address: {socket_address: {address: 127.0.0.1, port_value: ' +
      `8080}}, filter_chains: [{filters: [{name: t, typed_config: ${chain}}]}]}`
    const text = bootstrap({ more })
    const found = (await said(text)).join('\n')
    expect(found).toMatch(/duplicate .*listeners\[1\]\.name: two listeners are called "main"/)
    expect(found).toMatch(
      /duplicate .*listeners\[1\]\.address: 127\.0\.0\.1:8080 is an address of the listener "main"/,
    )
  })

  it('of UDP and of TCP share a port: UDP is refused by name, and not as the other one', async () => {
    const more =
      ', {name: quic, address: {socket_address: {protocol: UDP, address: 127.0.0.1, ' +
      'port_value: 8080}}, udp_listener_config: {quic_options: {}}}'
    const found = (await said(bootstrap({ more }))).join('\n')
    expect(found).toMatch(/listeners\[1\]\.address\S*protocol: .*UDP/)
    expect(found).not.toContain('duplicate')
  })
})

describe('clusters', () => {
  it('have the defaults of Envoy', async () => {
    const { clusters } = await compiled(bootstrap())
    const breaker = {
      maxConnections: 1024,
      maxPendingRequests: 1024,
      maxRequests: 1024,
      maxRetries: 3,
      trackRemaining: false,
    }
    expect(clusters[0]?.cluster).toEqual({
      name: 'web',
      statName: 'web',
      hosts: [
        {
          address: { ip: '127.0.0.1', port: 3000 },
          hostname: '',
          weight: 1,
          priority: 0,
          locality: 0,
          health: 'healthy',
        },
      ],
      localities: [{ region: '', zone: '', subZone: '', weight: 0, priority: 0 }],
      lb: { policy: 'round-robin', overprovisioning: 140, panicThreshold: 50 },
      connectTimeout: 5000,
      idleTimeout: 3_600_000,
      maxConnectionDuration: 0,
      maxRequestsPerConnection: 0,
      bufferLimit: 1_048_576,
      maxResponseHeaderBytes: 81_920,
      maxResponseHeaders: 100,
      enableTrailers: false,
      breakers: { default: breaker, high: breaker },
      updateMergeWindow: 1000,
      ignoreHealthOnHostRemoval: false,
      ignoreNewHostsUntilFirstCheck: false,
    })
  })

  it('take what is written', async () => {
    const cluster = `alt_stat_name: s, connect_timeout: 1s, per_connection_buffer_limit_bytes: 5,
      circuit_breakers: {thresholds: [{max_requests: 1}, {priority: HIGH, max_connections: 2}]},
      upstream_connection_options: {tcp_keepalive: {keepalive_time: 10}},
      upstream_bind_config: {source_address: {address: 127.0.0.2, port_value: 0}},
      typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions,
        common_http_protocol_options: {idle_timeout: 2s, max_requests_per_connection: 3,
        max_headers_count: 4}, explicit_http_config: {http_protocol_options: {
        enable_trailers: true}}}},`
    expect((await compiled(bootstrap({ cluster }))).clusters[0]?.cluster).toMatchObject({
      statName: 's',
      connectTimeout: 1000,
      idleTimeout: 2000,
      maxRequestsPerConnection: 3,
      maxResponseHeaders: 4,
      enableTrailers: true,
      bufferLimit: 5,
      breakers: { default: { maxRequests: 1, maxConnections: 1024 }, high: { maxConnections: 2 } },
      keepalive: { idle: 10, interval: 75, probes: 9 },
      connect: { bind: [{ ip: '127.0.0.2', port: 0 }] },
    })
  })

  it('take how connections are made', async () => {
    const cluster = `preconnect_policy: {per_upstream_preconnect_ratio: 1.5,
      predictive_preconnect_ratio: 2}, connection_pool_per_downstream_connection: true,
      close_connections_on_host_health_failure: true,
      upstream_connection_options: {happy_eyeballs_config: {first_address_family_version: V6,
        first_address_family_count: 2}},
      upstream_bind_config: {source_address: {address: 127.0.0.2, port_value: 0}, freebind: true,
        extra_source_addresses: [{address: {address: "::1", port_value: 0}}],
        socket_options: [{level: 1, name: 8, int_value: 65536, state: STATE_PREBIND}]},
      transport_socket: {name: proxy, typed_config: {"@type": type.googleapis.com/envoy.
        extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport,
        config: {version: V2}, transport_socket: {name: raw, typed_config: {"@type":
        type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}}},`.replaceAll(
      /envoy\.\s+/g,
      'envoy.',
    )
    expect((await compiled(bootstrap({ cluster }))).clusters[0]?.cluster.connect).toEqual({
      perUpstreamPreconnect: 1.5,
      predictivePreconnect: 2,
      poolPerDownstream: true,
      closeOnHealthFailure: true,
      firstFamily: 'v6',
      firstFamilyCount: 2,
      bind: [
        { ip: '127.0.0.2', port: 0 },
        { ip: '::1', port: 0 },
      ],
      freebind: true,
      socketOptions: [{ level: 1, name: 8, value: Uint8Array.of(0, 0, 1, 0) }],
      proxyProtocol: 'v2',
    })
  })

  const refused: [cluster: string, expected: RegExp][] = [
    [
      'upstream_bind_config: {source_address: {address: 127.0.0.2, port_value: 0}, ' +
        'extra_source_addresses: [{address: {address: 127.0.0.3, port_value: 0}}]},',
      /bad-value .*extra_source_addresses: the addresses to bind must be of different IP versions/,
    ],
    [
      'upstream_bind_config: {socket_options: [{level: 1, name: 8, int_value: 4294967296}]},',
      /bad-value .*int_value: must fit into 32 bits/,
    ],
    [
      'preconnect_policy: {per_upstream_preconnect_ratio: 4},',
      /bad-value .*per_upstream_preconnect_ratio: must be/,
    ],
    [
      'lb_policy: CLUSTER_PROVIDED,',
      /bad-value .*lb_policy: is for clusters of a custom type and of type ORIGINAL_DST only/,
    ],
    ['connect_timeout: 0s,', /bad-value .*connect_timeout: must be more than 0s/],
    [
      'health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: ' +
        '1, custom_health_check: {name: redis}}],',
      /not-supported .*custom_health_check: not supported yet: only HTTP, TCP and gRPC/,
    ],
    [
      'transport_socket: {name: tls, typed_config: {"@type": type.googleapis.com/envoy.' +
        'extensions.transport_sockets.tls.v3.UpstreamTlsContext}},',
      /not-supported .*UpstreamTlsContext is not supported yet: connections are plain/,
    ],
    [
      'typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.' +
        'HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.' +
        'v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}},',
      /not-supported .*http2_protocol_options: not supported yet: HTTP\/2 is not built yet/,
    ],
    [
      'circuit_breakers: {thresholds: [{}, {}]},',
      /duplicate .*thresholds of priority DEFAULT are there twice/,
    ],
    [
      'circuit_breakers: {per_host_thresholds: [{max_retries: 1}]},',
      /not-supported .*max_retries: not supported for each host: only max_connections/,
    ],
  ]
  it('take the limits of breakers from the runtime first', async () => {
    const top = `layered_runtime: {layers: [{name: static, static_layer: {
      circuit_breakers.web.default.max_requests: 7, circuit_breakers: {web: {high: {
      max_connections: 0}}}}}]}`
    const cluster = 'circuit_breakers: {thresholds: [{max_requests: 1}]},'
    const { clusters } = await compiled(bootstrap({ cluster, top }))
    expect(clusters[0]?.cluster.breakers).toMatchObject({
      default: { maxRequests: 7, maxConnections: 1024 },
      high: { maxRequests: 1024, maxConnections: 0 },
    })
  })

  it('take limits for each host, budgets of retries, and their runtime keys', async () => {
    const top = `layered_runtime: {layers: [{name: static, static_layer: {
      circuit_breakers.web.high.retry_budget.budget_percent: 12.5,
      circuit_breakers.web.default.max_connection_pools: 9}}]}`
    const cluster = `circuit_breakers: {thresholds: [{max_connection_pools: 4,
      track_remaining: true, retry_budget: {budget_percent: {value: 50}}}],
      per_host_thresholds: [{max_connections: 6}]},`
    const { clusters } = await compiled(bootstrap({ cluster, top }))
    expect(clusters[0]?.cluster.breakers).toMatchObject({
      default: {
        maxConnectionPools: 9,
        maxConnectionsPerHost: 6,
        trackRemaining: true,
        retryBudget: { percent: 50, minConcurrency: 3 },
      },
      high: { retryBudget: { percent: 12.5, minConcurrency: 3 }, trackRemaining: false },
    })
    expect(clusters[0]?.cluster.breakers.high).not.toHaveProperty('maxConnectionsPerHost')
  })

  it.each(refused)('refuse %s', async (cluster, expected) => {
    const found = await said(bootstrap({ cluster }))
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(expected)
  })

  it('have names of their own, and addresses that are such', async () => {
    const cluster = (name: string, address: string) =>
      `{name: ${name}, load_assignment: {cluster_name: a, endpoints: [{lb_endpoints: ` +
      `[{endpoint: {address: {socket_address: {${address}}}}}]}]}}`
    const text =
      '{static_resources: {clusters: ' +
      `[${cluster('a', 'address: x.com, port_value: 1')}, ` +
      `${cluster('a', 'address: 127.0.0.1, port_value: 0')}]}}`
    expect(
      (await said(text)).map((line) => line.replace(/^\S+ /, '').replace(/static_resources\./, '')),
    ).toEqual([
      'bad-value clusters[0].load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.' +
        'socket_address.address: "x.com" is not an IP address; names are resolved in clusters ' +
        'of type STRICT_DNS and LOGICAL_DNS',
      'duplicate clusters[1].name: two clusters are called "a"',
      'bad-value clusters[1].load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.' +
        'socket_address.port_value: the port of an endpoint must not be 0',
    ])
  })
})

describe('the rest', () => {
  it('is compiled too', async () => {
    const top =
      'admin: {address: {pipe: {path: /run/admin}}}, node: {id: n, cluster: c, metadata: {a: ' +
      '1}}, stats_flush_interval: 2s'
    expect(await compiled(bootstrap({ top }))).toMatchObject({
      admin: { address: { path: '/run/admin' } },
      node: { id: 'n', cluster: 'c' },
      statsFlushInterval: 2000,
      histogramBounds: expect.arrayContaining([0.5, 3_600_000]),
    })
  })
})
