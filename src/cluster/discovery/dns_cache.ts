// The DNS cache of the dynamic forward proxy: names that requests brought, each asked for when it
// comes and again as long as it is used. Clusters that name the same cache share it.
//
//   wanted ─▶ asking ──address──▶ known ──its time, used──▶ asking again (the address stays)
//               │                   └──its time, unused for hostTtl──▶ removed
//               └──failure──▶ failed: answered at once, until it is asked again
//
// A name that has an address keeps it when a later answer is a failure, or empty (dns_cache.proto).

import { isIP } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import type { DnsCacheDefinition, HostDefinition } from '../../config/index.ts'
import type { NativeHostRefusal } from '../../native/index.ts'
import { after, type Timer } from '../../timers.ts'
import { nextRefresh } from './dns.ts'
import { type DnsAnswer, DnsClient } from './dns_client.ts'

/** Of one host: more addresses than these are never tried. */
const kAddressesMax = 16
/** What clusters say of use is good for so long. */
const kUseLookMs = 1_000

/** A cluster that has the hosts of a cache. */
export interface DnsCacheUser {
  change(set: readonly HostDefinition[], remove: readonly HostDefinition[]): void
  refuse(keys: readonly string[], why: NativeHostRefusal): void
  /** Keys that requests named since the last call. */
  takeUsed(): readonly string[]
  /** Requests that wait for a host, and how many were not let to. */
  waiting(): { readonly now: number; readonly overflows: number }
}

export interface DnsCacheCounters {
  queryAttempt: number
  querySuccess: number
  queryFailure: number
  queryTimeout: number
  addressChanged: number
  hostAdded: number
  hostRemoved: number
  hostOverflow: number
}

interface Entry {
  /** `host:port`, as requests name it. */
  readonly key: string
  readonly name: string
  readonly port: number
  /** undefined: it has no address (yet). */
  host: HostDefinition | undefined
  /** The first answer is still to come. */
  isNew: boolean
  failures: number
  /** Counts questions: the answer to an older one is void. */
  turn: number
  usedAt: number
  timer: Timer | undefined
}

export class DnsCache {
  #definition: DnsCacheDefinition
  #client: DnsClient
  readonly #entries = new Map<string, Entry>()
  readonly #users = new Set<DnsCacheUser>()
  #lookedAt = Number.NEGATIVE_INFINITY
  #pastOverflows = 0
  readonly counters: DnsCacheCounters = {
    queryAttempt: 0,
    querySuccess: 0,
    queryFailure: 0,
    queryTimeout: 0,
    addressChanged: 0,
    hostAdded: 0,
    hostRemoved: 0,
    hostOverflow: 0,
  }

  constructor(definition: DnsCacheDefinition) {
    this.#definition = definition
    this.#client = new DnsClient(definition.resolver)
    for (const key of definition.preresolve) this.#add(key)
  }

  get definition(): DnsCacheDefinition {
    return this.#definition
  }

  get size(): number {
    return this.#entries.size
  }

  get users(): number {
    return this.#users.size
  }

