// The short form: what it expands to, what it refuses, and that its published JSON Schema agrees.
import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { Ajv } from 'ajv'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { effectiveYaml, loadConfiguration } from '../../../src/config/index.ts'
import type { NativeRouteTable } from '../../../src/native/index.ts'
import { compiled, load, said } from './helpers.ts'

const hasIPv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
)

interface Logging {
  readonly accessLogs?: readonly { readonly log: number; readonly format: { mode: string } }[]
}

async function table(text: string): Promise<NativeRouteTable> {
  const { routeTables } = await compiled(text)
  const [first] = routeTables
  if (first === undefined) throw new Error('no route table')
  return first.table
}

/** Without those that take the same paths with parameters. */
const plainRoutes = <T extends { readonly match: { readonly kind: string } }>(
  routes: readonly T[],
): T[] => routes.filter(({ match }) => match.kind !== 'regex')

/** `kind value → cluster or action` of each of {@link plainRoutes}, by virtual host. */
async function routes(text: string): Promise<Record<string, string[]>> {
  const { virtualHosts } = await table(text)
  return Object.fromEntries(
    virtualHosts.map((host) => [
      host.domains.join(),
      plainRoutes(host.routes).map(({ match, action }) => {
        const rewrite = action.kind === 'forward' ? action.prefixRewrite : undefined
        const target =
          action.kind === 'forward'
            ? `${action.cluster.kind === 'cluster' ? action.cluster.name : action.cluster.kind}` +
              `${rewrite ? ` as ${rewrite}` : ''}`
            : action.kind
        return `${match.kind} ${match.value} → ${target}`
      }),
    ]),
  )
}

