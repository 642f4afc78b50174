// Retries and what belongs to them, from messages to what the native core takes.
import { describe, expect, it } from 'vitest'
import type { NativeForward } from '../../../src/native/index.ts'
import { bootstrap, compiled, said } from './helpers.ts'

const kTypes = 'type.googleapis.com/envoy.extensions'
const kHosts = `${kTypes}.retry.host`
const kPriorities = `${kTypes}.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig`
const kRedirects = `${kTypes}.internal_redirect`

/** The action of a route with `fields`, in a virtual host with `host`. */
async function forward(fields = '', host = '', route = ''): Promise<NativeForward> {
  const list = (...parts: string[]) => parts.filter((part) => part !== '').join(', ')
  const action = list('cluster: web', fields)
  const routes = `{${list('match: {prefix: /}', `route: {${action}}`, route)}}`
  const text = bootstrap({ routes }).replace('domains: ["*"]', list('domains: ["*"]', host))
  const { routeTables } = await compiled(text)
  const found = routeTables[0]?.table.virtualHosts[0]?.routes[0]?.action
  if (found?.kind !== 'forward') throw new Error('no forwarding route')
  return found
}

describe('a retry policy', () => {
  it('has the defaults of Envoy', async () => {
    expect((await forward()).retry).toBeUndefined()
    expect((await forward('retry_policy: {retry_on: 5xx}')).retry).toEqual({
      on: '5xx',
      retries: 1,
      baseInterval: 0,
      maxInterval: 0,
      resetHeaders: [],
      resetMaxInterval: 300_000,
      statusCodes: [],
      responseHeaders: [],
      requestHeaders: [],
      predicates: [],
      hostSelectionAttempts: 1,
      perTryTimeout: 0,
      perTryIdleTimeout: 0,
    })
  })

  it('takes what is written', async () => {
    const policy = `retry_policy: {retry_on: "reset,unavailable", num_retries: 4,
      per_try_timeout: 1s, per_try_idle_timeout: 2s,
      retry_back_off: {base_interval: 0.0001s, max_interval: 3s},
      rate_limited_retry_back_off: {reset_headers: [{name: Retry-After},
        {name: X-Reset, format: UNIX_TIMESTAMP}], max_interval: 4s},
      retriable_status_codes: [418], retriable_headers: [{name: X-Again}],
      retriable_request_headers: [{name: X-Safe}], host_selection_retry_max_attempts: 6,
      retry_host_predicate: [
        {name: a, typed_config: {"@type": ${kHosts}.previous_hosts.v3.PreviousHostsPredicate}},
        {name: b, typed_config: {"@type": ${kHosts}.omit_canary_hosts.v3.OmitCanaryHostsPredicate}},
        {name: c, typed_config: {"@type": ${kHosts}.omit_host_metadata.v3.OmitHostMetadataConfig,
          metadata_match: {filter_metadata: {envoy.lb: {stage: test}}}}}],
      retry_priority: {name: d, typed_config: {"@type": ${kPriorities},
        update_frequency: 2}}}`
    expect((await forward(policy)).retry).toEqual({
      on: 'reset,unavailable',
      retries: 4,
      baseInterval: 1,
      maxInterval: 3000,
      resetHeaders: [
        { name: 'retry-after', format: 'seconds' },
        { name: 'x-reset', format: 'unix-timestamp' },
      ],
      resetMaxInterval: 4000,
      statusCodes: [418],
      responseHeaders: [{ name: 'x-again', kind: 'present', present: true }],
      requestHeaders: [{ name: 'x-safe', kind: 'present', present: true }],
      predicates: [
        { kind: 'previous-hosts' },
        { kind: 'omit-canary' },
        { kind: 'omit-metadata', metadata: ['stage', '"test"'] },
      ],
      previousPriorities: 2,
      hostSelectionAttempts: 6,
      perTryTimeout: 1000,
      perTryIdleTimeout: 2000,
    })
  })

  it('of the virtual host holds for routes without one of their own', async () => {
    const host = `retry_policy: {retry_on: 5xx, num_retries: 7}, include_request_attempt_count: true,
      include_attempt_count_in_response: true, include_is_timeout_retry_header: true,
      hedge_policy: {hedge_on_per_try_timeout: true}, per_request_buffer_limit_bytes: 99`
    expect(await forward('', host)).toMatchObject({
      retry: { on: '5xx', retries: 7 },
      attemptCountInRequest: true,
      attemptCountInResponse: true,
      timeoutRetryHeader: true,
      hedgeOnPerTryTimeout: true,
      bufferLimit: 99,
    })
    const own = await forward(
      'retry_policy: {retry_on: reset}, hedge_policy: {}',
      host,
      'per_request_buffer_limit_bytes: 5',
    )
    expect(own).toMatchObject({ retry: { on: 'reset', retries: 1 }, bufferLimit: 5 })
    expect(own.hedgeOnPerTryTimeout).toBeUndefined()
  })

  it.each([
    ['{retry_on: 5xx, retry_back_off: {base_interval: 2s, max_interval: 1s}}', /max_interval/],
    ['{retry_on: 5xx, retry_back_off: {max_interval: 1s}}', /base_interval/],
    ['{retry_on: "connect-failur"}', /did you mean "connect-failure"/],
    ['{retry_on: 5xx, retry_options_predicates: [{name: x}]}', /retry_options_predicates/],
  ])('refuses %s', async (policy, text) => {
    const routes = `{match: {prefix: /}, route: {cluster: web, retry_policy: ${policy}}}`
    expect((await said(bootstrap({ routes }))).join()).toMatch(text)
  })
})

