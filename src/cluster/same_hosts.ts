// When two descriptions of a host, or of where hosts are, say the same. Sources send everything
// again when one host changed, so these run for each of thousands of hosts: they look at fields,
// and make nothing.

import type { HostDefinition } from '../config/index.ts'
import type { NativeAddress, NativeLocality } from '../native/index.ts'

/** What makes a host the same host, whatever else of it changes. */
export const keyOf = ({ hostname, address }: HostDefinition): string =>
  'path' in address ? `${address.path}|${hostname}` : `${address.ip}:${address.port}|${hostname}`

/** `1.2.3.4:80`, `[::1]:80`, or a path. */
export function addressText(address: NativeAddress): string {
  if ('path' in address) return address.path
  return address.ip.includes(':')
    ? `[${address.ip}]:${address.port}`
    : `${address.ip}:${address.port}`
}

/** The same host, and nothing of it is different. */
export function isSame(a: HostDefinition, b: HostDefinition): boolean {
  return (
    a === b || (sameAddress(a.address, b.address) && a.hostname === b.hostname && sayTheSame(a, b))
  )
}

export function sameHosts(a: readonly HostDefinition[], b: readonly HostDefinition[]): boolean {
  return sameLists(a, b, isSame)
}

/** As {@link sameHosts}, in whatever order. */
export function sameSets(a: readonly HostDefinition[], b: readonly HostDefinition[]): boolean {
  if (a === b) return true
  const byKey = new Map(a.map((host) => [keyOf(host), host]))
  const named = new Set<string>()
  for (const host of b) {
    const key = keyOf(host)
    // Of one that is there twice, the first one counts.
    if (named.has(key)) continue
    named.add(key)
    const other = byKey.get(key)
    if (!other || !isSame(other, host)) return false
  }
  return named.size === byKey.size
}

/** Of two that are the same host: whether nothing is different. */
export function sayTheSame(a: HostDefinition, b: HostDefinition): boolean {
  return (
    a.weight === b.weight &&
    a.priority === b.priority &&
    a.locality === b.locality &&
    a.health === b.health &&
    a.status === b.status &&
    a.canary === b.canary &&
    a.excluded === b.excluded &&
    sameLists(a.metadata, b.metadata, Object.is) &&
    sameLists(a.additionalAddresses, b.additionalAddresses, sameAddress) &&
    sameCheck(a, b)
  )
}

export function sameCheck({ check: a }: HostDefinition, { check: b }: HostDefinition): boolean {
  if (a === b) return true
  return (
    a?.port === b?.port &&
    a?.hostname === b?.hostname &&
    a?.disabled === b?.disabled &&
    (a?.address === b?.address ||
      (a?.address !== undefined && b?.address !== undefined && sameAddress(a.address, b.address)))
  )
}

export function sameLocalities(
  a: readonly NativeLocality[],
  b: readonly NativeLocality[],
): boolean {
  return sameLists(
    a,
    b,
    (one, other) =>
      one.region === other.region &&
      one.zone === other.zone &&
      one.subZone === other.subZone &&
      one.weight === other.weight &&
      one.priority === other.priority,
  )
}

function sameAddress(a: NativeAddress, b: NativeAddress): boolean {
  if ('path' in a || 'path' in b) return 'path' in a && 'path' in b && a.path === b.path
  return a.port === b.port && a.ip === b.ip
}

/** A list that is not there is an empty one. */
function sameLists<T>(
  a: readonly T[] | undefined,
  b: readonly T[] | undefined,
  same: (one: T, other: T) => boolean,
): boolean {
  if (a === b) return true
  const size = a?.length ?? 0
  if (size !== (b?.length ?? 0)) return false
  for (let i = 0; i < size; i++) {
    if (!same(a?.[i] as T, b?.[i] as T)) return false
  }
  return true
}
