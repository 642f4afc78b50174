// The hosts of one cluster: what discovery says of each, and the flags that others set. Keeps what
// changed since it was last taken, so that a change costs what it is, not what the cluster has.

import type { HostDefinition } from '../config/index.ts'
import type { NativeAddress, NativeHost, NativeHostDelta } from '../native/index.ts'
import { HostFlag, healthOf, isExcluded, kDiscoveryFlags } from './flags.ts'

export interface HostEntry {
  /** Unique in its cluster for the life of the process. */
  readonly id: number
  readonly key: string
  readonly definition: HostDefinition
  /** Of {@link HostFlag}. */
  readonly flags: number
}

type Mutable = { -readonly [K in keyof HostEntry]: HostEntry[K] }

export interface TableChange {
  readonly added: readonly HostEntry[]
  readonly removed: readonly HostEntry[]
  /** Those that stay, and are checked at another address from now on. */
  readonly moved: readonly HostEntry[]
  /** Whether anything of the others changed. */
  readonly updated: boolean
  /** Whether hosts came, went, or changed their place. */
  readonly membership: boolean
}

export class HostTable {
  readonly #entries = new Map<string, Mutable>()
  readonly #byId = new Map<number, Mutable>()
  /** Ids whose entries differ from what was taken last. */
  readonly #dirty = new Set<number>()
  readonly #removed = new Set<number>()
  #list: readonly HostDefinition[] = []
  #nextId = 0

  get size(): number {
    return this.#entries.size
  }

  values(): IterableIterator<HostEntry> {
    return this.#entries.values()
  }

  get(id: number): HostEntry | undefined {
    return this.#byId.get(id)
  }

  /**
   * Replaces all hosts. One that is there twice is one host, as it stands first. `flags`: of hosts
   * that are new, beside what discovery says of them. `keep`: whether a host that is gone stays
   * for now, as {@link HostFlag.pendingRemoval}.
   */
  replace(
    hosts: readonly HostDefinition[],
    flags: (host: HostDefinition) => number,
    keep: (entry: HostEntry) => boolean = () => false,
  ): TableChange {
    if (hosts === this.#list) return kNoChange
    const added: HostEntry[] = []
    const removed: HostEntry[] = []
    const moved: HostEntry[] = []
    let membership = false
    let updated = false
    const seen = new Set<string>()
    for (const host of hosts) {
      const key = keyOf(host)
      if (seen.has(key)) continue
      seen.add(key)
      const entry = this.#entries.get(key)
      if (!entry) {
        added.push(this.#add(key, host, flags(host)))
        continue
      }
      const before = entry.definition
      const pending = (entry.flags & HostFlag.pendingRemoval) !== 0
      if (before === host && !pending) continue
      if (pending) entry.flags &= ~HostFlag.pendingRemoval
      if (!pending && sameHost(before, host)) continue
      if (!sameCheck(before, host)) moved.push(entry)
      membership ||= before.priority !== host.priority || before.locality !== host.locality
      updated = true
      entry.definition = host
      entry.flags = (entry.flags & ~kDiscoveryFlags) | discoveryFlags(host)
      this.#dirty.add(entry.id)
    }
    // Only when one is missing is there something to look for.
    if (seen.size !== this.#entries.size) {
      for (const entry of this.#entries.values()) {
        if (seen.has(entry.key)) continue
        if (!keep(entry)) removed.push(entry)
        else if ((entry.flags & HostFlag.pendingRemoval) === 0) {
          entry.flags |= HostFlag.pendingRemoval
        }
      }
      for (const { id } of removed) this.remove(id)
    }
    this.#list = hosts
    membership ||= added.length > 0 || removed.length > 0
    return { added, removed, moved, updated, membership }
  }

  #add(key: string, definition: HostDefinition, flags: number): HostEntry {
    const id = this.#nextId++
    const entry = { id, key, definition, flags: flags | discoveryFlags(definition) }
    this.#entries.set(key, entry)
    this.#byId.set(id, entry)
    this.#dirty.add(id)
    return entry
  }

  remove(id: number): void {
    const entry = this.#byId.get(id)
    if (!entry) return
    this.#entries.delete(entry.key)
    this.#byId.delete(id)
    this.#dirty.delete(id)
    this.#removed.add(id)
  }

  /** Sets a host's flags; says whether workers have to know. */
  setFlags(id: number, flags: number): boolean {
    const entry = this.#byId.get(id)
    if (!entry || entry.flags === flags) return false
    const visible =
      healthOf(entry.flags) !== healthOf(flags) || isExcluded(entry.flags) !== isExcluded(flags)
    entry.flags = flags
    if (visible) this.#dirty.add(id)
    return visible
  }

  /** What changed since the last call of this or of {@link takeAll}; undefined: nothing. */
  takeDelta(): NativeHostDelta | undefined {
    if (this.#dirty.size === 0 && this.#removed.size === 0) return undefined
    const set: NativeHost[] = []
    for (const id of this.#dirty) {
      const entry = this.#byId.get(id)
      if (entry) set.push(nativeHost(entry))
    }
    const remove = [...this.#removed]
    this.#dirty.clear()
    this.#removed.clear()
    return { set, remove }
  }

  /** All hosts as they are now. */
  takeAll(): NativeHost[] {
    this.#dirty.clear()
    this.#removed.clear()
    return [...this.#entries.values()].map(nativeHost)
  }
}

const kNoChange: TableChange = {
  added: [],
  removed: [],
  moved: [],
  updated: false,
  membership: false,
}

function nativeHost({ id, definition, flags }: HostEntry): NativeHost {
  const { check: _check, draining: _draining, ...host } = definition
  return { ...host, id, health: healthOf(flags), ...(isExcluded(flags) && { excluded: true }) }
}

function discoveryFlags({ health, draining }: HostDefinition): number {
  if (draining) return HostFlag.failedEdsHealth | HostFlag.edsDraining
  if (health === 'healthy') return 0
  return health === 'degraded' ? HostFlag.degradedEdsHealth : HostFlag.failedEdsHealth
}

/** What makes a host the same host, whatever else of it changes. */
const keyOf = ({ hostname, address }: HostDefinition): string =>
  `${addressKey(address)}|${hostname}`

const addressKey = (address: NativeAddress): string =>
  'path' in address ? address.path : `${address.ip}:${address.port}`

function sameHost(a: HostDefinition, b: HostDefinition): boolean {
  return (
    a.weight === b.weight &&
    a.priority === b.priority &&
    a.locality === b.locality &&
    a.health === b.health &&
    a.draining === b.draining &&
    a.canary === b.canary &&
    a.excluded === b.excluded &&
    sameTexts(a.metadata, b.metadata) &&
    sameTexts(a.additionalAddresses?.map(addressKey), b.additionalAddresses?.map(addressKey)) &&
    sameCheck(a, b)
  )
}

function sameTexts(a: readonly string[] = [], b: readonly string[] = []): boolean {
  return a === b || (a.length === b.length && a.every((text, i) => text === b[i]))
}

function sameCheck({ check: a }: HostDefinition, { check: b }: HostDefinition): boolean {
  if (a === b) return true
  return (
    a?.port === b?.port &&
    a?.hostname === b?.hostname &&
    a?.disabled === b?.disabled &&
    (a?.address && addressKey(a.address)) === (b?.address && addressKey(b.address))
  )
}
