/** What the main thread does for a cluster: where hosts come from, how their health is judged. */

import type {
  NativeAddress,
  NativeCluster,
  NativeHost,
  NativeLocality,
  NativeStringMatcher,
} from '../native/index.ts'

/** How one host is checked, where that differs from its cluster. */
export interface HostCheck {
  /** Another one than the host's own. */
  readonly address?: NativeAddress
  /** Instead of the port of the address. */
  readonly port?: number
  /** For the Host header or the authority. */
  readonly hostname?: string
  readonly disabled?: boolean
}

/** A host as discovery finds it; the cluster manager gives it its id. */
export type HostDefinition = Omit<NativeHost, 'id'> & {
  readonly check?: HostCheck
}

/** Hosts and where they are; a host names its locality by index. */
export interface EndpointsDefinition {
  readonly hosts: readonly HostDefinition[]
  readonly localities: readonly NativeLocality[]
  /** What an assignment says of balancing, over what its cluster says. */
  readonly lb?: Partial<NativeCluster['lb']>
}

/** A `ClusterLoadAssignment` from a file. */
export interface Assignment extends EndpointsDefinition {
  /** ms; without another one within it, its hosts count as unhealthy. */
  readonly staleAfter?: number
}

export type DnsFamily = 'auto' | 'v4-only' | 'v6-only' | 'v4-preferred' | 'all'

/** What to ask for names. */
export interface DnsResolverDefinition {
  /** Empty: those of the system. */
  readonly servers: readonly string[]
  /** `servers` only where the system names none. */
  readonly serversAsFallback: boolean
  /** Whether the search list of the system is tried. */
  readonly search: boolean
  /** Leaves out addresses of a family that no interface of this machine has. */
  readonly routableOnly: boolean
}

export interface DnsDefinition {
  readonly kind: 'dns'
  /** Every address is a host; else only the first one is in use (LOGICAL_DNS). */
  readonly strict: boolean
  /** What to resolve: hosts whose address is not there yet. */
  readonly targets: readonly DnsTarget[]
  readonly refresh: number
  /** After a failure: a back-off between these; absent: as after a success. */
  readonly failureRefresh?: { readonly base: number; readonly max: number }
  readonly respectTtl: boolean
  /** Up to so many ms more between two questions. */
  readonly jitter: number
  readonly family: DnsFamily
  readonly resolver: DnsResolverDefinition
  /** Whether the server waits for the first answer before it listens. */
  readonly waitForWarm: boolean
}

export interface DnsTarget {
  readonly name: string
  /** A number, or the service of an SRV record (`http`: `_http._tcp.<name>`). */
  readonly port: number | string
  /** Of a name that is an IP address: others of the same host. */
  readonly additionalAddresses?: readonly NativeAddress[]
  readonly host: Omit<HostDefinition, 'address' | 'additionalAddresses'>
}

export interface EdsDefinition {
  readonly kind: 'eds'
  readonly path: string
  /** A move in this folder reloads; else only one of the file itself. */
  readonly watchedDirectory?: string
  /** The name of the assignment in the file. */
  readonly serviceName: string
  /** The name was said, and is not the cluster's for want of another. */
  readonly namesService: boolean
  /** A list in the metadata for subsets stands for each of its values. */
  readonly listAsAny: boolean
}

export interface AggregateDefinition {
  readonly kind: 'aggregate'
  /** The first one's priorities come first. */
  readonly clusters: readonly string[]
}

/** Hosts are the destinations that clients mean. */
export interface OriginalDstDefinition {
  readonly kind: 'original-dst'
  /** ms; a host that was not used in one goes. */
  readonly cleanupInterval: number
}

/** Names that requests bring, and their addresses. All times in ms. */
export interface DnsCacheDefinition {
  /** Clusters that name the same one share it. */
  readonly name: string
  readonly family: DnsFamily
  readonly resolver: DnsResolverDefinition
  /** Where the answer says nothing of it, how soon it is asked for again. */
  readonly refresh: number
  /** Never sooner than this. */
  readonly minRefresh: number
  /** After a failure: a back-off between these; absent: as after a success. */
  readonly failureRefresh?: { readonly base: number; readonly max: number }
  readonly queryTimeout: number
  /** A name that no request brought for so long goes. */
  readonly hostTtl: number
  readonly maxHosts: number
  /** Requests of a cluster that may wait for a name. */
  readonly maxPending: number
  /** `host:port`, asked for before a request brings them. */
  readonly preresolve: readonly string[]
}

