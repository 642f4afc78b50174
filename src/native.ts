/**
 * The addon's surface: the only file that loads it. What is passed in is already checked and
 * complete: defaults filled in, names resolved to slots, regular expressions and formats compiled.
 * The addon checks types again and throws a `TypeError` with the path of what is wrong; that would
 * be a defect of ours, never of the user's configuration.
 *
 * Durations are milliseconds, sizes bytes. Times on the wall are milliseconds since 1970.
 */

import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MillraceError } from './errors.ts'

/** Where to listen or to connect: an IP literal and a port, or a unix socket ('@…': abstract). */
export type NativeAddress =
  | { readonly ip: string; readonly port: number }
  | { readonly path: string; readonly mode?: number }

/** An index into the slot table; made by {@link NativeCore.allocateSlot}. */
export type SlotId = number
/** An index into the runtime snapshot, made when a configuration is compiled; -1: no key. */
export type RuntimeIndex = number

// ---- Matching -----------------------------------------------------------------------------------

/** A DFA over the whole input. State 0 is dead; `next[state * classCount + classes[byte]]`. */
export interface NativeDfa {
  readonly classes: Uint8Array
  readonly classCount: number
  readonly next: Uint16Array
  readonly accepting: Uint8Array
  readonly start: number
}

/**
 * A program for the linear-time (Pike) matcher, for substitution, where captures are needed;
 * leftmost-first as RE2. Instructions are triples [op, x, y]: 0 byte-class x · 1 split x
 * (preferred) y · 2 jump x · 3 save x · 4 match · 5 assert begin · 6 assert end. `sets`: 32 bytes
 * (256 bits, least significant first) for each class.
 */
export interface NativeRegexProgram {
  readonly code: Int32Array
  readonly sets: Uint8Array
  /** Number of groups, the whole match included. */
  readonly groups: number
}

/** Every match is replaced; a number stands for the text of that group. */
export interface NativeRegexRewrite {
  readonly program: NativeRegexProgram
  readonly substitution: readonly (string | number)[]
}

export interface NativeStringMatcher {
  readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains' | 'regex'
  readonly value?: string
  readonly dfa?: NativeDfa
  readonly ignoreCase?: boolean
}

export interface NativeHeaderMatcher {
  /** Lower case; `:method`, `:path`, `:authority`, `:scheme` too. */
  readonly name: string
  readonly kind: 'present' | 'range' | 'string'
  readonly string?: NativeStringMatcher
  /** For `present`: whether it must be present. */
  readonly present?: boolean
  /** For `range`: start (inclusive) and end (exclusive) of a decimal integer. */
  readonly range?: readonly [number, number]
  readonly invert?: boolean
  readonly treatMissingAsEmpty?: boolean
}

export interface NativeQueryMatcher {
  readonly name: string
  readonly string?: NativeStringMatcher
  readonly present?: boolean
}

/** numerator / denominator (100, 10,000 or 1,000,000) of requests, or what the runtime says. */
export interface NativeFraction {
  readonly flag: RuntimeIndex
  readonly numerator: number
  readonly denominator: number
}

// ---- Formats ------------------------------------------------------------------------------------

/** A literal, or an operator: `%REQ(X?Y):Z%` is { op: 'REQ', a: 'x', b: 'y', max: Z }. */
export type NativeFormatOp =
  | string
  | {
      readonly op: string
      readonly a?: string
      readonly b?: string
      readonly c?: string
      readonly max?: number
    }

export type NativeJsonNode =
  | { readonly kind: 'object'; readonly entries: readonly (readonly [string, NativeJsonNode])[] }
  | { readonly kind: 'list'; readonly items: readonly NativeJsonNode[] }
  /** One operator alone keeps its type (number, null); anything else is a string. */
  | { readonly kind: 'value'; readonly ops: readonly NativeFormatOp[] }
  /** Ready JSON text. */
  | { readonly kind: 'literal'; readonly json: string }

export type NativeFormat =
  | { readonly mode: 'text'; readonly ops: readonly NativeFormatOp[]; readonly omitEmpty?: boolean }
  | { readonly mode: 'json'; readonly root: NativeJsonNode; readonly omitEmpty: boolean }

