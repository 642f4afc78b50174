/** The HTTP connection manager. */

import { isIP } from 'node:net'
import type { NativeCidr, NativeHttpManager, SlotId } from '../../native/index.ts'
import type {
  CidrRange,
  HttpConnectionManager,
  HttpProtocolOptions,
} from '../schema/messages.generated.ts'
import { compileAccessLogs } from './access_log.ts'
import type { Context } from './context.ts'
import type { FilterChain } from './http_filters.ts'
import { kHalfClose, kMostHeld } from './runtime_values.ts'

const kHour = 3_600_000

const serverHeaders = {
  OVERWRITE: 'overwrite',
  APPEND_IF_ABSENT: 'append-if-absent',
  PASS_THROUGH: 'pass-through',
} as const

const escapedSlashes = {
  IMPLEMENTATION_SPECIFIC_DEFAULT: 'keep',
  KEEP_UNCHANGED: 'keep',
  REJECT_REQUEST: 'reject',
  UNESCAPE_AND_REDIRECT: 'redirect',
  UNESCAPE_AND_FORWARD: 'forward',
} as const

const underscores = { ALLOW: 'allow', REJECT_REQUEST: 'reject', DROP_HEADER: 'drop' } as const

type Settings<Key extends keyof NativeHttpManager> = Pick<NativeHttpManager, Key>

export function compileHttpManager(
  context: Context,
  manager: HttpConnectionManager,
  routes: SlotId,
  { filters, router }: FilterChain,
): NativeHttpManager {
  return {
    kind: 'http',
    statPrefix: manager.stat_prefix ?? '',
    codec: manager.codec_type === 'HTTP1' ? 'http1' : 'auto',
    routes,
    ...edgeSettings(context, manager),
    ...pathSettings(context, manager),
    ...timeouts(manager),
    ...http1Settings(context, manager),
    filters,
    suppressEnvoyHeaders: router?.suppress_envoy_headers ?? false,
    accessLogs: compileAccessLogs(context, manager.access_log),
  }
}

/** What the manager says about itself and about the client. */
function edgeSettings(
  context: Context,
  manager: HttpConnectionManager,
): Settings<
  | 'serverName'
  | 'serverHeader'
  | 'useRemoteAddress'
  | 'xffTrustedHops'
  | 'skipXffAppend'
  | 'appendXForwardedPort'
  | 'internalAddresses'
  | 'generateRequestId'
  | 'preserveExternalRequestId'
  | 'alwaysSetRequestIdInResponse'
  | 'schemeOverwrite'
  | 'via'
  | 'addUserAgent'
> {
  const scheme = manager.scheme_header_transformation?.scheme_to_overwrite
  const ranges = manager.internal_address_config?.cidr_ranges ?? []
  return {
    serverName: manager.server_name || 'envoy',
    serverHeader: serverHeaders[manager.server_header_transformation ?? 'OVERWRITE'],
    useRemoteAddress: manager.use_remote_address ?? false,
    xffTrustedHops: manager.xff_num_trusted_hops ?? 0,
    skipXffAppend: manager.skip_xff_append ?? false,
    appendXForwardedPort: manager.append_x_forwarded_port ?? false,
    internalAddresses: ranges.flatMap((range) => compileCidr(context, range) ?? []),
    generateRequestId: manager.generate_request_id ?? true,
    preserveExternalRequestId: manager.preserve_external_request_id ?? false,
    alwaysSetRequestIdInResponse: manager.always_set_request_id_in_response ?? false,
    schemeOverwrite: scheme === 'http' || scheme === 'https' ? scheme : '',
    via: manager.via ?? '',
    addUserAgent: manager.add_user_agent ?? false,
  }
}

/** What is done to the path and the host before routing. */
function pathSettings(
  context: Context,
  manager: HttpConnectionManager,
): Settings<
  'normalizePath' | 'mergeSlashes' | 'escapedSlashes' | 'stripPort' | 'stripTrailingDot'
