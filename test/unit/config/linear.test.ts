// Whoever writes a text that the main thread reads must not be able to stop it: time grows with the
// length of the text, whatever is in it, and depth has an end that is said.

import { describe, expect, it } from 'vitest'
import { readAssignments } from '../../../src/config/index.ts'
import { kMiB, kPumpsLong, linear, list, text } from './linear_time.ts'

describe('JSON', () => {
  const starts = ['{"', '{"listen": "', '{"listen": "\\u00', '[', '{"a": ', '{"a": [1, ']
  it('with a string without an end takes the time of its length', async () => {
    for (const start of starts) {
      for (const pump of ['a', '\\n', '\\', 'é', '\\u0041', ' ', '1', 'a\\n']) {
        await linear(`${start} ${pump}`, 64 * 1024, (length) =>
          text('x.json', start + pump.repeat(length / pump.length)),
        )
      }
    }
  })

  it('with a tab, or an escape that is none, at the end of a long string', async () => {
    for (const end of ['\t"}', '\\x"}', '\u0000"}', '\\u12"}', '"', '"}}', '" "']) {
      await linear(end, kMiB / 4, (length) => text('x.json', `{"a": "${'a'.repeat(length)}${end}`))
    }
  })
})

describe('YAML', () => {
  const atoms = [
    '[',
    '{',
    '- ',
    '-\n',
    'a: ',
    'a:\n',
    '? ',
    '&a ',
    '*a ',
    '!a ',
    '"',
    "'",
    '#',
    '\n',
    ' ',
    '| ',
    '---\n',
    'a\n',
  ]
  const more = [
    '[a,',
    '{a:',
    ',',
    ':',
    '<<: *a\n',
    '[],',
    '}',
    ' a\n',
    'a\n\n',
    '- |\n a\n',
    '\t',
    '%a\n',
    '"\n',
    'a: b\n',
    '\\',
  ]
  it('takes the time of its length, whatever it repeats', async () => {
    for (const atom of [...atoms, ...more]) {
      for (const start of ['', 'a: ', '"', 'a: |\n ']) {
        await linear(`${start} ${atom}`, 16 * 1024, (length) =>
          text('x.yaml', start + atom.repeat(length / atom.length)),
        )
      }
    }
  })

  it('and JSON end with an error that says how deep is too deep', async () => {
    const deep = (open: string, close: string, n: number): string =>
      `{"x": ${open.repeat(n)}1${close.repeat(n)}}`
    for (const [open, close] of [
      ['[', ']'],
      ['{"a": ', '}'],
      ['[{"a": ', '}]'],
      ['{a: [', ']}'],
      ['- ', ''],
      ['? ', ''],
    ] as const) {
      for (const n of [101, 5_000, 100_000]) {
        const error = String(await text('x.yaml', deep(open, close, n)))
        if (open.includes('"') || open === '[')
          expect(error).toMatch(/x\.yaml:1:\d+: .*deeper than 100 levels/)
        else expect(error).toMatch(/x\.yaml:1:\d+: /)
      }
      expect(String(await text('x.yaml', deep(open, close, 20)))).not.toContain('levels')
    }
    const lines = Array.from({ length: 300 }, (_, i) => `${' '.repeat(i)}a:\n`).join('')
    expect(String(await text('x.yaml', lines))).toMatch(/x\.yaml:\d+:\d+: nested deeper than 100/)
  })
})

