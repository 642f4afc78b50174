// Route tables, from messages to what the native core takes.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { NativeRoute } from '../../../src/native/index.ts'
import { bootstrap, compiled, said } from './helpers.ts'
import { matches } from './regex-machines.ts'

async function route(text: string, table = ''): Promise<NativeRoute> {
  const { routeTables } = await compiled(bootstrap({ routes: text, table }))
  const found = routeTables[0]?.table.virtualHosts[0]?.routes[0]
  if (found === undefined) throw new Error('no route')
  return found
}

const to = (fields: string): string => `{match: {prefix: /}, route: {${fields}}}`

describe('routes', () => {
  it('match by path', async () => {
    const kinds = ['prefix: /a', 'path: /a', 'path_separated_prefix: /a'].map((match) =>
      route(`{match: {${match}, case_sensitive: false}, route: {cluster: web}}`),
    )
    expect((await Promise.all(kinds)).map(({ match }) => match)).toEqual([
      { kind: 'prefix', value: '/a', caseSensitive: false },
      { kind: 'path', value: '/a', caseSensitive: false },
      { kind: 'separated-prefix', value: '/a', caseSensitive: false },
    ])
    const { match } = await route(
      '{match: {safe_regex: {google_re2: {}, regex: "/u/\\\\d+"}}, route: {cluster: web}}',
    )
    expect(match.dfa && matches(match.dfa, Buffer.from('/u/12'))).toBe(true)
    expect(match.dfa && matches(match.dfa, Buffer.from('/u/'))).toBe(false)
  })

  it('match by headers, query and chance', async () => {
    const headers = [
      '{name: A}',
      '{name: B, exact_match: x, invert_match: true}',
      '{name: C, range_match: {start: 1, end: 5}, treat_missing_header_as_empty: true}',
      '{name: ":method", string_match: {prefix: P, ignore_case: true}}',
      '{name: D, present_match: false}',
      '{name: E, suffix_match: s}',
    ]
    const query =
      '[{name: q}, {name: r, present_match: false}, {name: s, string_match: {contains: t}}]'
    const fraction =
      '{default_value: {numerator: 5, denominator: TEN_THOUSAND}, runtime_key: share}'
    const { match } = await route(
      `{match: {prefix: /, headers: [${headers.join()}], query_parameters: ${query}, ` +
        `runtime_fraction: ${fraction}}, route: {cluster: web}}`,
    )
    expect(match).toEqual({
      kind: 'prefix',
      value: '/',
      caseSensitive: true,
      headers: [
        { name: 'a', kind: 'present', present: true },
        { name: 'b', kind: 'string', string: { kind: 'exact', value: 'x' }, invert: true },
        { name: 'c', kind: 'range', range: [1, 5], treatMissingAsEmpty: true },
        {
          name: ':method',
          kind: 'string',
          string: { kind: 'prefix', value: 'P', ignoreCase: true },
        },
        { name: 'd', kind: 'present', present: false },
        { name: 'e', kind: 'string', string: { kind: 'suffix', value: 's' } },
      ],
      query: [
        { name: 'q', present: true },
        { name: 'r', present: false },
        { name: 's', string: { kind: 'contains', value: 't' } },
      ],
      fraction: { flag: expect.any(Number), numerator: 5, denominator: 10_000 },
    })
  })

  it('forward', async () => {
    expect((await route(to('cluster: web'))).action).toEqual({
      kind: 'forward',
      cluster: { kind: 'cluster', name: 'web', slot: expect.any(Number) },
      clusterNotFoundStatus: 503,
      timeout: 15_000,
      idleTimeout: -1,
      priority: 'default',
    })
    const options =
      'cluster_header: X-C, cluster_not_found_response_code: NOT_FOUND, timeout: 0s, ' +
      'idle_timeout: 0s, priority: HIGH, prefix_rewrite: /b, host_rewrite_header: H, ' +
      'append_x_forwarded_host: true'
    expect((await route(to(options))).action).toEqual({
      kind: 'forward',
      cluster: { kind: 'header', header: 'x-c' },
      clusterNotFoundStatus: 404,
      timeout: 0,
      idleTimeout: 0,
      priority: 'high',
      prefixRewrite: '/b',
      hostRewrite: { kind: 'header', header: 'h' },
      appendXForwardedHost: true,
    })
    const weighted =
      'weighted_clusters: {header_name: X-R, clusters: [{name: web, weight: 3, ' +
      'host_rewrite_literal: h, request_headers_to_remove: [A]}, {cluster_header: X-C, ' +
      'weight: 1}]}, auto_host_rewrite: true'
    expect((await route(to(weighted))).action).toMatchObject({
      cluster: {
        kind: 'weighted',
        totalWeight: 4,
        header: 'x-r',
        clusters: [
          { name: 'web', weight: 3, hostRewrite: 'h', request: { add: [], remove: ['a'] } },
          { name: '', header: 'x-c', weight: 1, slot: 0 },
        ],
      },
      hostRewrite: { kind: 'auto' },
    })
    const regex =
      'cluster: web, regex_rewrite: {pattern: {regex: "^/(a)"}, substitution: "/\\\\1x"}, ' +
      'host_rewrite_path_regex: {pattern: {regex: "b"}, substitution: c}'
    expect((await route(to(regex))).action).toMatchObject({
      regexRewrite: { substitution: ['/', 1, 'x'], program: { groups: 2 } },
      hostRewrite: { kind: 'path-regex', rewrite: { substitution: ['c'] } },
    })
  })

  it('redirect and answer', async () => {
    const redirect =
      'scheme_redirect: https, host_redirect: h, port_redirect: 8443, prefix_rewrite: /n, ' +
      'response_code: PERMANENT_REDIRECT, strip_query: true'
    expect((await route(`{match: {prefix: /}, redirect: {${redirect}}}`)).action).toEqual({
      kind: 'redirect',
      status: 308,
      scheme: 'https',
      host: 'h',
      port: 8443,
      prefixRewrite: '/n',
      stripQuery: true,
    })
    const folder = mkdtempSync(join(tmpdir(), 'millrace-body-'))
    writeFileSync(join(folder, 'body'), 'from a file')
    process.env.MILLRACE_TEST_BODY = 'from the environment'
    const bodies = await Promise.all(
      [
        `filename: ${folder}/body`,
        'inline_bytes: aGk=',
        'inline_string: hi',
        'environment_variable: MILLRACE_TEST_BODY',
      ].map((source) =>
        route(`{match: {prefix: /}, direct_response: {status: 200, body: {${source}}}}`),
      ),
    )
    rmSync(folder, { recursive: true })
    expect(
      bodies.map(({ action }) => action.kind === 'respond' && Buffer.from(action.body).toString()),
    ).toEqual(['from a file', 'hi', 'hi', 'from the environment'])
  })

  it('change headers', async () => {
    const text = `{match: {prefix: /}, route: {cluster: web},
      request_headers_to_add: [{header: {key: A, value: "x%REQ(B)%"}}, {header: {key: C,
      value: c}, append: false},
        {header: {key: D, value: d}, append_action: ADD_IF_ABSENT, keep_empty_value: true}],
      response_headers_to_add: [{header: {key: E, value: "100%%"},
      append_action: OVERWRITE_IF_EXISTS}], response_headers_to_remove: [F]}`
    const { request, response } = await route(text)
    expect(request).toEqual({
      add: [
        { name: 'A', value: ['x', { op: 'REQ', a: 'b' }], action: 'append', keepEmpty: false },
        { name: 'C', value: ['c'], action: 'overwrite', keepEmpty: false },
        { name: 'D', value: ['d'], action: 'add-if-absent', keepEmpty: true },
      ],
      remove: [],
    })
    expect(response).toEqual({
      add: [{ name: 'E', value: ['100%'], action: 'overwrite-if-exists', keepEmpty: false }],
      remove: ['f'],
    })
  })

  const refused: [routes: string, expected: RegExp][] = [
    [
      to('cluster: wbe'),
      /bad-reference .*route\.cluster: no cluster is called "wbe" \(did you mean "web"\?\)/,
    ],
    [
      to('weighted_clusters: {clusters: [{name: a, weight: 1}]}'),
      /bad-reference .*clusters\[0\]\.name/,
    ],
    [
      to('weighted_clusters: {clusters: [{name: web, weight: 0}]}'),
      /bad-value .*weights sum up to 0/,
    ],
    [to('weighted_clusters: {clusters: [{name: web}]}'), /missing .*needs weight/],
    [to('weighted_clusters: {clusters: [{weight: 1}]}'), /missing .*needs name or cluster_header/],
    [to('weighted_clusters: {clusters: []}'), /bad-value .*needs at least 1/],
    [
      to('weighted_clusters: {total_weight: 5, clusters: [{name: web, weight: 4}]}'),
      /conflict .*is 5, but the weights sum up to 4/,
    ],
    [
      to('cluster: web, prefix_rewrite: /, regex_rewrite: {pattern: {regex: a}, substitution: b}'),
      /conflict .*regex_rewrite: excludes prefix_rewrite/,
    ],
    [
      to('cluster: web, regex_rewrite: {pattern: {regex: "(a"}, substitution: b}'),
      /1?\d:\d+ bad-value .*pattern\.regex: this "\(" has no "\)"/,
    ],
    [
      to('cluster: web, regex_rewrite: {pattern: {regex: a}, substitution: "\\\\1"}'),
      /bad-value .*substitution: \\1 is not there: the pattern has 0 groups/,
    ],
    [
      to('cluster: web, retry_policy: {retry_on: "5xx, rest"}'),
      /bad-value .*retry_on: "rest" is no condition to retry on \(did you mean "reset"\?\)/,
    ],
    [
      '{match: {safe_regex: {regex: "a(?=b)"}}, route: {cluster: web}}',
      /bad-value .*safe_regex\.regex: look-around, which RE2 does not have/,
    ],
    [
      '{match: {prefix: /, runtime_fraction: {default_value: {numerator: 101}}}, route: ' +
        '{cluster: web}}',
      /bad-value .*numerator: is more than the whole, 100/,
    ],
    [
      '{match: {prefix: /}, direct_response: {status: 200, body: {filename: /does/not/exist}}}',
      /unreadable .*filename: cannot be read: ENOENT/,
    ],
    [
      '{match: {prefix: /}, direct_response: {status: 200, body: {environment_variable: ' +
        'NOT_SET_AT_ALL}}}',
      /bad-reference .*NOT_SET_AT_ALL is not set/,
    ],
    [
      '{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: ' +
        `${'a'.repeat(5000)}}}}`,
      /bad-value .*body: has 5000 bytes, may have at most 4096/,
    ],
    [
      '{match: {prefix: /}, redirect: {port_redirect: 70000}}',
      /bad-value .*port_redirect: must be at most 65535/,
    ],
    ['{match: {prefix: /}}', /missing .*needs one of route, redirect, direct_response/],
    [
      '{match: {prefix: /}, route: {cluster: web}, request_headers_to_add: [{header: {key: ' +
        '":path", value: a}}]}',
      /bad-value .*cannot be set/,
    ],
    [
      '{match: {prefix: /}, route: {cluster: web}, response_headers_to_remove: [Host]}',
      /bad-value .*response_headers_to_remove\[0\]: host .* cannot be removed/,
    ],
  ]
  it.each(refused)('refuse %s', async (routes, expected) => {
    const found = await said(bootstrap({ routes }))
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(expected)
  })

  it('may name unknown clusters when they are not validated', async () => {
    const { action } = await route(to('cluster: later'), ', validate_clusters: false')
    expect(action).toMatchObject({ cluster: { name: 'later' } })
  })
})

