/**
 * The endpoints that a program gave clusters, and what is different in those that it gives now. A
 * program that sends a list of thousands again costs a comparison for each, and no more.
 */

import { argumentError, kindOf } from '../arguments.ts'
import type { ClusterManager } from '../cluster/manager.ts'
import type { ClusterDefinition, HostDefinition } from '../config/index.ts'
import { addressText } from '../server/address.ts'
import { optionsObject } from './arguments.ts'
import {
  type EndpointHealth,
  type EndpointOptions,
  isAsRead,
  type ReadEndpoint,
  readEndpoint,
  readUpstream,
} from './endpoints.ts'

/** A host whose health is another one than before. */
export interface HealthTold {
  readonly address: string
  readonly health: EndpointHealth
  readonly was: EndpointHealth
}

/** An endpoint that is there. */
interface Listed {
  /** What was said of it; undefined: it is from elsewhere. */
  readonly read?: ReadEndpoint
  /** Its address. */
  readonly name: string
  readonly host: HostDefinition
  /** Others of the same address, which have other names. */
  readonly twins?: HostDefinition[]
  /** The replacement that found it; of one that it is to see again or else takes away: minus it. */
  round: number
}

interface Change {
  readonly set: readonly HostDefinition[]
  readonly remove: readonly HostDefinition[]
}

const kChangeKeys = ['set', 'remove'] as const

class EndpointList {
  /** What the configuration says of addresses. */
  readonly #configured: ReadonlyMap<string, HostDefinition>
  /** All that are there, by address. */
  readonly #listed = new Map<string, Listed>()
  /** The same in the order of the list that was set last; undefined: there is none. */
  #order: readonly Listed[] | undefined
  #round = 0

  constructor(configured: readonly HostDefinition[], inForce: readonly HostDefinition[]) {
    this.#configured = new Map(configured.map((host) => [addressText(host.address), host]))
    for (const host of inForce) {
      const name = addressText(host.address)
      const known = this.#listed.get(name)
      if (known) known.twins?.push(host)
      else this.#listed.set(name, { name, host, twins: [], round: 0 })
    }
  }

  /** Throws for what is no endpoint, with nothing changed. */
  replace(value: unknown, told: HealthTold[]): Change {
    if (!Array.isArray(value)) {
      throw argumentError('endpoints', `must be an array, not ${kindOf(value)}`)
    }
    const list: readonly unknown[] = value
    const before = this.#order ?? [...this.#listed.values()]
    const shorter = Math.min(before.length, list.length)
    const same = (i: number, j: number): boolean => {
      const read = before[i]?.read
      return read !== undefined && isAsRead(list[j], read)
    }
    let start = 0
    while (start < shorter && same(start, start)) start++
    let end = 0
    while (end < shorter - start && same(before.length - 1 - end, list.length - 1 - end)) end++
    const old = before.slice(start, before.length - end)
    const now = this.#readPart(list, start, list.length - end, old)
    const order = [...before.slice(0, start), ...now, ...before.slice(before.length - end)]
    const fresh = now.filter((one) => this.#listed.get(one.name) !== one)
    const gone = old.filter((one) => one.round !== this.#round)
    const change = this.#exchange(fresh, gone, told)
    this.#order = order
    return change
  }

  /** `list[start..end)`, of which none may be there but for those in `old`. */
  #readPart(
    list: readonly unknown[],
    start: number,
    end: number,
    old: readonly Listed[],
  ): Listed[] {
    const round = ++this.#round
    for (const one of old) one.round = -round
    const fresh = new Set<string>()
    const now: Listed[] = []
    for (let i = start; i < end; i++) {
      const item = list[i]
      const one = this.#asBefore(item) ?? this.#list(item, `endpoints[${i}]`)
      const there = this.#listed.get(one.name)
      if (there ? there.round !== -round : fresh.has(one.name)) {
        const twin = findTwin(list, i, one.name)
        throw argumentError(`endpoints[${i}]`, `is ${one.name}, and so is endpoints[${twin}]`)
      }
      if (there === one) one.round = round
      else if (there) there.round = 0
      else fresh.add(one.name)
      now.push(one)
    }
    return now
  }

  /** What is listed already, when `item` says the same: found by its address as text alone. */
  #asBefore(item: unknown): Listed | undefined {
    const written = typeof item === 'object' ? (item as EndpointOptions | null)?.address : item
    const there = this.#listed.get(written as string)
    return there?.read && isAsRead(item, there.read) ? there : undefined
  }