/** A configuration with a text in one of its fields. */
const kFields: Readonly<Record<string, (value: string) => unknown>> = {
  listen: (value) => ({ listen: value, to: 'http://127.0.0.1:1' }),
  to: (value) => ({ listen: 8080, to: value }),
  key: (value) => ({ [value]: value }),
  'access_log (short)': (value) => ({ listen: 1, to: 'http://127.0.0.1:1', access_log: value }),
  'key of routes': (value) => ({ listen: 1, routes: { [value]: 'http://127.0.0.1:1' } }),
  'timeout (short)': (value) => ({ listen: 1, to: 'http://127.0.0.1:1', timeout: value }),
  'rewrite, redirect': (value) => ({
    listen: 1,
    routes: { '/a': { to: 'http://127.0.0.1:1', rewrite: value }, '/b': { redirect: value } },
  }),
  'type of an extension': (value) => http({ name: value, typed_config: { '@type': value } }),
  'name of a cluster': (value) => ({
    static_resources: { clusters: [{ name: value, type: value }] },
  }),
  duration: (value) => cluster({ connect_timeout: value }),
  number: (value) => cluster({ per_connection_buffer_limit_bytes: value }),
  'fraction of a number': (value) =>
    cluster({ common_lb_config: { healthy_panic_threshold: { value } } }),
  bool: (value) => cluster({ ignore_health_on_host_removal: value }),
  'runtime layer': (value) => ({
    layered_runtime: { layers: [{ name: value, static_layer: { a: value, [value]: 1 } }] },
  }),
  address: (value) =>
    cluster({
      type: 'STATIC',
      load_assignment: {
        cluster_name: 'a',
        endpoints: [
          {
            lb_endpoints: [
              { endpoint: { address: { socket_address: { address: value, port_value: 1 } } } },
            ],
          },
        ],
      },
    }),
  domain: (value) => routes({ name: 'v', domains: [value], routes: [] }),
  expression: (value) => routes(match({ safe_regex: { regex: value } })),
  'path template': (value) =>
    routes(
      match({
        prefix: value,
        headers: [{ name: value, string_match: { safe_regex: { regex: value } } }],
      }),
    ),
  format: (value) =>
    routes({
      ...match({ prefix: '/' }),
      request_headers_to_add: [{ header: { key: 'a', value } }],
    }),
  substitution: (value) =>
    routes({
      ...match({ prefix: '/' }),
      routes: [
        {
          match: { prefix: '/' },
          route: {
            cluster: 'a',
            regex_rewrite: { pattern: { regex: value }, substitution: value },
            hash_policy: [{ cookie: { name: value, path: value, ttl: value } }],
          },
        },
      ],
    }),
  'format of a log': (value) => {
    const log = (format: object): unknown => ({
      name: 'envoy.access_loggers.file',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
        path: '/dev/null',
        log_format: format,
      },
    })
    return http(
      manager({
        access_log: [
          log({ text_format_source: { inline_string: value } }),
          log({ json_format: { [value]: value, a: [value, { b: value }] } }),
        ],
      }),
    )
  },
  'range of addresses': (value) =>
    http(
      manager({
        internal_address_config: { cidr_ranges: [{ address_prefix: value, prefix_len: value }] },
        via: value,
      }),
    ),
  'cookie of a session': (value) =>
    http(
      manager({
        http_filters: [
          {
            name: 'envoy.filters.http.stateful_session',
            typed_config: {
              '@type':
                'type.googleapis.com/envoy.extensions.filters.http.stateful_session.v3.StatefulSession',
              session_state: {
                name: 'envoy.http.stateful_session.cookie',
                typed_config: {
                  '@type':
                    'type.googleapis.com/envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState',
                  cookie: { name: value, path: value, ttl: value },
                },
              },
            },
          },
        ],
      }),
    ),
  'health check': (value) =>
    cluster({
      health_checks: [
        {
          timeout: value,
          http_health_check: {
            path: value,
            host: value,
            request_headers_to_add: [{ header: { key: value, value } }],
            receive: [{ text: value }],
          },
        },
      ],
    }),
  'name of DNS': (value) => ({
    static_resources: {
      clusters: [
        {
          name: 'a',
          type: 'STRICT_DNS',
          dns_refresh_rate: value,
          load_assignment: {
            cluster_name: 'a',
            endpoints: [
              {
                lb_endpoints: [
                  { endpoint: { address: { socket_address: { address: value, port_value: 1 } } } },
                ],
              },
            ],
          },
        },
      ],
    },
  }),
  'name of a header': (value) =>
    routes({
      ...match({ prefix: '/' }),
      request_headers_to_add: [{ header: { key: value, value: 'a' } }],
    }),
}

const cluster = (fields: object): unknown => ({
  static_resources: { clusters: [{ name: 'a', ...fields }] },
})
const match = (fields: object): object => ({
  name: 'v',
  domains: ['*'],
  routes: [{ match: fields, direct_response: { status: 200 } }],
})
const routes = (host: object): unknown => http(manager({ route_config: { virtual_hosts: [host] } }))
const manager = (fields: object): object => ({
  name: 'envoy.filters.network.http_connection_manager',
  typed_config: {
    '@type':
      'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'a',
    route_config: { virtual_hosts: [] },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
        },
      },
    ],
    ...fields,
  },
})
const http = (filter: object): unknown => ({
  static_resources: {
    listeners: [
      {
        name: 'a',
        address: { socket_address: { address: '127.0.0.1', port_value: 1 } },
        filter_chains: [{ filters: [filter] }],
      },
    ],
  },
})