export type NativeLogFilter =
  | {
      readonly kind: 'status' | 'duration'
      readonly op: 'eq' | 'ge' | 'le' | 'ne'
      readonly value: number
      readonly flag: RuntimeIndex
    }
  | { readonly kind: 'and' | 'or'; readonly filters: readonly NativeLogFilter[] }
  | { readonly kind: 'header'; readonly header: NativeHeaderMatcher }
  /** Empty: any flag. Short names (`UH`, `NR`). */
  | { readonly kind: 'flag'; readonly flags: readonly string[] }

export interface NativeAccessLog {
  /** From {@link NativeCore.openLog}. */
  readonly log: number
  readonly format: NativeFormat
  readonly filter?: NativeLogFilter
}

// ---- Routes -------------------------------------------------------------------------------------

export interface NativeHeaderValue {
  readonly name: string
  readonly value: readonly NativeFormatOp[]
  readonly action: 'append' | 'add-if-absent' | 'overwrite' | 'overwrite-if-exists'
  readonly keepEmpty: boolean
}

export interface NativeHeaderMutations {
  readonly add: readonly NativeHeaderValue[]
  readonly remove: readonly string[]
}

export interface NativeWeightedCluster {
  /** Empty when the name comes from `header`. */
  readonly name: string
  readonly slot: SlotId
  readonly header?: string
  readonly weight: number
  readonly request?: NativeHeaderMutations
  readonly response?: NativeHeaderMutations
  readonly hostRewrite?: string
}

export type NativeClusterChoice =
  | { readonly kind: 'cluster'; readonly name: string; readonly slot: SlotId }
  | { readonly kind: 'header'; readonly header: string }
  | {
      readonly kind: 'weighted'
      readonly clusters: readonly NativeWeightedCluster[]
      readonly totalWeight: number
      /** Request header whose number chooses instead of chance. */
      readonly header?: string
    }

export type NativeHostRewrite =
  | { readonly kind: 'literal'; readonly value: string }
  | { readonly kind: 'auto' }
  | { readonly kind: 'header'; readonly header: string }
  | { readonly kind: 'path-regex'; readonly rewrite: NativeRegexRewrite }

export interface NativeForward {
  readonly kind: 'forward'
  readonly cluster: NativeClusterChoice
  /** 503, 404 or 500. */
  readonly clusterNotFoundStatus: number
  /** 0: none. Starts when the whole request has been received. */
  readonly timeout: number
  /** -1: the connection manager's stream idle timeout; 0: none. */
  readonly idleTimeout: number
  readonly priority: 'default' | 'high'
  readonly prefixRewrite?: string
  readonly regexRewrite?: NativeRegexRewrite
  readonly hostRewrite?: NativeHostRewrite
  readonly appendXForwardedHost?: boolean
}

export interface NativeRedirect {
  readonly kind: 'redirect'
  /** 301, 302, 303, 307 or 308. */
  readonly status: number
  readonly https?: boolean
  readonly scheme?: string
  readonly host?: string
  readonly port?: number
  /** Whole path (may carry a query), or a new prefix, or a rewrite. */
  readonly path?: string
  readonly prefixRewrite?: string
  readonly regexRewrite?: NativeRegexRewrite
  readonly stripQuery?: boolean
}

export interface NativeDirectResponse {
  readonly kind: 'respond'
  readonly status: number
  readonly body: Uint8Array
}

export type NativeRouteAction = NativeForward | NativeRedirect | NativeDirectResponse

export interface NativeRouteMatch {
  readonly kind: 'prefix' | 'path' | 'separated-prefix' | 'regex'
  readonly value?: string
  readonly dfa?: NativeDfa
  readonly caseSensitive: boolean
  readonly headers?: readonly NativeHeaderMatcher[]
  readonly query?: readonly NativeQueryMatcher[]
  readonly fraction?: NativeFraction
}

export interface NativeRoute {
  readonly name: string
  readonly match: NativeRouteMatch
  readonly action: NativeRouteAction
  readonly request?: NativeHeaderMutations
  readonly response?: NativeHeaderMutations
}

