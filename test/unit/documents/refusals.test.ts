// What docs/limits.md says is not built is refused by name, with its place.

import { expect, it } from 'vitest'
import { page } from '../../support/pages.ts'
import { bootstrap, problems } from '../config/helpers.ts'

type Parts = NonNullable<Parameters<typeof bootstrap>[0]>

const type = (name: string): string => `type.googleapis.com/envoy.extensions.${name}`
const filter = (name: string): string => `{name: f, typed_config: {"@type": ${type(name)}}}, `

/** Words of the list, a configuration that asks for them, and the end of the path that is named. */
const asked: readonly (readonly [string, Parts, string])[] = [
  [
    'TLS',
    {
      cluster: `transport_socket: {name: tls, typed_config: {"@type": ${type('transport_sockets.tls.v3.UpstreamTlsContext')}}},`,
    },
    'typed_config',
  ],
  ['HTTP/2', { cluster: 'http2_protocol_options: {},' }, 'http2_protocol_options'],
  ['HTTP/3', { listener: 'udp_listener_config: {quic_options: {}},' }, 'udp_listener_config'],
  [
    'upgrades (WebSocket)',
    { manager: 'upgrade_configs: [{upgrade_type: websocket}],' },
    'upgrade_configs',
  ],
  ['control planes', { top: 'dynamic_resources: {lds_config: {ads: {}}}' }, 'dynamic_resources'],
  ['HTTP filters other than', { filters: filter('filters.http.lua.v3.Lua') }, 'typed_config'],
  ['rate limits', { filters: filter('filters.http.ratelimit.v3.RateLimit') }, 'typed_config'],
  ['authorization', { filters: filter('filters.http.ext_authz.v3.ExtAuthz') }, 'typed_config'],
  ['compression', { filters: filter('filters.http.compressor.v3.Compressor') }, 'typed_config'],
  ['tracing', { manager: 'tracing: {},' }, 'tracing'],
  [
    'listener filters other than `original_dst`',
    {
      listener: `listener_filters: [{name: t, typed_config: {"@type": ${type('filters.listener.tls_inspector.v3.TlsInspector')}}}],`,
    },
    'typed_config',
  ],
  [
    'the balancer `override_host`',
    {
      cluster: `load_balancing_policy: {policies: [{typed_extension_config: {name: o, typed_config: {"@type": ${type('load_balancing_policies.override_host.v3.OverrideHost')}}}}]},`,
    },
    '',
  ],
]

it.each(asked)('%s', async (words, parts, path) => {
  const [, list = ''] = /## Not built yet\n([\s\S]*?)\n## /.exec(page('docs/limits.md').text) ?? []
  expect(list).toContain(words)
  const found = await problems(bootstrap(parts))
  const refused = found.filter(({ code }) => ['not-supported', 'unknown-type'].includes(code))
  expect(refused.map((problem) => problem.path).join('\n'), JSON.stringify(found)).toContain(path)
  expect(refused.length).toBeGreaterThan(0)
  for (const { line, column, message } of refused) {
    expect(line * column).toBeGreaterThan(0)
    expect(message).not.toBe('')
  }
})
