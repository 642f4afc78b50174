// The hosts of one cluster: what discovery says of each, and the flags that others set. Keeps what
// changed since it was last taken, so that a change costs what it is, not what the cluster has.

import type { HostDefinition } from '../config/index.ts'
import type { NativeHost, NativeHostDelta } from '../native/index.ts'
import { HostFlag, healthOf, isExcluded, kDiscoveryFlags, statusOf } from './flags.ts'
import { isSame, keyOf, sameCheck, sayTheSame } from './same_hosts.ts'

export interface HostEntry {
  /** Unique in its cluster for the life of the process. */
  readonly id: number
  readonly key: string
  readonly definition: HostDefinition
  /** Of {@link HostFlag}. */
  readonly flags: number
}

type Mutable = { -readonly [K in keyof HostEntry]: HostEntry[K] } & {
  /** The change that named it last. */
  round: number
}

export interface TableChange {
  readonly added: readonly HostEntry[]
  readonly removed: readonly HostEntry[]
  /** Those that stay, and are checked at another address from now on. */
  readonly moved: readonly HostEntry[]
  /** Whether anything of the others changed. */
  readonly updated: boolean
  /** Whether the health of one of them did. */
  readonly health: boolean
  /** Whether hosts came, went, or changed their place. */
  readonly membership: boolean
}

/** Flags of a host that is new, beside what discovery says of it. */
type NewFlags = (host: HostDefinition) => number

/** What is being found out while hosts are named. */
interface Findings {
  readonly added: HostEntry[]
  readonly moved: HostEntry[]
  named: number
  twins: boolean
  updated: boolean
  health: boolean
  moves: boolean
}

/** Where a list differs from the one before: between beginnings and ends that are equal. */
interface Part {
  readonly before: readonly HostDefinition[]
  readonly now: readonly HostDefinition[]
}

export class HostTable {
  readonly #entries = new Map<string, Mutable>()
  readonly #byId = new Map<number, Mutable>()
  /** Ids whose entries differ from what was taken last. */
  readonly #dirty = new Set<number>()
  readonly #removed = new Set<number>()
  /** Those that discovery gave up and that stay for now. */
  readonly #pending = new Set<Mutable>()
  /** What was replaced last, each host once; undefined: the table is not as it says any more. */
  #list: readonly HostDefinition[] | undefined = []
  #round = 0
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