export interface NativeVirtualHost {
  readonly name: string
  /** Lower case; exact, `*.suffix`, `prefix.*` or `*`. */
  readonly domains: readonly string[]
  readonly requireTls: 'none' | 'external' | 'all'
  readonly routes: readonly NativeRoute[]
  readonly request?: NativeHeaderMutations
  readonly response?: NativeHeaderMutations
}

export interface NativeRouteTable {
  readonly name: string
  readonly virtualHosts: readonly NativeVirtualHost[]
  readonly request?: NativeHeaderMutations
  readonly response?: NativeHeaderMutations
  readonly mostSpecificMutationsWin: boolean
  readonly ignorePortInHost: boolean
  /** Lower case; removed from requests / responses that come from outside. */
  readonly internalOnlyHeaders: readonly string[]
}

// ---- Listeners ----------------------------------------------------------------------------------

export interface NativeCidr {
  readonly ip: string
  readonly bits: number
}

export interface NativeHttpManager {
  readonly kind: 'http'
  readonly statPrefix: string
  readonly codec: 'auto' | 'http1'
  /** The slot of the route table. */
  readonly routes: SlotId
  readonly serverName: string
  readonly serverHeader: 'overwrite' | 'append-if-absent' | 'pass-through'
  readonly useRemoteAddress: boolean
  readonly xffTrustedHops: number
  readonly skipXffAppend: boolean
  readonly appendXForwardedPort: boolean
  readonly internalAddresses: readonly NativeCidr[]
  readonly generateRequestId: boolean
  readonly preserveExternalRequestId: boolean
  readonly alwaysSetRequestIdInResponse: boolean
  readonly normalizePath: boolean
  readonly mergeSlashes: boolean
  readonly escapedSlashes: 'keep' | 'reject' | 'redirect' | 'forward'
  readonly underscores: 'allow' | 'reject' | 'drop'
  readonly proxy100Continue: boolean
  readonly stripPort: 'none' | 'matching' | 'any'
  readonly stripTrailingDot: boolean
  /** Empty: not overwritten. */
  readonly schemeOverwrite: '' | 'http' | 'https'
  /** Empty: no Via. */
  readonly via: string
  /** `add_user_agent` of the connection manager. */
  readonly addUserAgent: boolean
  readonly suppressEnvoyHeaders: boolean
  // Timeouts, SEMANTICS "HCM timeouts and limits"; 0: off.
  readonly idleTimeout: number
  readonly streamIdleTimeout: number
  readonly streamFlushTimeout: number
  readonly requestTimeout: number
  readonly requestHeadersTimeout: number
  readonly delayedCloseTimeout: number
  readonly maxConnectionDuration: number
  readonly maxStreamDuration: number
  readonly maxRequestsPerConnection: number
  readonly maxRequestHeaderBytes: number
  readonly maxHeaders: number
  readonly acceptHttp10: boolean
  /** Empty: a 1.0 request without Host is refused. */
  readonly defaultHostForHttp10: string
  readonly enableTrailers: boolean
  readonly allowAbsoluteUrl: boolean
  /** `proper-case`: response header names are written in Train-Case. */
  readonly headerCase: 'keep' | 'proper-case'
  readonly accessLogs: readonly NativeAccessLog[]
}

export interface NativeTcpProxy {
  readonly kind: 'tcp'
  readonly statPrefix: string
  readonly cluster: NativeClusterChoice
  /** 0: none. */
  readonly idleTimeout: number
  readonly maxConnectAttempts: number
  readonly maxDownstreamDuration: number
  readonly accessLogs: readonly NativeAccessLog[]
}

export interface NativeFilterChain {
  readonly name: string
  /** 0: any. */
  readonly destinationPort: number
  readonly filter: NativeHttpManager | NativeTcpProxy
}

export interface NativeListener {
  readonly name: string
  readonly addresses: readonly NativeAddress[]
  readonly statPrefix: string
  readonly reusePort: boolean
  /** 0: the system's (somaxconn). */
  readonly backlog: number
  readonly ipv4Compat: boolean
  readonly freebind: boolean
  readonly transparent: boolean
  readonly bufferLimit: number
  /** Of `envoy.resource_limits.listener.<name>.connection_limit`; -1: none. */
  readonly connectionLimitFlag: RuntimeIndex
  readonly filterChains: readonly NativeFilterChain[]
  readonly defaultFilterChain?: NativeFilterChain
  readonly drainType: 'default' | 'modify-only'
}