describe('expands', () => {
  it('the example', async () => {
    const text =
      'listen: 8080\nroutes:\n  /: [http://127.0.0.1:4000, http://127.0.0.1:4001]\n  /api: ' +
      'http://127.0.0.1:3000\n'
    const { listeners, clusters } = await compiled(text)
    expect(listeners).toMatchObject([{ name: 'http', addresses: [{ ip: '0.0.0.0', port: 8080 }] }])
    expect(
      clusters.map(({ name, cluster }) => [name, cluster.hosts.map((host) => host.address)]),
    ).toEqual([
      [
        '127.0.0.1:4000,127.0.0.1:4001',
        [
          { ip: '127.0.0.1', port: 4000 },
          { ip: '127.0.0.1', port: 4001 },
        ],
      ],
      ['127.0.0.1:3000', [{ ip: '127.0.0.1', port: 3000 }]],
    ])
    expect(await routes(text)).toEqual({
      '*': [
        'separated-prefix /api → 127.0.0.1:3000',
        'prefix / → 127.0.0.1:4000,127.0.0.1:4001', // one cluster of two hosts
      ],
    })
  })

  it('addresses to listen on', async () => {
    const text =
      'listen: [80, ":81", "127.0.0.1:82", "[::1]:83", "*:84", localhost:85, "unix:/run/a.' +
      'sock"]\nroutes: {/: 3000}'
    expect((await compiled(text)).listeners[0]?.addresses).toEqual([
      { ip: '0.0.0.0', port: 80 },
      { ip: '0.0.0.0', port: 81 },
      { ip: '127.0.0.1', port: 82 },
      { ip: '::1', port: 83 },
      { ip: '0.0.0.0', port: 84 },
      { ip: '127.0.0.1', port: 85 },
      ...(hasIPv6 ? [{ ip: '::1', port: 85 }] : []),
      { path: '/run/a.sock' },
    ])
  })

  it('URLs of upstreams', async () => {
    const text =
      'listen: 80\nroutes: {/: [3000, localhost:3001, "http://127.0.0.1", "HTTP://[::1]:3003/",' +
      ' "unix:/run/b.sock", {url: "127.0.0.1:3004", weight: 5}]}'
    const hosts = (await compiled(text)).clusters[0]?.cluster.hosts ?? []
    expect(hosts.map((host) => [host.address, host.weight])).toEqual([
      [{ ip: '127.0.0.1', port: 3000 }, 1],
      [{ ip: '127.0.0.1', port: 3001 }, 1],
      [{ ip: '127.0.0.1', port: 80 }, 1],
      [{ ip: '::1', port: 3003 }, 1],
      [{ path: '/run/b.sock' }, 1],
      [{ ip: '127.0.0.1', port: 3004 }, 5],
    ])
  })

  it('names to what DNS is asked for, and localhost to both of its addresses', async () => {
    const text = `
listen: 80
upstreams:
  named: [http://App.Example.com., {url: "localhost:2", weight: 3}, "127.0.0.1:4"]
routes:
  /: http://localhost:3000
  /a: http://app:3000
  /b: named
  /c: 3000
`
    const { clusters } = await compiled(text)
    const other = (port: number) => [{ ip: '::1', port }]
    expect(clusters.map(({ name, cluster }) => [name, cluster.discovery, cluster.hosts])).toEqual([
      [
        'named',
        expect.objectContaining({
          kind: 'dns',
          strict: true,
          family: 'v4-preferred',
          targets: [
            expect.objectContaining({ name: 'app.example.com.', port: 80 }),
            expect.objectContaining({
              name: '127.0.0.1',
              port: 2,
              additionalAddresses: other(2),
              host: expect.objectContaining({ weight: 3 }),
            }),
            expect.objectContaining({ name: '127.0.0.1', port: 4 }),
          ],
        }),
        [],
      ],
      [
        'localhost:3000', // of both routes
        undefined,
        [
          expect.objectContaining({
            address: { ip: '127.0.0.1', port: 3000 },
            additionalAddresses: other(3000),
          }),
        ],
      ],
      ['app:3000', expect.objectContaining({ kind: 'dns' }), []],
    ])
  })

  it('clusters that are not the same to such of different names, whatever they are called', async () => {
    const text = `
listen: 80
upstreams: {"app:1": 5}
routes:
  /a: http://app:1
  /b: app:1
  /c: "unix:/a,/b"
  /d: ["unix:/a", "unix:/b"]
  /e: [{url: 1, weight: 2}]
  /f: [1]
  /g: 127.0.0.1:1
`
    const { clusters } = await compiled(text)
    const names = clusters.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(await routes(text)).toEqual({
      '*': [
        'separated-prefix /a → app:1#2',
        'separated-prefix /b → app:1',
        'separated-prefix /c → /a,/b',
        'separated-prefix /d → /a,/b#2',
        'separated-prefix /e → localhost:1*2',
        'separated-prefix /f → localhost:1',
        'separated-prefix /g → 127.0.0.1:1',
      ],
    })
  })

  it.each([
    ['true', ['1 text']],
    ['yes', ['1 text']],
    ['On', ['1 text']],
    ['"yes"', ['1 text']],
    ['json', ['1 json']],
    ['JSON', ['1 json']],
    ['stderr', ['2 text']],
    ['false', []],
    ['no', []],
    ['"off"', []],
    ['./json', ['./json text']],
    ['access.log', ['access.log text']],
    ['[json, {to: stderr, format: json}]', ['1 json', '2 json']],
    ['{to: ./a, rotate: {size: 100m}}', ['./a text']],
  ])('access_log: %s', async (value, expected) => {
    const names = new Map<number, unknown>()
    const text = `listen: 80\nroutes: {/: 1}\naccess_log: ${value}`
    const { listeners } = await compiled(text, names)
    const { accessLogs = [] } = (listeners[0]?.filterChains[0]?.filter ?? {}) as Logging
    const found = accessLogs.map(({ log, format }) => `${names.get(log)} ${format.mode}`)
    expect(found).toEqual(expected.map((each) => `log ${each}`))
  })

  it('what makes hosts and paths one of each, unless told otherwise', async () => {
    const filterOf = async (more: string) =>
      (await compiled(`listen: 80\nroutes: {/a: 1}\n${more}`)).listeners[0]?.filterChains[0]?.filter
    expect(await filterOf('')).toMatchObject({
      normalizePath: true,
      mergeSlashes: true,
      escapedSlashes: 'forward',
      stripTrailingDot: true,
    })
    expect(await filterOf('normalize_paths: false')).toMatchObject({
      normalizePath: false,
      mergeSlashes: false,
      escapedSlashes: 'keep',
      stripTrailingDot: true,
    })
    const text = 'listen: 80\nroutes: {/a: 1, "= /b": 2}\nnormalize_paths: false'
    expect((await table(text)).virtualHosts[0]?.routes.map(({ match }) => match.kind)).toEqual([
      'path',
      'separated-prefix',
    ])
    // One target for everything has nobody to keep out.
    const all = await table('listen: 80\nroutes: {/: 1}')
    expect(all.virtualHosts[0]?.routes).toHaveLength(1)
  })

  it('routes, the longest path first, exact ones before', async () => {
    const text = `
listen: 80
routes:
  /: 1
  /a: 2
  /a/b/: 3
  "= /a": 4
  example.com/x: 5
  example.com: 6
hosts:
  "*.example.org": 7
  example.org: {routes: {/: 8, /y: 9}}
`
    expect(await routes(text)).toEqual({
      '*': [
        'path /a → localhost:4',
        'prefix /a/b/ → localhost:3',
        'separated-prefix /a → localhost:2',
        'prefix / → localhost:1',
      ],
      'example.com': ['separated-prefix /x → localhost:5', 'prefix / → localhost:6'],
      '*.example.org': ['prefix / → localhost:7'],
      'example.org': ['separated-prefix /y → localhost:9', 'prefix / → localhost:8'],
    })
  })

  it('prefixes that are stripped or rewritten, without double slashes', async () => {
    const text = `
listen: 80
routes:
  /a: {to: 1, strip_prefix: true}
  /b: {to: 1, rewrite: /v2/}
  /c/: {to: 1, strip_prefix: true}
  "= /d": {to: 1, rewrite: /e}
  /: {to: 1, rewrite: /root}
`
    expect(await routes(text)).toEqual({
      '*': [
        'path /d → localhost:1 as /e',
        'prefix /c/ → localhost:1 as /',
        'prefix /a/ → localhost:1 as /',
        'path /a → localhost:1 as /',
        'prefix /b/ → localhost:1 as /v2/',
        'path /b → localhost:1 as /v2',
        'prefix / → localhost:1 as /root/',
      ],
    })
  })

  it('redirects and answers', async () => {
    const text = `
listen: 80
routes:
  /a: {redirect: https}
  /b: {redirect: /new}
  /c: {redirect: {to: "https://example.com:8443/x?y=1", status: 308}}
  /d: {respond: 404}
  /e: {respond: gone}
  /f: {respond: {status: 503, body: later}, headers: {response: {Retry-After: 60}}}
`
    const { virtualHosts } = await table(text)
    const found = plainRoutes(virtualHosts[0]?.routes ?? [])
    expect(found.map((route) => route.action)).toEqual([
      { kind: 'redirect', status: 301, https: true },
      { kind: 'redirect', status: 301, path: '/new' },
      {
        kind: 'redirect',
        status: 308,
        scheme: 'https',
        host: 'example.com',
        port: 8443,
        path: '/x?y=1',
      },
      { kind: 'respond', status: 404, body: new Uint8Array() },
      { kind: 'respond', status: 200, body: Buffer.from('gone') },
      { kind: 'respond', status: 503, body: Buffer.from('later') },
    ])
    expect(found[5]?.response?.add).toEqual([
      { name: 'Retry-After', value: ['60'], action: 'overwrite', keepEmpty: false },
    ])
  })

  it('options of routes, upstreams and timeouts', async () => {
    const text = `
listen: 80
timeouts: {connect: 2s, response: 1m30s, idle: off, headers: 500ms, request: 0, stream_idle: 2h}
upstreams:
  web: {to: [3000], connect_timeout: 1s, idle_timeout: 30s, max_connections: 7, max_requests: 8}
routes:
  /a: {to: web, timeout: 0, host: internal, headers: {request: {X-A: "%REQ(B)%", X-B: null}}}
  /: 3001
access_log: [stdout, {to: /var/log/a.log, format: json}, {to: stderr, format: "%DURATION%"}]
admin: 9901
`
    const { listeners, clusters, routeTables, admin } = await compiled(text)
    expect(clusters.map(({ cluster }) => cluster)).toMatchObject([
      {
        name: 'web',
        connectTimeout: 1000,
        idleTimeout: 30_000,
        breakers: { default: { maxConnections: 7, maxRequests: 8 } },
      },
      { name: 'localhost:3001', connectTimeout: 2000 },
    ])
    const actions = plainRoutes(routeTables[0]?.table.virtualHosts[0]?.routes ?? [])
    expect(actions[0]).toMatchObject({
      action: { timeout: 0, hostRewrite: { kind: 'literal', value: 'internal' } },
      request: { add: [{ name: 'X-A', value: [{ op: 'REQ', a: 'b' }] }], remove: ['x-b'] },
    })
    expect(actions[1]).toMatchObject({ action: { timeout: 90_000 } })
    expect(listeners[0]?.filterChains[0]?.filter).toMatchObject({
      useRemoteAddress: true,
      normalizePath: true,
      idleTimeout: 0,
      requestHeadersTimeout: 500,
      requestTimeout: 0,
      streamIdleTimeout: 7_200_000,
      accessLogs: [
        { format: { mode: 'text' } },
        { format: { mode: 'json' } },
        { format: { mode: 'text', ops: [{ op: 'DURATION' }, '\n'] } },
      ],
    })
    expect(admin).toEqual({ address: { ip: '127.0.0.1', port: 9901 } })
  })

  it('to what loads again and means the same', async () => {
    const text =
      'listen: 80\nroutes: {/a: {to: 1, strip_prefix: true}, /: [1, 2]}\naccess_log: ' +
      'stdout\nadmin: 1'
    const loaded = await load(text)
    const again = await load(effectiveYaml(loaded))
    expect([loaded.form, again.form]).toEqual(['short', 'envoy'])
    expect(again.bootstrap).toEqual(loaded.bootstrap)
  })

  it('the command line', async () => {
    const loaded = await loadConfiguration({
      kind: 'flags',
      to: ['http://127.0.0.1:1', 'localhost:2'],
      listen: '127.0.0.1:9',
    })
    expect(loaded.name).toBe('command line')
    expect(loaded.bootstrap.static_resources?.clusters).toHaveLength(1)
    const wrong = loadConfiguration({ kind: 'flags', to: ['https://127.0.0.1:1'], listen: 'here' })
    await expect(wrong).rejects.toMatchObject({
      problems: [
        { path: 'listen', code: 'bad-value' },
        { path: 'routes["/"][0]', code: 'not-supported' },
      ],
    })
  })
})

