/** Active health checks of a cluster. */

import type {
  GrpcCheckDefinition,
  HealthCheckDefinition,
  HttpCheckDefinition,
  StatusRange,
  TcpCheckDefinition,
} from '../definitions.ts'
import type {
  Cluster,
  HeaderValueOption,
  HealthCheck,
  HealthCheckGrpcHealthCheck,
  HealthCheckHttpHealthCheck,
  HealthCheckPayload,
  HealthCheckTcpHealthCheck,
  Int64Range,
} from '../schema/messages.generated.ts'
import { type Context, unpack } from './context.ts'
import { compileString } from './matchers.ts'

const kUint32Max = 0xffff_ffff
const kMinute = 60_000
const kBodyBytes = 1024
const kFileSink = 'envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink'

export function compileHealthCheck(
  context: Context,
  cluster: Cluster,
): HealthCheckDefinition | undefined {
  const [message, another] = cluster.health_checks ?? []
  if (message === undefined) return undefined
  if (another !== undefined) {
    const text = 'a cluster has one health check, as in Envoy'
    context.origins.add(cluster, ['health_checks', 1], 'bad-value', text)
  }
  const check = compileCheck(context, message)
  return check && { ...compileTimes(context, message), check }
}

function compileTimes(
  context: Context,
  message: HealthCheck,
): Omit<HealthCheckDefinition, 'check'> {
  const { interval = 0 } = message
  const unhealthyInterval = message.unhealthy_interval ?? interval
  const noTrafficInterval = message.no_traffic_interval ?? kMinute
  return {
    timeout: message.timeout ?? 0,
    interval,
    initialJitter: message.initial_jitter ?? 0,
    intervalJitter: message.interval_jitter ?? 0,
    intervalJitterPercent: message.interval_jitter_percent ?? 0,
    unhealthyThreshold: message.unhealthy_threshold ?? 1,
    healthyThreshold: message.healthy_threshold ?? 1,
    reuseConnection: message.reuse_connection ?? true,
    noTrafficInterval,
    noTrafficHealthyInterval: message.no_traffic_healthy_interval ?? noTrafficInterval,
    unhealthyInterval,
    unhealthyEdgeInterval: message.unhealthy_edge_interval ?? unhealthyInterval,
    healthyEdgeInterval: message.healthy_edge_interval ?? interval,
    minInterval: runtimeNumber(context, 'health_check.min_interval', 0),
    maxInterval: runtimeNumber(context, 'health_check.max_interval', Number.MAX_SAFE_INTEGER),
    eventLogs: eventLogs(context, message),
    alwaysLogFailures: message.always_log_health_check_failures ?? false,
    alwaysLogSuccess: message.always_log_health_check_success ?? false,
  }
}

/** A whole number of the runtime; one below 0 is none, as for Envoy's unsigned keys. */
export function runtimeNumber(context: Context, key: string, otherwise: number): number {
  const value = context.runtime.get(key)
  return typeof value === 'number' && value >= 0
    ? Math.min(Math.floor(value), kUint32Max)
    : otherwise
}

function eventLogs(context: Context, message: HealthCheck): string[] {
  const paths = message.event_log_path ? [message.event_log_path] : []
  for (const { typed_config: config } of message.event_logger ?? []) {
    const sink = unpack(config, kFileSink)
    if (sink?.event_log_path) paths.push(sink.event_log_path)
    else if (config !== undefined && sink === undefined) {
      context.origins.add(config, undefined, 'bad-value', 'is no sink of health check events')
    }
  }
  return [...new Set(paths)]
}

function compileCheck(
  context: Context,
  message: HealthCheck,
): HealthCheckDefinition['check'] | undefined {
  const { http_health_check: http, tcp_health_check: tcp, grpc_health_check: grpc } = message
  if (http !== undefined) return compileHttp(context, http)
  if (tcp !== undefined) return compileTcp(context, tcp)
  return grpc && compileGrpc(context, grpc)
}

function compileHttp(context: Context, message: HealthCheckHttpHealthCheck): HttpCheckDefinition {
  const { method = 'METHOD_UNSPECIFIED', service_name_matcher: matcher } = message
  const serviceName = matcher && compileString(context, matcher)
  const expected = statusRanges(context, message, 'expected_statuses')
  return {
    kind: 'http',
    host: message.host ?? '',
    path: message.path ?? '/',
    method: method === 'METHOD_UNSPECIFIED' ? 'GET' : method,
    addHeaders: (message.request_headers_to_add ?? []).map((option) => ({
      ...headerValue(context, option),
      append: appends(option),
    })),
    removeHeaders: (message.request_headers_to_remove ?? []).map((name) => name.toLowerCase()),
    expected: expected.length > 0 ? expected : [[200, 201]],
    retriable: statusRanges(context, message, 'retriable_statuses'),
    receive: payloads(context, message.receive),
    bodyBytes: message.response_buffer_size ?? kBodyBytes,
    ...(serviceName && { serviceName }),
  }
}

function compileTcp(context: Context, message: HealthCheckTcpHealthCheck): TcpCheckDefinition {
  const [send = new Uint8Array()] = payloads(context, message.send && [message.send])
  return { kind: 'tcp', send, receive: payloads(context, message.receive) }
}

function compileGrpc(context: Context, message: HealthCheckGrpcHealthCheck): GrpcCheckDefinition {
  return {
    kind: 'grpc',
    serviceName: message.service_name ?? '',
    authority: message.authority ?? '',
    metadata: (message.initial_metadata ?? []).map((option) => {
      const { name, value } = headerValue(context, option)
      if (name.endsWith('-bin')) {
        const text = 'binary metadata is not supported yet'
        context.origins.add(option, ['header'], 'not-supported', text)
      }
      return [name, value] as const
    }),
  }
}

const appends = ({ append, append_action: action }: HeaderValueOption): boolean =>
  append ?? (action === undefined || action === 'APPEND_IF_EXISTS_OR_ADD')

function headerValue(
  context: Context,
  option: HeaderValueOption,
): { readonly name: string; readonly value: string } {
  const { key = '', value = '' } = option.header ?? {}
  if (value.replaceAll('%%', '').includes('%')) {
    const text = 'a health check has no request that a value could be made of'
    context.origins.add(option, ['header'], 'not-supported', text, 'write % as %%')
  }
  return { name: key.toLowerCase(), value: value.replaceAll('%%', '%') }
}

function statusRanges(
  context: Context,
  message: HealthCheckHttpHealthCheck,
  field: 'expected_statuses' | 'retriable_statuses',
): StatusRange[] {
  return (message[field] ?? []).map((range: Int64Range, i): StatusRange => {
    const { start = 0, end = 0 } = range
    if (start < 100 || end > 600 || start >= end) {
      const text = `[${start}, ${end}) is no range of statuses from 100 to below 600`
      context.origins.add(message, [field, i], 'bad-value', text)
    }
    return [start, end]
  })
}

function payloads(context: Context, messages: readonly HealthCheckPayload[] = []): Uint8Array[] {
  return messages.flatMap((payload) => {
    if (payload.binary !== undefined) return [payload.binary]
    const { text } = payload
    if (text === undefined) return []
    if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
      const what = 'is bytes as hexadecimal digits, two for each'
      context.origins.add(payload, ['text'], 'bad-value', what, 'e.g. 50494e47 for PING')
      return []
    }
    return [new Uint8Array(Buffer.from(text, 'hex'))]
  })
}