// ---- Clusters -----------------------------------------------------------------------------------

export interface NativeBreaker {
  readonly maxConnections: number
  readonly maxPendingRequests: number
  readonly maxRequests: number
  readonly maxRetries: number
}

export interface NativeHost {
  readonly address: NativeAddress
  /** For `auto` host rewriting; empty: none. */
  readonly hostname: string
  readonly weight: number
  readonly healthy: boolean
}

export interface NativeCluster {
  readonly name: string
  /** `alt_stat_name`, or the name. */
  readonly statName: string
  readonly hosts: readonly NativeHost[]
  readonly connectTimeout: number
  /** Of an idle pooled connection; 0: none. */
  readonly idleTimeout: number
  readonly maxConnectionDuration: number
  readonly maxRequestsPerConnection: number
  readonly bufferLimit: number
  readonly maxResponseHeaderBytes: number
  readonly maxResponseHeaders: number
  readonly enableTrailers: boolean
  readonly breakers: { readonly default: NativeBreaker; readonly high: NativeBreaker }
  /** Seconds; absent: off. */
  readonly keepalive?: { readonly idle: number; readonly interval: number; readonly probes: number }
  readonly bind?: NativeAddress
}

// ---- The core -----------------------------------------------------------------------------------

/** A runtime value; `denominator` 0: the code's own default denominator. null: no such key. */
export type NativeRuntimeValue = { readonly value: number; readonly denominator: number } | null

export interface NativeLogOptions {
  /** A path, or 1 / 2 for stdout / stderr. */
  readonly target: string | 1 | 2
  readonly flushInterval: number
  /** Ring of one worker, bytes. */
  readonly ringBytes: number
}

export interface NativeLogStats {
  readonly target: string
  readonly lines: number
  readonly bytes: number
  readonly droppedLines: number
  readonly bufferedBytes: number
  readonly writeErrors: number
  readonly reopens: number
  /** Text of the last error, '' when writing works. */
  readonly lastError: string
}

export interface NativeCoreOptions {
  readonly concurrency: number
  /** Called on the main thread. */
  readonly onEvent?: (event: NativeEvent) => void
}

/**
 * Something that a person may want to know. `subject`: the log's target, or the listener's name.
 */
export interface NativeEvent {
  readonly kind: 'log-failing' | 'log-recovered' | 'log-reopen-failed' | 'accept-paused'
  readonly subject: string
  readonly message: string
}

export interface NativeWorkerStats {
  readonly connections: number
  readonly requests: number
  /** ns spent outside poll, since the start. */
  readonly busyNs: number
  readonly turns: number
  /** Connections that were handed to / received from another worker. */
  readonly handedOver: number
  readonly received: number
  /** Published version minus the version that this worker has taken. */
  readonly lag: number
}

export interface NativeHistogram {
  readonly count: number
  readonly sum: number
  readonly min: number
  readonly max: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  /** Cumulative counts for the bounds given to {@link NativeCore.readStats}. */
  readonly cumulative: readonly number[]
}

export interface NativeStat {
  readonly name: string
  /** Flat: key, value, key, value. */
  readonly tags: readonly string[]
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly value: number
  readonly histogram?: NativeHistogram
}

export interface NativeHostStats {
  readonly address: string
  readonly hostname: string
  readonly weight: number
  readonly healthy: boolean
  readonly cxActive: number
  readonly cxTotal: number
  readonly cxConnectFail: number
  readonly rqActive: number
  readonly rqTotal: number
  readonly rqSuccess: number
  readonly rqError: number
  readonly rqTimeout: number
}

export interface NativeStopReport {
  /** Connections that were still open and were cut. */
  readonly connectionsCut: number
  /** What could not be written before the deadline, for each log that lost any. */
  readonly logsLost: readonly {
    readonly target: string
    readonly lines: number
    readonly bytes: number
  }[]
}

/**
 * One group of workers with its slot table. Main thread only. Publishes of one turn of the event
 * loop reach the workers with one wake-up.
 */