  /**
   * Rules from now on. What is known stays, and is asked for by them when its time comes; at once
   * where another server is asked, or for other addresses.
   */
  configure(definition: DnsCacheDefinition): void {
    if (isDeepStrictEqual(definition, this.#definition)) return
    const before = this.#definition
    const sameResolver = isDeepStrictEqual(definition.resolver, before.resolver)
    this.#definition = definition
    if (!sameResolver) this.#client = new DnsClient(definition.resolver)
    if (!sameResolver || definition.family !== before.family) {
      for (const entry of this.#entries.values()) {
        entry.timer?.stop()
        void this.#resolve(entry)
      }
    }
    for (const key of definition.preresolve) {
      if (!this.#entries.has(key)) this.#add(key)
    }
  }

  attach(user: DnsCacheUser): readonly HostDefinition[] {
    this.#users.add(user)
    return [...this.#entries.values()].flatMap(({ host }) => host ?? [])
  }

  detach(user: DnsCacheUser): void {
    this.#pastOverflows += user.waiting().overflows
    this.#users.delete(user)
  }

  /** Nothing is asked any more. */
  close(): void {
    for (const { timer } of this.#entries.values()) timer?.stop()
    this.#entries.clear()
    this.#client.cancel()
  }

  /** Of all clusters that use it. */
  waiting(): { readonly now: number; readonly overflows: number } {
    let now = 0
    let overflows = this.#pastOverflows
    for (const user of this.#users) {
      const waiting = user.waiting()
      now += waiting.now
      overflows += waiting.overflows
    }
    return { now, overflows }
  }

  /** Requests to a cluster name these keys, which it does not have. */
  want(keys: readonly string[], user: DnsCacheUser): void {
    const failed: string[] = []
    const full: string[] = []
    for (const key of keys) {
      const entry = this.#entries.get(key)
      if (entry) {
        entry.usedAt = performance.now()
        // Otherwise its answer is to come, or on its way to the worker that asked.
        if (!entry.isNew && !entry.host) failed.push(key)
      } else if (this.#entries.size >= this.#definition.maxHosts) {
        this.counters.hostOverflow++
        full.push(key)
      } else {
        this.#add(key)
      }
    }
    if (failed.length > 0) user.refuse(failed, 'unresolved')
    if (full.length > 0) user.refuse(full, 'full')
  }

  #add(key: string): void {
    const colon = key.lastIndexOf(':')
    const entry: Entry = {
      key,
      name: key.slice(0, colon).replace(/^\[|\]$/g, ''),
      port: Number(key.slice(colon + 1)),
      host: undefined,
      isNew: true,
      failures: 0,
      turn: 0,
      usedAt: performance.now(),
      timer: undefined,
    }
    this.#entries.set(key, entry)
    this.counters.hostAdded++
    void this.#resolve(entry)
  }

  async #resolve(entry: Entry): Promise<void> {
    const turn = ++entry.turn
    const answer = isIP(entry.name) ? { addresses: [entry.name] } : await this.#query(entry)
    // It may have been removed meanwhile, the cache closed, or others asked.
    if (this.#entries.get(entry.key) !== entry || entry.turn !== turn) return
    this.#take(entry, answer?.addresses ?? [])
    entry.isNew = false
    entry.timer = after(this.#pause(entry, answer), () => this.#refresh(entry)).unref()
  }

  /** undefined: there is no answer. */
  async #query(entry: Entry): Promise<DnsAnswer | undefined> {
    const { counters } = this
    counters.queryAttempt++
    try {
      const answer = await this.#ask(entry.name)
      counters.querySuccess++
      entry.failures = 0
      return answer
    } catch {
      counters.queryFailure++
      entry.failures++
      return undefined
    }
  }

  /** Rejects after the query timeout, whatever the resolver is about. */
  async #ask(name: string): Promise<DnsAnswer> {
    const { queryTimeout, family } = this.#definition
    let timer: Timer | undefined
    const late = new Promise<never>((_, reject) => {
      timer = after(queryTimeout, () => {
        this.counters.queryTimeout++
        reject(new Error('timeout'))
      })
    })
    try {
      return await Promise.race([this.#client.resolve(name, family), late])
    } finally {
      timer?.stop()
    }
  }

  #take(entry: Entry, addresses: readonly string[]): void {
    if (addresses.length === 0) {
      if (!entry.host) for (const user of this.#users) user.refuse([entry.key], 'unresolved')
      return
    }
    const before = entry.host
    const host = hostOf(entry, addresses)
    if (before && isDeepStrictEqual(before.address, host.address)) {
      // Others of its addresses may differ; the host is the same.
      if (isDeepStrictEqual(before, host)) return
      entry.host = host
      for (const user of this.#users) user.change([host], [])
      return
    }
    entry.host = host
    this.counters.addressChanged++
    for (const user of this.#users) user.change([host], before ? [before] : [])
  }

  /** ms until the next question. */
  #pause(entry: Entry, answer: DnsAnswer | undefined): number {
    const { refresh, minRefresh, failureRefresh } = this.#definition
    if (answer) {
      if (answer.addresses.length === 0 || answer.ttl === undefined) return refresh
      return Math.max(minRefresh, answer.ttl * 1000)
    }
    const rules = {
      refresh,
      respectTtl: false,
      jitter: 0,
      ...(failureRefresh && { failureRefresh }),
    }
    return nextRefresh(rules, entry.failures, undefined)
  }

  #refresh(entry: Entry): void {
    this.#lookForUse()
    if (performance.now() - entry.usedAt > this.#definition.hostTtl) this.#remove(entry)
    else void this.#resolve(entry)
  }

  #lookForUse(): void {
    const now = performance.now()
    if (now - this.#lookedAt < Math.min(kUseLookMs, this.#definition.hostTtl / 4)) return
    this.#lookedAt = now
    for (const user of this.#users) {
      for (const key of user.takeUsed()) {
        const entry = this.#entries.get(key)
        if (entry) entry.usedAt = now
      }
    }
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.key)
    this.counters.hostRemoved++
    if (!entry.host) return
    for (const user of this.#users) user.change([], [entry.host])
  }
}

/**
 * The address in use stays the first as long as it is among the answer's, so that a server that
 * turns its answers around does not end connections; the others are tried when it does not accept.
 */
function hostOf({ key, port, host }: Entry, addresses: readonly string[]): HostDefinition {
  const used = host && 'ip' in host.address ? host.address.ip : undefined
  const first = addresses.find((ip) => ip === used) ?? (addresses[0] as string)
  const others = addresses
    .filter((ip) => ip !== first)
    .sort()
    .slice(0, kAddressesMax - 1)
    .map((ip) => ({ ip, port }))
  return {
    address: { ip: first, port },
    ...(others.length > 0 && { additionalAddresses: others }),
    hostname: key,
    weight: 1,
    priority: 0,
    locality: 0,
    health: 'healthy',
  }
}

/** The caches of one process, by name. */
export class DnsCaches {
  readonly #caches = new Map<string, DnsCache>()

  get(definition: DnsCacheDefinition): DnsCache {
    const known = this.#caches.get(definition.name)
    if (known) {
      known.configure(definition)
      return known
    }
    const cache = new DnsCache(definition)
    this.#caches.set(definition.name, cache)
    return cache
  }

  /** It may be used no more: unless another cluster has it by the next turn, it goes. */
  release(cache: DnsCache): void {
    setImmediate(() => {
      const { name } = cache.definition
      if (cache.users > 0 || this.#caches.get(name) !== cache) return
      this.#caches.delete(name)
      cache.close()
    }).unref()
  }

  [Symbol.iterator](): IterableIterator<DnsCache> {
    return this.#caches.values()
  }
}
