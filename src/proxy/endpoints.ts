/** Endpoints that a program gives a cluster, checked. */

import { argumentError, kindOf } from '../arguments.ts'
import type { HostDefinition } from '../config/index.ts'
import type { NativeHealth } from '../native/index.ts'
import { addressText, readAddress } from '../server/address.ts'
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

const kKeys = ['address', 'weight', 'health', 'priority', 'hostname'] as const
const kHealth: readonly EndpointHealth[] = ['healthy', 'degraded', 'unhealthy']

/** `known`: those in force; of one that stays, what cannot be said here stays, too. */
export function readEndpoints(
  value: unknown,
  known: readonly HostDefinition[],
): readonly HostDefinition[] {
  if (!Array.isArray(value)) {
    throw argumentError('endpoints', `must be an array, not ${kindOf(value)}`)
  }
  const seen = new Map<string, number>()
  const knownBy = new Map(known.map((host) => [addressText(host.address), host]))
  return Array.from(value, (item: unknown, i) => {
    const { hostname, ...host } = readEndpoint(item, `endpoints[${i}]`)
    const name = addressText(host.address)
    const twin = seen.get(name)
    if (twin !== undefined) {
      throw argumentError(`endpoints[${i}]`, `is ${name}, and so is endpoints[${twin}]`)
    }
    seen.set(name, i)
    const before = knownBy.get(name)
    return { locality: 0, ...before, ...host, hostname: hostname ?? before?.hostname ?? '' }
  })
}

type Read = Pick<HostDefinition, 'address' | 'weight' | 'priority' | 'health'> & {
  readonly hostname: string | undefined
}

function readEndpoint(item: unknown, path: string): Read {
  const plain = typeof item === 'string' || typeof item === 'number'
  if (item === undefined || item === null) {
    throw argumentError(path, `must be an address, not ${kindOf(item)}`)
  }
  const given = plain ? { address: item } : optionsObject(item, path, kKeys)
  const { hostname, weight, priority } = given as Readonly<Record<string, unknown>>
  if (hostname !== undefined && typeof hostname !== 'string') {
    throw argumentError(`${path}.hostname`, `must be a text, not ${kindOf(hostname)}`)
  }
  return {
    address: readUpstream(given.address, plain ? path : `${path}.address`),
    hostname,
    weight: optionalNumber(weight, `${path}.weight`, { min: 1, max: 2 ** 32 - 1 }) ?? 1,
    priority: optionalNumber(priority, `${path}.priority`, { min: 0, max: 128 }) ?? 0,
    health: readHealth((given as { health?: unknown }).health, `${path}.health`),
  }
}

function readHealth(value: unknown, path: string): EndpointHealth {
  if (value === undefined) return 'healthy'
  const health = kHealth.find((known) => known === value)
  if (health) return health
  throw argumentError(path, `must be one of ${kHealth.join(', ')}, not ${kindOf(value)}`)
}

function readUpstream(value: unknown, path: string): HostDefinition['address'] {
  const written = typeof value === 'number' || typeof value === 'string' ? String(value) : ''
  const found = readAddress(written.replace(/^http:\/\/([^/]+)\/?$/i, '$1'))
  if (found && ('path' in found || found.port !== 0)) return found
  const hint = 'write "IP:port", "[IPv6]:port", a port, "http://IP:port" or "unix:/path"'
  throw argumentError(path, `is no address to connect to: ${kindOf(value)}`, hint)
}
