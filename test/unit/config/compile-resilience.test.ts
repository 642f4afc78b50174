// Retries and what belongs to them, from messages to what the native core takes.
import { describe, expect, it } from 'vitest'
import type { NativeForward } from '../../../src/native/index.ts'
import { bootstrap, compiled, said } from './helpers.ts'

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
      retriable_request_headers: [{name: X-Safe}]}`
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
