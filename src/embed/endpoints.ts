/** Endpoints that a program gives a cluster, checked. */

import { networkInterfaces } from 'node:os'
import { argumentError, kindOf } from '../arguments.ts'
import type { HostDefinition } from '../config/index.ts'
import type { NativeHealth } from '../native/index.ts'
import { readAddress } from '../server/address.ts'
import { optionalNumber, optionsObject } from './arguments.ts'

/** An address and what is to be known of it. */
export interface EndpointOptions {
  /** `IP:port`, `[IPv6]:port`, a port of this machine, `http://IP:port`, or `unix:/path`. */
  readonly address: string | number
  /** How often it is chosen, against the others; from 1, 1 by default. */
  readonly weight?: number
  /**
   * `healthy` by default. A degraded one gets requests when there are too few healthy ones, an
   * unhealthy one gets none.
   */
  readonly health?: EndpointHealth
  /** 0 by default; those of a higher number stand in for those of a lower one. At most 128. */
  readonly priority?: number
  /** What routes with `auto_host_rewrite` send as Host. */
  readonly hostname?: string
}

export type EndpointHealth = NativeHealth

export type Endpoint = EndpointOptions | string | number

/** `sun_path` of Linux, with its terminating zero. */
const kUnixPathMax = 107

const kKeys = ['address', 'weight', 'health', 'priority', 'hostname'] as const
const kHealth: readonly EndpointHealth[] = ['healthy', 'degraded', 'unhealthy']

/** What {@link ProxyCluster.updateEndpoints} takes. */
export interface EndpointsChange {
  /** Come, or are from now on as they are here. */
  readonly set?: readonly Endpoint[]
  /** Addresses that go; one that is not there is no mistake. */
  readonly remove?: readonly (string | number)[]
}

/** An endpoint that was read, and what it was read from. */
export interface ReadEndpoint
  extends Pick<HostDefinition, 'address' | 'weight' | 'priority' | 'health'> {
  /** undefined: none was said. */
  readonly hostname: string | undefined
  readonly written: Endpoint | Readonly<Record<string, unknown>>
  /** How many options there were, when each had a value; else -1. */
  readonly options: number
}

export function readEndpoint(item: unknown, path: string): ReadEndpoint {
  const plain = typeof item === 'string' || typeof item === 'number'
  if (item === undefined || item === null) {
    throw argumentError(path, `must be an address, not ${kindOf(item)}`)
  }
  // A copy: the program may write into its own.
  const given = plain ? { address: item } : { ...optionsObject(item, path, kKeys) }
  const { hostname, weight, priority } = given as Readonly<Record<string, unknown>>
  if (hostname !== undefined && typeof hostname !== 'string') {
    throw argumentError(`${path}.hostname`, `must be a text, not ${kindOf(hostname)}`)
  }
  const values = Object.values(given)
  return {
    address: readUpstream(given.address, plain ? path : `${path}.address`),
    hostname,
    weight: optionalNumber(weight, `${path}.weight`, { min: 1, max: 2 ** 32 - 1 }) ?? 1,
    priority: optionalNumber(priority, `${path}.priority`, { min: 0, max: 128 }) ?? 0,
    health: readHealth((given as { health?: unknown }).health, `${path}.health`),
    written: plain ? item : given,
    options: values.includes(undefined) ? -1 : values.length,
  }
}

/** Whether `item` says what `read` was read from, without reading it. */
export function isAsRead(item: unknown, { written, options }: ReadEndpoint): boolean {
  if (typeof written !== 'object') return item === written
  if (options < 0 || typeof item !== 'object' || item === null) return false
  const now = item as Endpoint & EndpointOptions
  const before = written as EndpointOptions
  if (
    now.address !== before.address ||
    now.weight !== before.weight ||
    now.health !== before.health ||
    now.priority !== before.priority ||
    now.hostname !== before.hostname
  ) {
    return false
  }
  let count = 0
  for (const _ in now) count++
  return count === options
}

function readHealth(value: unknown, path: string): EndpointHealth {
  if (value === undefined) return 'healthy'
  const health = kHealth.find((known) => known === value)
  if (health) return health
  throw argumentError(path, `must be one of ${kHealth.join(', ')}, not ${kindOf(value)}`)
}

function canBeUsed(address: HostDefinition['address']): boolean {
  if ('path' in address) {
    return Buffer.byteLength(address.path) <= kUnixPathMax && !address.path.includes('\0')
  }
  const [, zone] = address.ip.split('%')
  return address.port !== 0 && (zone === undefined || zone in networkInterfaces())
}

export function readUpstream(value: unknown, path: string): HostDefinition['address'] {
  const written = typeof value === 'number' || typeof value === 'string' ? String(value) : ''
  const found = readAddress(written.replace(/^http:\/\/([^/]+)\/?$/i, '$1'))
  if (found && canBeUsed(found)) return found
  const hint = 'write "IP:port", "[IPv6]:port", a port, "http://IP:port" or "unix:/path"'
  throw argumentError(path, `is no address to connect to: ${kindOf(value)}`, hint)
}