  /** Hosts that discovery has now. */
  definitions(): HostDefinition[] {
    const hosts: HostDefinition[] = []
    for (const entry of this.#entries.values()) {
      if (!this.#pending.has(entry)) hosts.push(entry.definition)
    }
    return hosts
  }

  /**
   * Replaces all hosts. One that is there twice is one host, as it stands first. `keep`: whether a
   * host that is gone stays for now, as {@link HostFlag.pendingRemoval}. Of a list that is as the
   * one before but for some hosts in a row, the others are compared and no more.
   */
  replace(
    hosts: readonly HostDefinition[],
    flags: NewFlags,
    keep: (entry: HostEntry) => boolean = () => false,
  ): TableChange {
    if (hosts === this.#list) return kNoChange
    const part = this.#differing(hosts)
    if (part?.before.length === 0 && part.now.length === 0 && this.#pending.size === 0) {
      return kNoChange
    }
    const found = this.#name(part?.now ?? hosts, flags)
    let gone: Iterable<Mutable> = []
    if (part) gone = [...this.#entriesOf(part.before), ...this.#pending]
    // Only when one is missing is there something to look for.
    else if (found.named !== this.#entries.size) gone = this.#entries.values()
    this.#list = found.twins ? undefined : hosts
    return this.#changeOf(found, gone, keep)
  }

  /** Changes some hosts: `remove` go, unless they are in `set` too. */
  change(
    set: readonly HostDefinition[],
    remove: readonly HostDefinition[],
    flags: NewFlags,
  ): TableChange {
    const found = this.#name(set, flags)
    this.#list = undefined
    return this.#changeOf(found, [...this.#entriesOf(remove), ...this.#pending], () => false)
  }

  /** undefined: the whole list has to be looked at. */
  #differing(hosts: readonly HostDefinition[]): Part | undefined {
    const list = this.#list
    if (!list) return undefined
    const shorter = Math.min(list.length, hosts.length)
    const same = (i: number, j: number): boolean =>
      isSame(list[i] as HostDefinition, hosts[j] as HostDefinition)
    let start = 0
    while (start < shorter && same(start, start)) start++
    let end = 0
    while (end < shorter - start && same(list.length - 1 - end, hosts.length - 1 - end)) end++
    // Where most is different, the table is looked at as a whole with less to do.
    if (2 * (list.length - start - end) > list.length) return undefined
    const before = list.slice(start, list.length - end)
    const now = hosts.slice(start, hosts.length - end)
    const known = new Set(before.map(keyOf))
    const hasTwin = (host: HostDefinition): boolean => {
      const key = keyOf(host)
      const entry = this.#entries.get(key)
      return entry !== undefined && !known.has(key) && !this.#pending.has(entry)
    }
    return now.some(hasTwin) ? undefined : { before, now }
  }

  *#entriesOf(hosts: readonly HostDefinition[]): Generator<Mutable> {
    for (const host of hosts) {
      const entry = this.#entries.get(keyOf(host))
      if (entry) yield entry
    }
  }

  /** These are there from now on, as they are here. */
  #name(hosts: readonly HostDefinition[], flags: NewFlags): Findings {
    const round = ++this.#round
    const found: Findings = {
      added: [],
      moved: [],
      named: 0,
      twins: false,
      updated: false,
      health: false,
      moves: false,
    }
    for (const host of hosts) {
      const key = keyOf(host)
      const entry = this.#entries.get(key)
      if (entry?.round === round) {
        found.twins = true
        continue
      }
      found.named++
      if (!entry) found.added.push(this.#add(key, host, flags(host)))
      else this.#update(entry, host, found)
    }
    return found
  }

  #update(entry: Mutable, host: HostDefinition, found: Findings): void {
    entry.round = this.#round
    const before = entry.definition
    if (this.#pending.delete(entry)) entry.flags &= ~HostFlag.pendingRemoval
    else if (before === host || sayTheSame(before, host)) return
    if (!sameCheck(before, host)) found.moved.push(entry)
    found.moves ||= before.priority !== host.priority || before.locality !== host.locality
    found.updated = true
    entry.definition = host
    const was = healthOf(entry.flags)
    entry.flags = (entry.flags & ~kDiscoveryFlags) | discoveryFlags(host)
    found.health ||= healthOf(entry.flags) !== was
    this.#dirty.add(entry.id)
  }

  /** Of `candidates`, those go that were not named. */
  #changeOf(
    { added, moved, updated, health, moves }: Findings,
    candidates: Iterable<Mutable>,
    keep: (entry: HostEntry) => boolean,
  ): TableChange {
    const removed: HostEntry[] = []
    for (const entry of candidates) {
      if (entry.round === this.#round) continue
      if (!keep(entry)) {
        removed.push(entry)
      } else if (!this.#pending.has(entry)) {
        this.#pending.add(entry)
        entry.flags |= HostFlag.pendingRemoval
      }
    }
    for (const { id } of removed) this.remove(id)
    const membership = moves || added.length > 0 || removed.length > 0
    return { added, removed, moved, updated, health, membership }
  }

  #add(key: string, definition: HostDefinition, flags: number): HostEntry {
    const id = this.#nextId++
    const round = this.#round
    const entry = { id, key, definition, flags: flags | discoveryFlags(definition), round }
    this.#entries.set(key, entry)
    this.#byId.set(id, entry)
    this.#dirty.add(id)
    return entry
  }

  remove(id: number): void {
    const entry = this.#byId.get(id)
    if (!entry) return
    this.#entries.delete(entry.key)
    this.#pending.delete(entry)
    this.#byId.delete(id)
    this.#dirty.delete(id)
    this.#removed.add(id)
  }

  /** Hosts that stayed for now, and do not any more. */
  dropPending(keep: (entry: HostEntry) => boolean): readonly HostEntry[] {
    const removed = [...this.#pending].filter((entry) => !keep(entry))
    for (const { id } of removed) this.remove(id)
    return removed
  }

  /** A host as workers are told of it. */
  native(id: number): NativeHost | undefined {
    const entry = this.#byId.get(id)
    return entry && nativeHost(entry)
  }

  /** Sets a host's flags; says whether workers have to know. */
  setFlags(id: number, flags: number): boolean {
    const entry = this.#byId.get(id)
    if (!entry || entry.flags === flags) return false
    const { status } = entry.definition
    const visible =
      healthOf(entry.flags) !== healthOf(flags) ||
      statusOf(entry.flags, status) !== statusOf(flags, status) ||
      isExcluded(entry.flags) !== isExcluded(flags)
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
  health: false,
  membership: false,
}

function nativeHost({ id, definition, flags }: HostEntry): NativeHost {
  return { ...judged(definition, flags), id }
}

/** A host with the health that it has by its flags, and without what only concerns its checks. */
export function judged(definition: HostDefinition, flags: number): Omit<HostDefinition, 'check'> {
  const { check: _check, status: said, ...host } = definition
  const status = statusOf(flags, said)
  return {
    ...host,
    health: healthOf(flags),
    ...(status && { status }),
    ...(isExcluded(flags) && { excluded: true }),
  }
}

function discoveryFlags({ health, status }: HostDefinition): number {
  if (status === 'draining') return HostFlag.failedEdsHealth | HostFlag.edsDraining
  if (health === 'healthy') return 0
  return health === 'degraded' ? HostFlag.degradedEdsHealth : HostFlag.failedEdsHealth
}