  /** As {@link replace}, of those alone that change. */
  update(value: unknown, told: HealthTold[]): Change {
    const { set = [], remove = [] } = optionsObject(value, 'change', kChangeKeys)
    for (const [key, given] of Object.entries({ set, remove })) {
      if (Array.isArray(given)) continue
      throw argumentError(`change.${key}`, `must be an array, not ${kindOf(given)}`)
    }
    const now = new Map<string, Listed>()
    for (const [i, item] of Array.from(set as readonly unknown[]).entries()) {
      const one = this.#list(item, `change.set[${i}]`)
      if (now.has(one.name)) throw argumentError(`change.set[${i}]`, `is ${one.name} once more`)
      now.set(one.name, one)
    }
    const names = new Set(now.keys())
    for (const [i, item] of Array.from(remove as readonly unknown[]).entries()) {
      const name = addressText(readUpstream(item, `change.remove[${i}]`))
      if (now.has(name)) {
        throw argumentError(`change.remove[${i}]`, `is ${name}, and so is one of change.set`)
      }
      names.add(name)
    }
    // One that is set may have had another hostname, and so was another host.
    const old = [...names].flatMap((name) => this.#listed.get(name) ?? [])
    this.#order = undefined
    return this.#exchange([...now.values()], old, told)
  }

  #list(item: unknown, path: string): Listed {
    const read = readEndpoint(item, path)
    const { address, weight, priority, health } = read
    const name = addressText(address)
    // Of one that stays, what is not said stays, too; its health is said.
    const { status: _status, ...before } =
      this.#listed.get(name)?.host ?? this.#configured.get(name) ?? ({} as Partial<HostDefinition>)
    const hostname = read.hostname ?? before.hostname ?? ''
    return {
      read,
      name,
      round: 0,
      host: { locality: 0, ...before, address, weight, priority, health, hostname },
    }
  }

  #exchange(now: readonly Listed[], old: readonly Listed[], told: HealthTold[]): Change {
    const remove = old.flatMap(({ host, twins = [] }) => [host, ...twins])
    for (const { name, host } of now) {
      const before = this.#listed.get(name)?.host ?? this.#configured.get(name)
      const was = before?.health ?? 'healthy'
      if (was !== host.health) told.push({ address: name, health: host.health, was })
    }
    for (const { name } of old) this.#listed.delete(name)
    for (const one of now) this.#listed.set(one.name, one)
    return { set: now.map(({ host }) => host), remove }
  }
}

/** Where else in a list an address is. */
function findTwin(list: readonly unknown[], at: number, name: string): number {
  return list.findIndex((item, i) => {
    return i !== at && addressText(readEndpoint(item, `endpoints[${i}]`).address) === name
  })
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

/** The lists of a proxy's clusters. */
export class EndpointLists {
  /** A cluster that is configured anew begins with what is in force then. */
  readonly #lists = new WeakMap<ClusterDefinition, EndpointList>()

  /** Puts a whole list in force; says whose health is another one. Throws for a wrong argument. */
  replace(clusters: ClusterManager, name: string, endpoints: unknown): readonly HealthTold[] {
    return this.#change(clusters, name, (list, told) => list.replace(endpoints, told))
  }

  /** As {@link replace}: `{ set, remove }`. */
  update(clusters: ClusterManager, name: string, change: unknown): readonly HealthTold[] {
    return this.#change(clusters, name, (list, told) => list.update(change, told))
  }

  #change(
    clusters: ClusterManager,
    name: string,
    read: (list: EndpointList, told: HealthTold[]) => Change,
  ): readonly HealthTold[] {
    const cluster = clusters.get(name)?.cluster
    if (!cluster) return []
    const list =
      this.#lists.get(cluster) ?? new EndpointList(cluster.hosts, clusters.endpoints(name))
    const told: HealthTold[] = []
    const { set, remove } = read(list, told)
    try {
      clusters.changeEndpoints(name, set, remove)
    } catch (error) {
      // The list has what is not in force: the next call begins with what is.
      this.#lists.delete(cluster)
      throw argumentError('endpoints', messageOf(error))
    }
    this.#lists.set(cluster, list)
    return told
  }
}
