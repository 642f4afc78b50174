/** What a route does about failure: its own policies, or else those of its virtual host. */

import type { NativeResetHeader, NativeResilience, NativeRetryPolicy } from '../../native/index.ts'
import type { RetryPolicy, Route, RouteAction, VirtualHost } from '../schema/messages.generated.ts'
import { didYouMean } from '../suggest.ts'
import type { Context } from './context.ts'
import { compileHeaderMatcher } from './matchers.ts'

const kResetMax = 300_000

const httpConditions = [
  ...['5xx', 'gateway-error', 'reset', 'reset-before-request', 'connect-failure'],
  ...['envoy-ratelimited', 'retriable-4xx', 'refused-stream', 'retriable-status-codes'],
  ...['retriable-headers', 'http3-post-connect-failure'],
]
const grpcConditions = [
  ...['cancelled', 'deadline-exceeded', 'internal', 'resource-exhausted', 'unavailable'],
]
const conditions = new Set([...httpConditions, ...grpcConditions])

/** A policy of the route is taken whole; nothing of the host's is merged into it. */
export function compileResilience(
  context: Context,
  host: VirtualHost,
  route: Route,
  action: RouteAction,
): NativeResilience {
  const retry = action.retry_policy ?? host.retry_policy
  const hedge = action.hedge_policy ?? host.hedge_policy
  const bufferLimit = route.per_request_buffer_limit_bytes ?? host.per_request_buffer_limit_bytes
  return {
    ...(retry !== undefined && { retry: compileRetry(context, retry) }),
    ...(hedge?.hedge_on_per_try_timeout && { hedgeOnPerTryTimeout: true }),
    ...(host.include_request_attempt_count && { attemptCountInRequest: true }),
    ...(host.include_attempt_count_in_response && { attemptCountInResponse: true }),
    ...(host.include_is_timeout_retry_header && { timeoutRetryHeader: true }),
    ...(bufferLimit !== undefined && { bufferLimit }),
  }
}

function compileRetry(context: Context, policy: RetryPolicy): NativeRetryPolicy {
  checkConditions(context, policy)
  const { base_interval: base, max_interval: max } = policy.retry_back_off ?? {}
  if (
    policy.retry_back_off !== undefined &&
    base !== undefined &&
    max !== undefined &&
    max < base
  ) {
    const text = 'must not be less than base_interval'
    context.origins.add(policy.retry_back_off, ['max_interval'], 'bad-value', text)
  }
  const limited = policy.rate_limited_retry_back_off
  const matchers = (list: RetryPolicy['retriable_headers'] = []) =>
    list.map((header) => compileHeaderMatcher(context, header))
  return {
    on: policy.retry_on ?? '',
    retries: policy.num_retries ?? 1,
    // Shorter ones are rounded up, as Envoy does.
    baseInterval: base === undefined ? 0 : Math.max(1, Math.floor(base)),
    maxInterval: max === undefined ? 0 : Math.max(1, Math.floor(max)),
    resetHeaders: (limited?.reset_headers ?? []).map(
      (header): NativeResetHeader => ({
        name: (header.name ?? '').toLowerCase(),
        format: header.format === 'UNIX_TIMESTAMP' ? 'unix-timestamp' : 'seconds',
      }),
    ),
    resetMaxInterval: limited?.max_interval ?? kResetMax,
    statusCodes: policy.retriable_status_codes ?? [],
    responseHeaders: matchers(policy.retriable_headers),
    requestHeaders: matchers(policy.retriable_request_headers),
    perTryTimeout: policy.per_try_timeout ?? 0,
    perTryIdleTimeout: policy.per_try_idle_timeout ?? 0,
  }
}

/** Envoy skips what it does not know; here a mistyped condition cannot turn retries off unseen. */
function checkConditions(context: Context, policy: RetryPolicy): void {
  const text = policy.retry_on ?? ''
  let at = 0
  for (const part of text.split(',')) {
    const name = part.trim()
    if (name !== '' && !conditions.has(name)) {
      const from = at + part.indexOf(name)
      const range = [from, from + name.length] as const
      const message = `"${name}" is no condition to retry on`
      context.origins.addInText(policy, ['retry_on'], range, message, didYouMean(name, conditions))
    }
    at += part.length + 1
  }
}
