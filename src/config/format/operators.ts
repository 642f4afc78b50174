/** The operators of format strings that are built, and what each takes in its parentheses. */

/** `length`: takes `:Z`, the greatest number of characters. */
export interface Operator {
  readonly parameters: 'none' | 'optional' | 'required'
  readonly length: boolean
}

const plain: Operator = { parameters: 'none', length: false }
const header: Operator = { parameters: 'required', length: true }
const option: Operator = { parameters: 'optional', length: false }

const addresses = [
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_REMOTE_ADDRESS',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS',
  'UPSTREAM_LOCAL_ADDRESS',
  'UPSTREAM_REMOTE_ADDRESS',
].flatMap((name) => [name, `${name}_WITHOUT_PORT`, name.replace(/ADDRESS$/, 'PORT')])

const plainNames = [
  ...addresses,
  'ACCESS_LOG_TYPE',
  'BYTES_RECEIVED',
  'BYTES_SENT',
  'CONNECTION_ID',
  'CONNECTION_TERMINATION_DETAILS',
  'DOWNSTREAM_HEADER_BYTES_RECEIVED',
  'DOWNSTREAM_HEADER_BYTES_SENT',
  'DOWNSTREAM_WIRE_BYTES_RECEIVED',
  'DOWNSTREAM_WIRE_BYTES_SENT',
  'DURATION',
  'FILTER_CHAIN_NAME',
  'HOSTNAME',
  'LOCAL_REPLY_BODY',
  'PROTOCOL',
  'REQUESTED_SERVER_NAME',
  'REQUEST_DURATION',
  'REQUEST_TX_DURATION',
  'RESPONSE_CODE',
  'RESPONSE_DURATION',
  'RESPONSE_FLAGS',
  'RESPONSE_FLAGS_LONG',
  'RESPONSE_TX_DURATION',
  'ROUNDTRIP_DURATION',
  'ROUTE_NAME',
  'STREAM_ID',
  'UNIQUE_ID',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_CONNECTION_ID',
  'UPSTREAM_HEADER_BYTES_RECEIVED',
  'UPSTREAM_HEADER_BYTES_SENT',
  'UPSTREAM_HOST',
  'UPSTREAM_PROTOCOL',
  'UPSTREAM_REQUEST_ATTEMPT_COUNT',
  'UPSTREAM_TRANSPORT_FAILURE_REASON',
  'UPSTREAM_WIRE_BYTES_RECEIVED',
  'UPSTREAM_WIRE_BYTES_SENT',
  'VIRTUAL_HOST_NAME',
]

export const kOperators: ReadonlyMap<string, Operator> = new Map([
  ...plainNames.map((name) => [name, plain] as const),
  ['REQ', header],
  ['RESP', header],
  ['TRAILER', header],
  ['QUERY_PARAM', header],
  ['ENVIRONMENT', header],
  ['RESPONSE_CODE_DETAILS', option],
  ['PATH', { parameters: 'optional', length: true }],
  ['START_TIME', option],
  ['EMIT_TIME', option],
  ['COMMON_DURATION', { parameters: 'required', length: false }],
])

/** Newer names for older operators. */
export const kAliases: ReadonlyMap<string, string> = new Map([
  ['REQUEST_HEADER', 'REQ'],
  ['RESPONSE_HEADER', 'RESP'],
  ['RESPONSE_TRAILER', 'TRAILER'],
])

/** Operators of Envoy whose value nothing here can give yet: refused by name, not as unknown. */
export const kLaterOperators: ReadonlyMap<string, string> = new Map([
  ...['VERSION', 'CIPHER', 'SESSION_ID'].map(
    (name) => [`DOWNSTREAM_TLS_${name}`, 'TLS is not built yet'] as const,
  ),
  ...[
    'URI_SAN',
    'DNS_SAN',
    'IP_SAN',
    'SUBJECT',
    'ISSUER',
    'SERIAL',
    'FINGERPRINT_256',
    'FINGERPRINT_1',
    'CERT',
    'CERT_V_START',
    'CERT_V_END',
  ].map((name) => [`DOWNSTREAM_PEER_${name}`, 'TLS is not built yet'] as const),
  ['TLS_JA3_FINGERPRINT', 'TLS is not built yet'],
  ['TLS_JA4_FINGERPRINT', 'TLS is not built yet'],
  ['DOWNSTREAM_HANDSHAKE_DURATION', 'TLS is not built yet'],
  ['DYNAMIC_METADATA', 'metadata is not built yet'],
  ['CLUSTER_METADATA', 'metadata is not built yet'],
  ['UPSTREAM_METADATA', 'metadata is not built yet'],
  ['METADATA', 'metadata is not built yet'],
  ['PER_REQUEST_STATE', 'filter state is not built yet'],
  ['FILTER_STATE', 'filter state is not built yet'],
  ['UPSTREAM_FILTER_STATE', 'filter state is not built yet'],
  ['GRPC_STATUS', 'gRPC is not built yet'],
  ['GRPC_STATUS_NUMBER', 'gRPC is not built yet'],
  ['TRACE_ID', 'tracing is not built yet'],
  ['VIRTUAL_CLUSTER_NAME', 'virtual clusters are not built yet'],
])

/** Points in time of `COMMON_DURATION(from:to:unit)`. */
export const kTimePoints: readonly string[] = [
  'DS_CX_BEG',
  'DS_CX_END',
  'DS_RX_BEG',
  'DS_RX_END',
  'US_CX_BEG',
  'US_CX_END',
  'US_TX_BEG',
  'US_TX_END',
  'US_RX_BEG',
  'US_RX_END',
  'DS_TX_BEG',
  'DS_TX_END',
]
export const kTimeUnits: readonly string[] = ['ms', 'us', 'ns']
export const kPathQuery: readonly string[] = ['WQ', 'NQ']
export const kPathSource: readonly string[] = ['ORIG', 'PATH', 'ORIG_OR_PATH']

/**
 * What may follow a `%` in the format of a time (strftime's letters in the C locale); `f`, `3f` are
 * fractions.
 */
export const kTimeConversions: string = 'aAbBCcdDeFhHIjmMprRsSTuwxXyYzZ%'