const accepted = [
  'listen: 8080\nroutes: {/: http://127.0.0.1:1}',
  'listen: ["127.0.0.1:80", "unix:/run/x"]\nhosts: {example.com: 3000}',
  'listen: 80\nupstreams: {a: 1, b: {to: [1, {url: 2, weight: 3}], idle_timeout: 1m}}\nroutes: ' +
    '{/: a, /b: {to: b, timeout: 250ms}}',
  'listen: 80\nroutes: {"= /": {respond: 200}, example.com/a: {redirect: https}}\naccess_log: off',
  'listen: 80\nroutes: {/: {redirect: {to: /x, status: 302}}}\nadmin: false\naccess_log: true',
  'listen: 80\nroutes: {/: {respond: {status: 404, body: no}}}\ntimeouts: {idle: 1h30m, ' +
    'connect: 0.5s}',
  'listen: 80\nroutes: {/: "http://app:3000", /a: [app.example.com:80, localhost:81], /b: my_app:1}',
  'listen: 80\nroutes: {/: 1}\naccess_log: json\nnormalize_paths: false',
  'listen: 80\nroutes: {/: 1}\naccess_log: [{to: ./json, format: json}, access.log]',
  'listen: 80\nroutes: {/: {to: "unix:/run/a", headers: {response: {A: null, B: 1}}}}\nadmin: ' +
    '"127.0.0.1:1"',
]