describe('route tables', () => {
  it('have virtual hosts', async () => {
    const table =
      ', name: t, internal_only_headers: [X-I], most_specific_header_mutations_wins: true, ' +
      'ignore_port_in_host_matching: true, request_headers_to_remove: [Z]'
    const { routeTables } = await compiled(bootstrap({ table }))
    expect(routeTables).toMatchObject([
      {
        key: '["main",[0],"t"]',
        table: {
          name: 't',
          internalOnlyHeaders: ['x-i'],
          mostSpecificMutationsWin: true,
          ignorePortInHost: true,
          request: { remove: ['z'] },
          virtualHosts: [{ name: 'all', domains: ['*'], requireTls: 'none' }],
        },
      },
    ])
  })

  it('have each name and each domain once', async () => {
    const hosts =
      '[{name: a, domains: [X.com, "*.x.com"]}, {name: a, domains: [x.COM]}, {name: b, ' +
      'domains: ["a.*.b"]}]'
    const text = bootstrap({ hosts })
    expect(
      (await said(text)).map((line) => line.replace(/^\S+ (\S+) .*route_config/, '$1 …')),
    ).toEqual([
      'duplicate ….virtual_hosts[1].name: two virtual hosts are called "a"',
      'duplicate ….virtual_hosts[1].domains[0]: "x.COM" is a domain of the virtual host "a" ' +
        'already',
      'bad-value ….virtual_hosts[2].domains[0]: a "*" stands at the begin or at the end of a ' +
        'domain',
    ])
  })
})