> {
  const { strip_matching_host_port: matching, strip_any_host_port: any } = manager
  if (matching && any) {
    const text = 'excludes strip_matching_host_port, which is set here too'
    context.origins.add(manager, ['strip_any_host_port'], 'conflict', text)
  }
  const slashes = manager.path_with_escaped_slashes_action ?? 'KEEP_UNCHANGED'
  return {
    normalizePath: manager.normalize_path ?? false,
    mergeSlashes: manager.merge_slashes ?? false,
    escapedSlashes: escapedSlashes[slashes],
    stripPort: any ? 'any' : matching ? 'matching' : 'none',
    stripTrailingDot: manager.strip_trailing_host_dot ?? false,
  }
}

function timeouts(
  manager: HttpConnectionManager,
): Settings<
  | 'idleTimeout'
  | 'streamIdleTimeout'
  | 'streamFlushTimeout'
  | 'requestTimeout'
  | 'requestHeadersTimeout'
  | 'delayedCloseTimeout'
  | 'drainTimeout'
  | 'maxConnectionDuration'
  | 'maxStreamDuration'
> {
  const common: HttpProtocolOptions = manager.common_http_protocol_options ?? {}
  const streamIdleTimeout = manager.stream_idle_timeout ?? 300_000
  return {
    idleTimeout: common.idle_timeout ?? kHour,
    streamIdleTimeout,
    // `stream_flush_timeout` is younger than the API that the schema is made from; its default is
    // this.
    streamFlushTimeout: streamIdleTimeout,
    requestTimeout: manager.request_timeout ?? 0,
    requestHeadersTimeout: manager.request_headers_timeout ?? 0,
    delayedCloseTimeout: manager.delayed_close_timeout ?? 1000,
    drainTimeout: manager.drain_timeout ?? 5000,
    maxConnectionDuration: common.max_connection_duration ?? 0,
    maxStreamDuration: common.max_stream_duration ?? 0,
  }
}

function http1Settings(
  context: Context,
  manager: HttpConnectionManager,
): Settings<
  | 'underscores'
  | 'proxy100Continue'
  | 'maxRequestsPerConnection'
  | 'maxRequestHeaderBytes'
  | 'maxHeaders'
  | 'acceptHttp10'
  | 'defaultHostForHttp10'
  | 'enableTrailers'
  | 'allowAbsoluteUrl'
  | 'headerCase'
  | 'halfCloseFlag'
  | 'mostHeldFlag'
> {
  const common: HttpProtocolOptions = manager.common_http_protocol_options ?? {}
  const http1 = manager.http_protocol_options ?? {}
  return {
    underscores: underscores[common.headers_with_underscores_action ?? 'ALLOW'],
    proxy100Continue: manager.proxy_100_continue ?? false,
    maxRequestsPerConnection: common.max_requests_per_connection ?? 0,
    maxRequestHeaderBytes: (manager.max_request_headers_kb ?? 60) * 1024,
    maxHeaders: common.max_headers_count ?? 100,
    acceptHttp10: http1.accept_http_10 ?? false,
    defaultHostForHttp10: http1.default_host_for_http_10 ?? '',
    enableTrailers: http1.enable_trailers ?? false,
    allowAbsoluteUrl: http1.allow_absolute_url ?? true,
    headerCase: http1.header_key_format?.proper_case_words ? 'proper-case' : 'keep',
    halfCloseFlag: context.resolver.runtime(kHalfClose),
    mostHeldFlag: context.resolver.runtime(kMostHeld),
  }
}

function compileCidr(context: Context, range: CidrRange): NativeCidr | undefined {
  const { address_prefix: ip = '', prefix_len: bits = 0 } = range
  const version = isIP(ip)
  if (version === 0) {
    context.origins.add(range, ['address_prefix'], 'bad-value', `"${ip}" is not an IP address`)
    return undefined
  }
  const most = version === 4 ? 32 : 128
  if (bits > most)
    context.origins.add(range, ['prefix_len'], 'bad-value', `must be at most ${most}`)
  return { ip, bits }
}