const rejected: [text: string, problem: RegExp][] = [
  ['routes: {/: 1}', /missing : needs listen/],
  ['listen: 80', /missing : needs routes/],
  [
    'listen: 80\nroute: {/: 1}',
    /unknown-field route: no such key here \(did you mean "routes"\?\)/,
  ],
  ['listen: 80\nroutes: {/: 1}\ntls: {}', /not-supported tls: not supported yet: TLS/],
  ['listen: 99999\nroutes: {/: 1}', /bad-value listen: there is no port 99999/],
  ['listen: [80, ]\nroutes: {/: true}', /bad-reference routes\["\/"\]|bad-value routes\["\/"\]/],
  ['listen: here\nroutes: {/: 1}', /bad-value listen: is an address such as/],
  ['listen: {}\nroutes: {/: 1}', /wrong-type listen/],
  ['listen: 80\nroutes: {/: "https://127.0.0.1:1"}', /not-supported .*TLS is not built yet/],
  ['listen: 80\nroutes: {/: "http://u:p@a.test"}', /bad-value .*is a URL such as/],
  ['listen: 80\nroutes: {/: "http://u@a.test:1"}', /bad-value .*leave out the user/],
  ['listen: "app:80"\nroutes: {/: 1}', /bad-value listen: "app" is a name, and a listener needs/],
  ['listen: 80\nroutes: {/: 1}\nnormalize_paths: maybe', /wrong-type normalize_paths: is true or/],
  ['listen: 80\nroutes: {/: 1}\naccess_log: logs', /bad-value .*\(write \.\/logs for a file\)/],
  ['listen: 80\nroutes: {/: 1}\naccess_log: 1', /bad-value .*access_log: is stdout, stderr or/],
  ...(
    [
      ['{}', /missing .*rotate: needs "size" or "interval"/],
      ['{keep: 3}', /missing .*rotate: needs "size" or "interval"/],
      ['{size: 4095}', /bad-value .*rotate\.size: is bytes, 4096 or more/],
      ['{size: 9g, keep: 0}', /bad-value .*rotate\.keep: is 1 or more/],
      ['{size: 9g, keep: 1000001}', /bad-value .*rotate\.keep: must be at most 1000000/],
      ['{interval: weekly}', /wrong-type .*rotate\.interval: is a duration/],
      ['{size: 1m, gzip: maybe}', /wrong-type .*rotate\.gzip/],
      ['{size: 1m, compress: true}', /unknown-field .*rotate\.compress/],
    ] as const
  ).map(([rotate, wrong]): [string, RegExp] => [
    `listen: 80\nroutes: {/: 1}\naccess_log: {to: ./a, rotate: ${rotate}}`,
    wrong,
  ]),
  ['listen: 80\nroutes: {/: 1}\naccess_log: {to: json}', /bad-value .*\(write format: json\)/],
  ['listen: 80\nroutes: {/: "http://127.0.0.1:1/x"}', /bad-value .*has the path "\/x"/],
  ['listen: 80\nroutes: {/: "ftp://127.0.0.1:1"}', /bad-value .*not ftp/],
  ['listen: 80\nroutes: {/: []}', /bad-value .*needs at least one URL/],
  ['listen: 80\nroutes: {/a?b: 1}', /bad-value .*no "\?"/],
  ['listen: 80\nroutes: {/a/*: 1}', /bad-value .*no patterns/],
  ['listen: 80\nroutes: {/: {timeout: 5s}}', /missing .*needs one of to, redirect, respond/],
  [
    'listen: 80\nroutes: {/: {to: 1, timeout: 5}}',
    /wrong-type .*timeout: is a duration .*\(write 5s or 5ms\)/,
  ],
  ['listen: 80\nroutes: {/: {to: 1, redirect: /a}}', /conflict .*redirect: excludes to/],
  [
    'listen: 80\nroutes: {/: {respond: 200, timeout: 5s}}',
    /conflict .*timeout: only goes with "to"/,
  ],
  [
    'listen: 80\nroutes: {/: {to: 1, strip_prefix: true, rewrite: /a}}',
    /conflict .*rewrite: excludes strip_prefix/,
  ],
  ['listen: 80\nroutes: {/: {to: 1, rewrite: a}}', /bad-value .*rewrite: is a path/],
  ['listen: 80\nroutes: {/: {redirect: {to: /a, status: 300}}}', /bad-value .*must be one of 301/],
  ['listen: 80\nroutes: {/: {respond: {status: 99}}}', /bad-value .*status: must be at least 200/],
  ['listen: 80\nroutes: {/: {to: 1, retries: 3}}', /unknown-field .*retries/],
  ['listen: 80\nhosts: {"https://a": 1}', /bad-value .*is not a host/],
  [
    'listen: 80\nupstreams: {a: {to: 1, max_connections: -1}}\nroutes: {/: a}',
    /wrong-type upstreams\.a\.max_connections: must not be negative/,
  ],
  ['listen: 80\nupstreams: {a: {}}\nroutes: {/: a}', /missing upstreams\.a: needs "to"/],
  [
    'listen: 80\nroutes: {/: {to: 1, headers: {reqest: {}}}}',
    /unknown-field .*\(did you mean "request"\?\)/,
  ],
  ['listen: 80\nroutes: {/: 1}\naccess_log: {format: json}', /missing access_log: needs "to"/],
  ['listen: 80\nroutes: {/: 1}\ntimeouts: {idel: 1s}', /unknown-field timeouts\.idel/],
]

