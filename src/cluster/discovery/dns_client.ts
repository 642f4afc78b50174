// Resolves names: this machine's own files first, then DNS servers through Node's resolver
// (c-ares). What is not an answer (no server, a refusal, garbage) is an error; "there is no such
// name" and "it has no addresses" are answers, and empty.

import { Resolver } from 'node:dns/promises'
import { isIP, isIPv4 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { isDeepStrictEqual } from 'node:util'
import type { DnsFamily, DnsResolverDefinition } from '../../config/index.ts'
import { after } from '../../timers.ts'
import { SystemNames } from './system_names.ts'

/** As Envoy's c-ares: 5 s, four times. */
const kTimeoutMs = 5_000
const kTries = 4
/**
 * How long a family is waited for when the other one has addresses, as long as it had none itself:
 * longer than an answer takes that comes at all, shorter than somebody who starts a program waits.
 * (RFC 8305, section 3, has 50 ms, for a user who waits for each answer.)
 */
const kPatienceMs = 1_000
/** Names whose families are remembered; with more, all are forgotten, which costs a wait. */
const kRememberedMax = 16_384
/** What c-ares calls an answer without what was asked for. */
const kEmpty: readonly string[] = ['ENOTFOUND', 'ENODATA']

export interface DnsAnswer {
  /** Without repetition, in the order of the answer. */
  readonly addresses: readonly string[]
  /** Seconds; the least of all records; absent: the answer did not come from DNS. */
  readonly ttl?: number
}

export interface SrvRecord {
  readonly name: string
  readonly port: number
  readonly priority: number
  readonly weight: number
}

export interface DnsClientOptions {
  readonly names?: SystemNames
  readonly timeoutMs?: number
  readonly tries?: number
  /** How long the other family is waited for. */
  readonly patienceMs?: number
  /** Whose place it takes: which families names had stays known, if the same servers are asked. */
  readonly before?: DnsClient | undefined
}

type Settled = PromiseSettledResult<DnsAnswer>
const kNoAnswer: Settled = { status: 'fulfilled', value: { addresses: [] } }

export class DnsClient {
  readonly #definition: DnsResolverDefinition
  readonly #options: DnsClientOptions
  readonly #names: SystemNames
  /** Families and names that had addresses when they were asked for last. */
  readonly #had: Set<string>
  #resolver: Resolver | undefined

  constructor(definition: DnsResolverDefinition, options: DnsClientOptions = {}) {
    this.#definition = definition
    this.#options = options
    this.#names = options.names ?? new SystemNames()
    const { before } = options
    const same = before && isDeepStrictEqual(before.#definition, definition)
    this.#had = new Set(same ? before.#had : [])
  }

  /** Rejects when there is no answer; what c-ares says of it is the error's `code`. */
  async resolve(name: string, family: DnsFamily): Promise<DnsAnswer> {
    if (isIP(name) !== 0) return { addresses: [name] }
    switch (family) {
      case 'v4-only':
        return this.#lookup(name, 4)
      case 'v6-only':
        return this.#lookup(name, 6)
      case 'all':
        return together(await this.#both(name, 6, 4, () => false))
      default: {
        const [first, second] = family === 'auto' ? ([6, 4] as const) : ([4, 6] as const)
        const answers = await this.#both(name, first, second, hasAddresses)
        const [preferred] = answers
        return hasAddresses(preferred) ? preferred.value : together(answers)
      }
    }
  }

  /**
   * Asks for both families at once: servers that fail for a family which they do not know, or are
   * silent about it, are common. `enough`: whether the first one's answer is all that is wanted.
   * Once there are addresses of the second, the first has some more time, unless it had addresses
   * before: then it is waited for, so that one lost packet changes no hosts.
   */
  async #both(
    name: string,
    first: 4 | 6,
    second: 4 | 6,
    enough: (answer: Settled) => boolean,
  ): Promise<[Settled, Settled]> {
    const settled = (family: 4 | 6): Promise<Settled> =>
      Promise.allSettled([this.#lookup(name, family)]).then(([answer]) => {
        if (!isCancelled(answer)) this.#remember(`${family} ${name}`, hasAddresses(answer))
        return answer
      })
    const asked = { first: settled(first), second: settled(second) }
    const late = async (family: 4 | 6, other: Settled): Promise<Settled> => {
      if (!hasAddresses(other) || this.#had.has(`${family} ${name}`)) return new Promise(() => {})
      return new Promise((resolve) => {
        after(this.#options.patienceMs ?? kPatienceMs, () => resolve(kNoAnswer)).unref()
      })
    }
    const one = await Promise.race([
      asked.first.then((answer) => ({ first: answer })),
      asked.second.then((answer) => ({ second: answer })),
    ])
    if ('first' in one) {
      if (enough(one.first)) return [one.first, kNoAnswer]
      return [one.first, await Promise.race([asked.second, late(second, one.first)])]
    }
    return [await Promise.race([asked.first, late(first, one.second)]), one.second]
  }

  #remember(key: string, had: boolean): void {
    if (!had) this.#had.delete(key)
    if (!had || this.#had.has(key)) return
    if (this.#had.size >= kRememberedMax) this.#had.clear()
    this.#had.add(key)
  }

  /** The SRV records of `_<service>._tcp.<name>`, best first. */
  async services(
    service: string,
    name: string,
  ): Promise<{ readonly records: readonly SrvRecord[] }> {
    for (const candidate of this.#names.candidates(name, this.#definition.search)) {
      const query = `_${service}._tcp.${candidate}`
      const records = await this.#ask((resolver) => resolver.resolveSrv(query))
      if (records.length > 0) {
        return { records: records.sort((a, b) => a.priority - b.priority) }
      }
    }
    return { records: [] }
  }

  /** Ends questions that wait; their promises reject. */
  cancel(): void {
    this.#resolver?.cancel()
    this.#resolver = undefined
  }

  async #lookup(name: string, family: 4 | 6): Promise<DnsAnswer> {
    if (this.#definition.routableOnly && !hasFamily(family)) return { addresses: [] }
    if (this.#names.knows(name)) return { addresses: this.#names.addresses(name, family) }
    for (const candidate of this.#names.candidates(name, this.#definition.search)) {
      const records = await this.#ask((resolver) =>
        family === 4
          ? resolver.resolve4(candidate, { ttl: true })
          : resolver.resolve6(candidate, { ttl: true }),
      )
      if (records.length === 0) continue
      return {
        addresses: [...new Set(records.map(({ address }) => address))],
        ttl: records.reduce((least, { ttl }) => Math.min(least, ttl), Number.POSITIVE_INFINITY),
      }
    }
    return { addresses: [] }
  }

  async #ask<T>(question: (resolver: Resolver) => Promise<T[]>): Promise<T[]> {
    this.#resolver ??= this.#newResolver()
    const resolver = this.#resolver
    try {
      return await question(resolver)
    } catch (error) {
      if (kEmpty.includes((error as NodeJS.ErrnoException).code ?? '')) return []
      // Perhaps its socket or its servers are dead: the next question starts anew.
      if (this.#resolver === resolver) this.#resolver = undefined
      throw error
    }
  }

  #newResolver(): Resolver {
    const { servers, serversAsFallback } = this.#definition
    const resolver = new Resolver({
      timeout: this.#options.timeoutMs ?? kTimeoutMs,
      tries: this.#options.tries ?? kTries,
    })
    if (servers.length > 0 && !(serversAsFallback && this.#names.hasServers())) {
      resolver.setServers([...servers])
    }
    return resolver
  }
}

function together(answers: readonly PromiseSettledResult<DnsAnswer>[]): DnsAnswer {
  const good = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
  const failed = answers.find((answer) => answer.status === 'rejected')
  const addresses = good.flatMap((answer) => answer.addresses)
  if (failed && addresses.length === 0) throw failed.reason
  const ttls = good.flatMap(({ ttl }) => (ttl === undefined ? [] : [ttl]))
  return { addresses, ...(ttls.length > 0 && { ttl: Math.min(...ttls) }) }
}

const hasAddresses = (answer: Settled): answer is PromiseFulfilledResult<DnsAnswer> =>
  answer.status === 'fulfilled' && answer.value.addresses.length > 0

/** By {@link DnsClient.cancel}, which says nothing of the name. */
const isCancelled = (answer: Settled): boolean =>
  answer.status === 'rejected' && (answer.reason as NodeJS.ErrnoException).code === 'ECANCELLED'

function hasFamily(family: 4 | 6): boolean {
  return Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ address }) => isIPv4(address) === (family === 4)),
  )
}
