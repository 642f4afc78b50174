// What the types of a configuration take, and what they refuse; the compiler is the judge.

import { expect, it } from 'vitest'
import type { ReadableSlot } from '../../src/core.ts'
import type { EnvoyConfiguration, ProxyConfiguration, ShortConfiguration } from '../../src/index.ts'

const kHcm =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'

it('the short form', () => {
  const every: ShortConfiguration = {
    listen: [8080, 'unix:/run/a.sock'],
    routes: {
      '/': ['http://127.0.0.1:1', { url: new URL('http://127.0.0.1:2'), weight: 2 }],
      '/a': { to: 'app', timeout: '5s', strip_prefix: true, headers: { request: { a: null } } },
      '/b': { redirect: { to: 'https', status: 308 } },
      '/c': { respond: { status: 204 } },
    },
    hosts: { 'a.example': 'app', 'b.example': { routes: { '/': 3000 } } },
    upstreams: { app: { to: 3000, connect_timeout: '1s', max_requests: 10 } },
    timeouts: { idle: 'off', headers: 0 },
    access_log: { to: 'stdout', format: 'json' },
    admin: false,
  }
  // @ts-expect-error: needs routes or hosts
  const without: ShortConfiguration = { listen: 1 }
  // @ts-expect-error: no such key
  const unknown: ShortConfiguration = { listen: 1, routes: {}, rutes: {} }
  const redirect = { to: '/', status: 200 } as const
  // @ts-expect-error: a status that is no redirect's
  const status: ShortConfiguration = { listen: 1, routes: { '/': { redirect } } }
  expect([every, without, unknown, status]).toHaveLength(4)
})

it("Envoy's messages", () => {
  const good: EnvoyConfiguration = {
    static_resources: {
      listeners: [
        {
          name: 'main',
          address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
          filter_chains: [
            { filters: [{ name: 'http', typed_config: { '@type': kHcm, stat_prefix: 'main' } }] },
          ],
        },
      ],
      clusters: [{ name: 'app', type: 'STATIC', connect_timeout: '0.25s' }],
    },
  }
  // @ts-expect-error: a duration is a text
  const duration: EnvoyConfiguration = { stats_flush_interval: 5 }
  // @ts-expect-error: no such value of the enum
  const value: EnvoyConfiguration = { static_resources: { clusters: [{ type: 'STATISCH' }] } }
  // @ts-expect-error: no such field
  const field: EnvoyConfiguration = { static_resources: { cluster: [] } }
  expect([good, duration, value, field]).toHaveLength(4)
})

it('all that createProxy takes', () => {
  const all: ProxyConfiguration[] = [
    { listen: 1, routes: { '/': 2 } },
    { admin: { address: { pipe: { path: '/a' } } } },
    { file: 'a.yaml' },
    'listen: 1',
  ]
  // @ts-expect-error: no configuration
  const none: ProxyConfiguration = 7
  expect([...all, none]).toHaveLength(5)
})

it('what a slot gives is typed as frozen as it is', () => {
  type Value = { list: { n: number }[]; map: Map<string, { n: number }>; at: Date; data: Buffer }
  const read = (slot: ReadableSlot<Value>): void => {
    const value = slot.get()
    if (value === undefined) return
    // @ts-expect-error: frozen
    value.list = []
    // @ts-expect-error: frozen
    value.list.push({ n: 1 })
    // @ts-expect-error: frozen
    value.map.get('a').n = 1
    // @ts-expect-error: frozen
    value.map.set('a', { n: 1 })
    const at: Date = value.at
    const data: Buffer = value.data
    void [at, data]
  }
  void read
})