export interface NativeCore {
  /** Workers begin to turn. Listeners can be added before and after. */
  start(): void
  /** Closes every listener and connection, flushes the logs, joins the workers. */
  stop(deadline: number): Promise<NativeStopReport>

  allocateSlot(name: string): SlotId
  releaseSlot(slot: SlotId): void
  publishRoutes(slot: SlotId, table: NativeRouteTable): void
  /** Hosts whose address stays keep their identity: counters and pooled connections live on. */
  publishCluster(slot: SlotId, cluster: NativeCluster): void
  /** Requests then answer as for an unknown cluster; the slot stays allocated. */
  withdrawCluster(slot: SlotId): void
  /** Names for `cluster_header`: flat [name, slot, …]. */
  publishDirectory(names: readonly (string | number)[]): void
  publishRuntime(values: readonly NativeRuntimeValue[]): void
  /** Text of the Date header and when it was formatted. */
  publishDate(text: string): void

  openLog(options: NativeLogOptions): number
  closeLog(log: number): void
  /** Reopens all files; the errors of those that could not be (they keep their old file). */
  reopenLogs(): readonly { readonly target: string; readonly message: string }[]
  logStats(): readonly NativeLogStats[]

  /** Binds and listens. Throws with the address and errno's name; nothing is left open then. */
  addListener(listener: NativeListener): readonly string[]
  /** Same addresses, new filter chains; connections keep the chain that they were accepted with. */
  updateListener(listener: NativeListener): void
  /** Stops accepting; connections go on, and are told to close as they answer. */
  drainListener(name: string): void
  /** Closes the listener's sockets, and after `graceMs` the connections that are left. */
  removeListener(name: string, graceMs: number): void
  /** Responses carry `Connection: close`; idle connections are closed, over `spreadMs`. */
  drainAll(spreadMs: number): void
  /** Answers of health-check filters and drain decisions follow this. */
  setHealthFailed(failed: boolean): void

  workerStats(): readonly NativeWorkerStats[]
  /** `bounds`: upper bounds of the histograms' cumulative counts. */
  readStats(bounds: readonly number[]): readonly NativeStat[]
  clusterHosts(slot: SlotId): readonly NativeHostStats[]
  /** Open connections accepted by listeners. */
  connectionCount(): number
  listenerConnections(name: string): number
  resetCounters(): void
}

export interface NativeModule {
  readonly version: string
  /** E.g. `['sse4.2', 'avx2']`. */
  readonly cpuFeatures: readonly string[]
  createCore(options: NativeCoreOptions): NativeCore
}

// ---- Loading ------------------------------------------------------------------------------------

/** No binary of the native core fits this machine, or the one that is there cannot be loaded. */
export class NativeLoadError extends MillraceError {
  constructor(message: string) {
    super('ERR_MILLRACE_NATIVE_MISSING', message)
  }
}

/** Builds the addon inside an installed package; run it where `node_modules` is. */
export const buildFromSource: string =
  'npm install --no-save node-addon-api@8 node-gyp@12 && ' +
  'npx node-gyp rebuild --directory=node_modules/millrace/native/from_source'

let loaded: NativeModule | undefined

/** The addon: this platform's published binary, or one that was built here. Loaded once. */
export function loadNative(): NativeModule {
  loaded ??= load()
  return loaded
}

function load(): NativeModule {
  const require = createRequire(import.meta.url)
  const root = fileURLToPath(new URL('..', import.meta.url))
  const reasons: string[] = []
  const candidates = [
    (): unknown => require('node-gyp-build')(root),
    (): unknown => require(join(root, 'native/from_source/build/Release/millrace.node')),
  ]
  for (const candidate of candidates) {
    try {
      return candidate() as NativeModule
    } catch (error) {
      reasons.push(error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error))
    }
  }
  throw new NativeLoadError(
    [
      `no native core for ${process.platform}-${process.arch}, Node ${process.versions.node}:`,
      ...reasons.map((reason) => `  - ${reason}`),
      'Build it from source (needs a C++20 compiler, make and Python 3):',
      `  ${buildFromSource}`,
    ].join('\n'),
  )
}