/** What a schema cannot say. */
const rejectedByChecker: [text: string, problem: RegExp][] = [
  ...(
    [
      ['{size: 99999999999999999}', /bad-value .*rotate\.size/],
      ['{interval: 0.5s}', /bad-value .*rotate\.interval: must be at least 1s/],
      ['{interval: 10000h}', /bad-value .*rotate\.interval: must be at most/],
    ] as const
  ).map(([rotate, wrong]): [string, RegExp] => [
    `listen: 80\nroutes: {/: 1}\naccess_log: {to: ./a, rotate: ${rotate}}`,
    wrong,
  ]),
  [
    'listen: 80\nroutes: {/: 1}\naccess_log: {to: stdout, rotate: {size: 1m}}',
    /bad-value .*rotate: goes with a path, not with stdout/,
  ],
  [
    'listen: 80\nroutes: {/: 1}\naccess_log: [./a, {to: ./a, rotate: {size: 1m}}]',
    /conflict .*access_log\[1\]\.to: is rotated otherwise by another access log/,
  ],
]

describe('the JSON Schema', () => {
  const schema = JSON.parse(readFileSync('schema/millrace.schema.json', 'utf8')) as object
  const validate = new Ajv({ strict: true, allowUnionTypes: true, strictRequired: false }).compile(
    schema,
  )

  it.each(accepted)('and the checker accept: %s', async (text) => {
    expect(await said(text)).toEqual([])
    validate(parse(text))
    expect(validate.errors ?? []).toEqual([])
  })

  it.each(rejectedByChecker)('leaves to the checker: %s', async (text, problem) => {
    expect((await said(text)).join('\n')).toMatch(problem)
  })

  it.each(rejected)('and the checker reject: %s', async (text, problem) => {
    expect((await said(text)).join('\n')).toMatch(problem)
    expect(validate(parse(text))).toBe(false)
  })
})