describe('mirrors', () => {
  it('of the most specific level hold', async () => {
    const mirror = (fields: string) => `request_mirror_policies: [{${fields}}]`
    const half =
      'runtime_fraction: {default_value: {numerator: 50}, runtime_key: half}, ' +
      'disable_shadow_host_suffix_append: true'
    const host = mirror('cluster_header: X-To')
    expect((await forward(mirror(`cluster: web, ${half}`), host)).mirrors).toEqual([
      {
        cluster: 'web',
        slot: expect.any(Number),
        fraction: { flag: expect.any(Number), numerator: 50, denominator: 100 },
        keepHost: true,
      },
    ])
    expect((await forward('', host)).mirrors).toEqual([{ cluster: '', slot: 0, header: 'x-to' }])
  })

  it.each([
    ['{}', /needs cluster or cluster_header/],
    ['{cluster: web, cluster_header: x}', /excludes cluster/],
    ['{cluster: wbe}', /did you mean "web"/],
  ])('refuse %s', async (policy, text) => {
    const action = `cluster: web, request_mirror_policies: [${policy}]`
    const routes = `{match: {prefix: /}, route: {${action}}}`
    expect((await said(bootstrap({ routes }))).join()).toMatch(text)
  })
})

describe('internal redirects', () => {
  it('have the defaults of Envoy', async () => {
    expect((await forward('internal_redirect_policy: {}')).internalRedirect).toEqual({
      most: 1,
      statuses: [302],
      crossScheme: false,
      copiedHeaders: [],
      notToPreviousRoutes: false,
      safeCrossScheme: false,
    })
  })

  it('take what is written', async () => {
    const predicate = (type: string, fields = '') =>
      `{name: x, typed_config: {"@type": ${kRedirects}.${type}${fields}}}`
    const policy = `internal_redirect_policy: {max_internal_redirects: 3,
      redirect_response_codes: [301, 307], allow_cross_scheme_redirect: true,
      response_headers_to_copy: [X-A], predicates: [
        ${predicate('previous_routes.v3.PreviousRoutesConfig')},
        ${predicate('safe_cross_scheme.v3.SafeCrossSchemeConfig')},
        ${predicate('allow_listed_routes.v3.AllowListedRoutesConfig', ', allowed_route_names: [a]')}]}`
    expect((await forward(policy)).internalRedirect).toEqual({
      most: 3,
      statuses: [301, 307],
      crossScheme: true,
      copiedHeaders: ['x-a'],
      notToPreviousRoutes: true,
      safeCrossScheme: true,
      allowedRoutes: ['a'],
    })
  })

  it('refuse what is no redirect, and predicates of other things', async () => {
    const of = async (policy: string): Promise<string> => {
      const action = `cluster: web, internal_redirect_policy: ${policy}`
      return (await said(bootstrap({ routes: `{match: {prefix: /}, route: {${action}}}` }))).join()
    }
    expect(await of('{redirect_response_codes: [302, 304]}')).toMatch(/304 is no redirect/)
    const random = `${kTypes}.load_balancing_policies.random.v3.Random`
    expect(await of(`{predicates: [{name: x, typed_config: {"@type": ${random}}}]}`)).toMatch(
      /Random is no predicate of redirects/,
    )
  })
})

describe('durations', () => {
  it('of streams take the place of the route’s timeout', async () => {
    const limits =
      'max_stream_duration: 1s, grpc_timeout_header_max: 2s, grpc_timeout_header_offset: 0.1s'
    expect(await forward(`max_stream_duration: {${limits}}`)).toMatchObject({
      timeout: 0,
      streamDuration: { most: 1000, grpcMost: 2000, grpcOffset: 100 },
    })
    expect(await forward('max_stream_duration: {}')).toMatchObject({
      timeout: 0,
      streamDuration: { most: -1, grpcMost: -1, grpcOffset: 0 },
    })
    expect(await forward('max_grpc_timeout: 0s, grpc_timeout_offset: 1s')).toMatchObject({
      timeout: 15_000,
      grpcTimeoutMost: 0,
      grpcTimeoutOffset: 1000,
    })
  })
})