describe('a field', () => {
  for (const [name, build] of Object.entries(kFields)) {
    it(`takes the time of its length: ${name}`, async () => {
      for (const pump of kPumpsLong) {
        for (const [start, end] of [
          ['', '\u0001'],
          ['http://', 'x'],
          ['1', 's'],
        ]) {
          await linear(`${start} ${pump} ${end}`, 64 * 1024, (length) =>
            text('x.json', JSON.stringify(build(start + pump.repeat(length / pump.length) + end))),
          )
        }
      }
    })
  }

  it('that is not there, a hundred thousand times, and with names of a hundred thousand letters', async () => {
    const many = (length: number): unknown =>
      Object.fromEntries(Array.from({ length: length / 8 }, (_, i) => [`f${i}`, i]))
    await linear('short form', kMiB / 2, (length) => text('x.json', JSON.stringify(many(length))))
    await linear('message', kMiB / 2, (length) =>
      text('x.json', JSON.stringify(cluster(many(length) as object))),
    )
    await linear('long names', kMiB / 2, (length) => {
      const inner = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`, i]))
      return text(
        'x.json',
        JSON.stringify(
          cluster({ metadata: { filter_metadata: { ['x'.repeat(length)]: 1, ...inner } } }),
        ),
      )
    })
  })
})

/** A list of so many, and what is around it. */
const kLists: Readonly<Record<string, (n: number) => unknown>> = {
  'names that are not there': (n) => ({
    static_resources: {
      clusters: list(n, (i) => ({ name: `c${i}`, type: 'STATIC' })),
      listeners: listeners({
        route_config: {
          virtual_hosts: [
            {
              name: 'v',
              domains: ['*'],
              routes: list(n, (i) => ({ match: { prefix: '/' }, route: { cluster: `d${i}` } })),
            },
          ],
        },
      }),
    },
  }),
  'members of an aggregate that are not there': (n) => ({
    static_resources: {
      clusters: [
        ...list(n, (i) => ({ name: `c${i}`, type: 'STATIC' })),
        aggregate(
          'a',
          list(n, (i) => `d${i}`),
        ),
      ],
    },
  }),
  'aggregates in a row': (n) => ({
    static_resources: {
      clusters: list(n, (i) => aggregate(`c${i}`, i + 1 < n ? [`c${i + 1}`] : ['end'])).concat([
        { name: 'end', type: 'STATIC' },
      ]),
    },
  }),
  'virtual hosts and domains': (n) =>
    http(
      manager({
        route_config: {
          virtual_hosts: list(n, (i) => ({
            name: `v${i}`,
            domains: [`${i}.test`, `*.${i}.test`],
            routes: [],
          })),
        },
      }),
    ),
  'conditions, formats and weights of one route': (n) =>
    routes({
      name: 'v',
      domains: ['*'],
      routes: [
        {
          match: {
            prefix: '/',
            headers: list(n, (i) => ({ name: `x-${i}`, string_match: { contains: `${i}` } })),
            query_parameters: list(n, (i) => ({ name: `q${i}`, present_match: true })),
          },
          request_headers_to_add: list(n, (i) => ({ header: { key: `x-${i}`, value: '%PATH%' } })),
          route: {
            weighted_clusters: { clusters: list(n, (i) => ({ name: `c${i}`, weight: 1 })) },
          },
        },
      ],
    }),
  'ranges of addresses': (n) =>
    http(
      manager({
        internal_address_config: {
          cidr_ranges: list(n, (i) => ({ address_prefix: `10.0.${i % 250}.0`, prefix_len: 24 })),
        },
      }),
    ),
  'the same key again': (n) => list(n, () => ({ a: 1 })),
}
const aggregate = (name: string, clusters: readonly string[]): object => ({
  name,
  lb_policy: 'CLUSTER_PROVIDED',
  cluster_type: {
    name: 'envoy.clusters.aggregate',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig',
      clusters,
    },
  },
})
const listeners = (fields: object): unknown =>
  (http(manager(fields)) as { static_resources: { listeners: unknown } }).static_resources.listeners

describe('a list', () => {
  for (const [name, build] of Object.entries(kLists)) {
    it(`takes the time of its length: ${name}`, async () => {
      await linear(name, 8000, (n) => text('x.json', JSON.stringify(build(n))))
    })
  }

  it('of endpoints in a file, good, bad and all the same', async () => {
    const file = (n: number, address: (i: number) => unknown): string =>
      JSON.stringify({
        resources: [
          {
            '@type': 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
            cluster_name: 'a',
            endpoints: [
              {
                lb_endpoints: list(n, (i) => ({
                  endpoint: {
                    address: { socket_address: { address: address(i), port_value: 80 } },
                  },
                })),
              },
            ],
          },
        ],
      })
    const addresses = [
      (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`,
      () => '10.0.0.1',
      (i: number) => `not an address ${i}`,
      (i: number) => i,
    ]
    for (const address of addresses) {
      await linear(String(address), 10_000, (n) =>
        readAssignments('x', file(n, address), false).catch(() => {}),
      )
    }
    await linear('assignments', 10_000, (n) =>
      readAssignments(
        'x',
        JSON.stringify({ resources: list(n, (i) => ({ '@type': `a/${i}`, cluster_name: 'a' })) }),
        false,
      ).catch(() => {}),
    )
  })
})