describe('refuses beyond the schema', () => {
  const cases: [text: string, expected: string[]][] = [
    [
      'listen: 80\nroutes: {/: ["http://-a.test", "http://1.2.3.400"]}',
      [
        '2:14 bad-value routes["/"][0]: "-a.test" is no name of a host, and no address',
        '2:32 bad-value routes["/"][1]: "1.2.3.400" is no name of a host, and no address',
      ],
    ],
    [
      'listen: 80\nroutes: {/: ["http://app", "unix:/run/a"]}',
      [
        '2:28 not-supported routes["/"][1]: a unix socket and a name cannot take turns ' +
          '(write the IP addresses of the name)',
      ],
    ],
    [
      'listen: 80\nroutes: {api: 1, "= v-1": 2, api/: 3, localhost: 4, a.b: 5}',
      [
        '2:10 bad-value routes.api: a path begins with "/" (write "/api", or "api/" for the host ' +
          'of that name)',
        '2:18 bad-value routes["= v-1"]: a path begins with "/" (write "/v-1", or "v-1/" for the ' +
          'host of that name)',
      ],
    ],
    [
      'listen: 80\nupstreams: {web: 1}\nroutes: {/: wep}',
      ['3:13 bad-reference routes["/"]: no upstream is called "wep" (did you mean "web"?)'],
    ],
    [
      'listen: 80\nroutes:\n  /a: 1\n  example.com/b: 2\nhosts:\n  example.com: {routes: {/b: 3}}',
      [
        '6:26 duplicate hosts["example.com"].routes["/b"]: is the same route as ' +
          'routes["example.com/b"]',
      ],
    ],
    [
      'listen: [80, "0.0.0.0:80"]\nroutes: {/: 1}',
      ['1:14 duplicate listen[1]: 0.0.0.0:80 is an address of the listener "http" already'],
    ],
    [
      'listen: 80\nroutes:\n  /: {to: 1, headers: {request: {X: "%NOPE%", Host: a}}}',
      [
        '3:38 bad-value routes["/"].headers.request.X: no operator is called NOPE',
        '3:47 bad-value routes["/"].headers.request.Host: host and names with ":" cannot be ' +
          'set (a route changes host and path by fields of its own)',
      ],
    ],
    [
      'listen: 80\nroutes: {/: 1}\nstatic_resources: {}',
      [
        '1:1 unknown-field listen: no such field in Bootstrap',
        '2:1 unknown-field routes: no such field in Bootstrap',
      ],
    ],
  ]
  it.each(cases)('%s', async (text, expected) => {
    expect(await said(text)).toEqual(expected)
  })
})
