/** What a route does about failure: its own policies, or else those of its virtual host. */

import type {
  NativeHostPredicate,
  NativeInternalRedirect,
  NativeMirror,
  NativeResetHeader,
  NativeResilience,
  NativeRetryPolicy,
} from '../../native/index.ts'
import type {
  AnyMessage,
  InternalRedirectPolicy,
  RetryPolicy,
  Route,
  RouteAction,
  RouteActionRequestMirrorPolicy,
  RouteConfiguration,
  VirtualHost,
} from '../schema/messages.generated.ts'
import { didYouMean } from '../suggest.ts'
import { type Context, checkCluster, unpack } from './context.ts'
import { flatMetadata } from './endpoints.ts'
import { compileFraction, compileHeaderMatcher } from './matchers.ts'

const kRedirects = 'envoy.extensions.internal_redirect'
const kHosts = 'envoy.extensions.retry.host'
const kPreviousPriorities =
  'envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig'
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
  table: RouteConfiguration,
  host: VirtualHost,
  route: Route,
  action: RouteAction,
): NativeResilience {
  const mirrors = firstOf(
    action.request_mirror_policies,
    host.request_mirror_policies,
    table.request_mirror_policies,
  )
  const redirect = action.internal_redirect_policy
  const duration = action.max_stream_duration
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
    ...(mirrors.length > 0 && { mirrors: mirrors.map((mirror) => compileMirror(context, mirror)) }),
    ...(redirect !== undefined && { internalRedirect: compileRedirectPolicy(context, redirect) }),
    ...(duration !== undefined && {
      streamDuration: {
        most: duration.max_stream_duration ?? -1,
        grpcMost: duration.grpc_timeout_header_max ?? -1,
        grpcOffset: duration.grpc_timeout_header_offset ?? 0,
      },
    }),
    ...(action.max_grpc_timeout !== undefined && { grpcTimeoutMost: action.max_grpc_timeout }),
    ...(action.grpc_timeout_offset !== undefined && {
      grpcTimeoutOffset: action.grpc_timeout_offset,
    }),
  }
}

/** The most specific level that says anything says all. */
function firstOf<T>(...levels: readonly (readonly T[] | undefined)[]): readonly T[] {
  return levels.find((level) => level !== undefined && level.length > 0) ?? []
}

function compileMirror(context: Context, mirror: RouteActionRequestMirrorPolicy): NativeMirror {
  const { cluster = '', cluster_header: header = '', runtime_fraction: fraction } = mirror
  if (cluster !== '' && header !== '') {
    const text = 'excludes cluster, which is set here too'
    context.origins.add(mirror, ['cluster_header'], 'conflict', text)
  }
  if (cluster === '' && header === '') {
    context.origins.addMissing(mirror, 'needs cluster or cluster_header')
  }
  checkCluster(context, mirror, 'cluster', cluster)
  return {
    cluster,
    slot: cluster === '' ? 0 : context.resolver.cluster(cluster),
    ...(header !== '' && { header: header.toLowerCase() }),
    ...(fraction !== undefined && { fraction: compileFraction(context, fraction) }),
    ...(mirror.disable_shadow_host_suffix_append && { keepHost: true }),
  }
}

const redirectStatuses = new Set([301, 302, 303, 307, 308])

function compileRedirectPolicy(
  context: Context,
  policy: InternalRedirectPolicy,
): NativeInternalRedirect {
  const statuses = policy.redirect_response_codes ?? []
  statuses.forEach((status, i) => {
    if (redirectStatuses.has(status)) return
    const text = `${status} is no redirect: 301, 302, 303, 307 and 308 are`
    context.origins.add(policy, ['redirect_response_codes', i], 'bad-value', text)
  })
  for (const predicate of policy.predicates ?? []) {
    const type = predicate.typed_config?.['@type'] ?? ''
    if (type.startsWith(`${kRedirects}.`)) continue
    const text = `${type} is no predicate of redirects`
    context.origins.add(predicate, ['typed_config'], 'bad-value', text)
  }
  const predicates = (policy.predicates ?? []).map(({ typed_config: config }) => config)
  const allowed = predicates
    .map((config) => unpack(config, `${kRedirects}.allow_listed_routes.v3.AllowListedRoutesConfig`))
    .filter((config) => config !== undefined)
    .map((config) => config.allowed_route_names ?? [])
  return {
    most: policy.max_internal_redirects ?? 1,
    statuses: statuses.length === 0 ? [302] : statuses,
    crossScheme: policy.allow_cross_scheme_redirect ?? false,
    copiedHeaders: (policy.response_headers_to_copy ?? []).map((name) => name.toLowerCase()),
    notToPreviousRoutes: predicates.some((config) =>
      unpack(config, `${kRedirects}.previous_routes.v3.PreviousRoutesConfig`),
    ),
    safeCrossScheme: predicates.some((config) =>
      unpack(config, `${kRedirects}.safe_cross_scheme.v3.SafeCrossSchemeConfig`),
    ),
    // Each list can refuse.
    ...(allowed.length > 0 && {
      allowedRoutes: allowed.reduce((both, list) => {
        const there = new Set(list)
        return both.filter((name) => there.has(name))
      }),
    }),
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
  const priorities = unpack(policy.retry_priority?.typed_config, kPreviousPriorities)
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
    predicates: (policy.retry_host_predicate ?? []).flatMap(
      ({ typed_config: config }) => compilePredicate(config) ?? [],
    ),
    ...(priorities !== undefined && { previousPriorities: priorities.update_frequency ?? 1 }),
    hostSelectionAttempts: policy.host_selection_retry_max_attempts || 1,
    perTryTimeout: policy.per_try_timeout ?? 0,
    perTryIdleTimeout: policy.per_try_idle_timeout ?? 0,
  }
}

function compilePredicate(config: AnyMessage | undefined): NativeHostPredicate | undefined {
  if (unpack(config, `${kHosts}.previous_hosts.v3.PreviousHostsPredicate`)) {
    return { kind: 'previous-hosts' }
  }
  if (unpack(config, `${kHosts}.omit_canary_hosts.v3.OmitCanaryHostsPredicate`)) {
    return { kind: 'omit-canary' }
  }
  const omit = unpack(config, `${kHosts}.omit_host_metadata.v3.OmitHostMetadataConfig`)
  if (omit === undefined) return undefined
  const wanted = omit.metadata_match?.filter_metadata?.['envoy.lb'] ?? {}
  return { kind: 'omit-metadata', metadata: flatMetadata(wanted) }
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