/** Hosts are those that requests name, by way of a DNS cache. */
export interface ForwardProxyDefinition {
  readonly kind: 'forward-proxy'
  readonly cache: DnsCacheDefinition
}

/** Absent in a cluster: its `hosts` are all that there is. */
export type DiscoveryDefinition =
  | DnsDefinition
  | EdsDefinition
  | AggregateDefinition
  | OriginalDstDefinition
  | ForwardProxyDefinition

/** Statuses, the first inclusive, the last exclusive. */
export type StatusRange = readonly [start: number, end: number]

export interface HttpCheckDefinition {
  readonly kind: 'http'
  readonly host: string
  readonly path: string
  readonly method: string
  readonly addHeaders: readonly {
    readonly name: string
    readonly value: string
    readonly append: boolean
  }[]
  readonly removeHeaders: readonly string[]
  readonly expected: readonly StatusRange[]
  readonly retriable: readonly StatusRange[]
  /** Each must be in the body, in this order. */
  readonly receive: readonly Uint8Array[]
  /** How much of the body is looked at; 0: all. */
  readonly bodyBytes: number
  readonly serviceName?: NativeStringMatcher
}

export interface TcpCheckDefinition {
  readonly kind: 'tcp'
  /** Empty: connecting is enough. */
  readonly send: Uint8Array
  readonly receive: readonly Uint8Array[]
}

export interface GrpcCheckDefinition {
  readonly kind: 'grpc'
  readonly serviceName: string
  readonly authority: string
  readonly metadata: readonly (readonly [name: string, value: string])[]
}

/** All times in ms. */
export interface HealthCheckDefinition {
  readonly timeout: number
  readonly interval: number
  readonly initialJitter: number
  readonly intervalJitter: number
  readonly intervalJitterPercent: number
  readonly unhealthyThreshold: number
  readonly healthyThreshold: number
  readonly reuseConnection: boolean
  readonly noTrafficInterval: number
  readonly noTrafficHealthyInterval: number
  readonly unhealthyInterval: number
  readonly unhealthyEdgeInterval: number
  readonly healthyEdgeInterval: number
  /** Runtime `health_check.min_interval` and `health_check.max_interval`. */
  readonly minInterval: number
  readonly maxInterval: number
  readonly eventLogs: readonly string[]
  readonly alwaysLogFailures: boolean
  readonly alwaysLogSuccess: boolean
  readonly check: HttpCheckDefinition | TcpCheckDefinition | GrpcCheckDefinition
}

/** All times in ms, all chances in percent. */
export interface OutlierDefinition {
  readonly interval: number
  readonly baseEjectionTime: number
  readonly maxEjectionTime: number
  readonly maxEjectionTimeJitter: number
  readonly maxEjectionPercent: number
  readonly alwaysEjectOneHost: boolean
  readonly split: boolean
  readonly enforcingConsecutive5xx: number
  readonly enforcingConsecutiveGatewayFailure: number
  readonly enforcingConsecutiveLocalOriginFailure: number
  readonly enforcingSuccessRate: number
  readonly enforcingLocalOriginSuccessRate: number
  readonly successRateMinimumHosts: number
  readonly successRateRequestVolume: number
  /** Thousandths of a standard deviation. */
  readonly successRateStdevFactor: number
  readonly failurePercentageThreshold: number
  readonly enforcingFailurePercentage: number
  readonly enforcingFailurePercentageLocalOrigin: number
  readonly failurePercentageMinimumHosts: number
  readonly failurePercentageRequestVolume: number
  readonly successfulCheckUnejects: boolean
  /** Empty: none. */
  readonly eventLog: string
}

/** A cluster as the configuration states it, with the hosts that are written there. */
export type ClusterDefinition = Omit<NativeCluster, 'hosts'> & {
  readonly hosts: readonly HostDefinition[]
  readonly discovery?: DiscoveryDefinition
  readonly healthCheck?: HealthCheckDefinition
  readonly outlierDetection?: OutlierDefinition
  /** ms; changes of health, weight and metadata within it are published together. */
  readonly updateMergeWindow: number
  /** Hosts that discovery gives up go at once, healthy or not. */
  readonly ignoreHealthOnHostRemoval: boolean
  /** New hosts do not count for panic and spill-over until they were checked. */
  readonly ignoreNewHostsUntilFirstCheck: boolean
}
