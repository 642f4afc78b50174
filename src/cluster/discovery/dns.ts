// STRICT_DNS and LOGICAL_DNS: every name is asked for again and again, each at its own pace. A
// failure keeps the last good answer, and so does another definition with the same name in it.

import type { DnsDefinition, DnsFamily, DnsTarget, HostDefinition } from '../../config/index.ts'
import type { NativeAddress, NativeLocality } from '../../native/index.ts'
import { after, type Timer } from '../../timers.ts'
import { keyOf, sameHosts } from '../same_hosts.ts'
import type { DnsAnswer, DnsClient } from './dns_client.ts'
import type { DiscoverySink, DiscoverySource } from './source.ts'

/** Of a logical host: more than these are never tried. */
const kAddressesMax = 16

/** ms until the next question. `failures`: in a row, 0 after an answer. */
export function nextRefresh(
  definition: Pick<DnsDefinition, 'refresh' | 'failureRefresh' | 'respectTtl' | 'jitter'>,
  failures: number,
  ttl: number | undefined,
  random: () => number = Math.random,
): number {
  const { refresh, failureRefresh, respectTtl, jitter } = definition
  if (failures > 0) {
    if (!failureRefresh) return refresh
    // Fully jittered exponential back-off, as Envoy's JitteredExponentialBackOffStrategy.
    const { base, max } = failureRefresh
    const step = Math.min(max, base * 2 ** Math.min(failures - 1, 30))
    return Math.max(1, Math.floor(random() * step))
  }
  const pause = respectTtl && ttl !== undefined && ttl > 0 ? ttl * 1000 : refresh
  return pause + Math.floor(random() * jitter)
}

/** One of a name's addresses. */
interface Place {
  readonly address: string
  /** What an SRV record says; absent: what the target says. */
  readonly port?: number
  readonly weight?: number
}

/** What a name was answered last, and what came of it. */
interface Known {
  readonly places: readonly Place[]
  readonly hosts: readonly HostDefinition[]
}

interface Target {
  readonly definition: DnsTarget
  /** undefined: there is no answer yet. */
  known: Known | undefined
  failures: number
  /** The first question is over, whatever came of it. */
  tried: boolean
  timer?: Timer
}

export interface DnsDiscoveryOptions {
  readonly definition: DnsDefinition
  readonly localities: readonly NativeLocality[]
  readonly client: DnsClient
}

export class DnsDiscovery implements DiscoverySource {
  readonly #definition: DnsDefinition
  readonly #localities: readonly NativeLocality[]
  readonly client: DnsClient
  readonly #sink: DiscoverySink
  readonly #targets: readonly Target[]
  /**
   * Hosts that no name of the definition stands for: those that were there before it, as long as
   * not every name was tried.
   */
  #standIns: readonly HostDefinition[] = []
  #waiting: number
  #stopped = false

  /** `before`: what it was answered holds until there are answers of one's own. */
  constructor(
    { definition, localities, client }: DnsDiscoveryOptions,
    sink: DiscoverySink,
    before?: DnsDiscovery,
  ) {
    this.#definition = definition
    this.#localities = localities
    this.client = client
    this.#sink = sink
    const answers = before?.answersOf(definition.family)
    this.#targets = definition.targets.map((target) => {
      const known = answers?.get(questionOf(target))
      return {
        definition: target,
        failures: 0,
        tried: false,
        known: known && this.#knownOf(target, known),
      }
    })
    this.#waiting = this.#targets.length
  }

  /** The latest answers, by {@link questionOf}; none to questions of another family. */
  answersOf(family: DnsFamily): ReadonlyMap<string, Known> {
    const answers = new Map<string, Known>()
    if (family !== this.#definition.family) return answers
    for (const { definition, known } of this.#targets) {
      if (known) answers.set(questionOf(definition), known)
    }
    return answers
  }

  start(): void {
    if (this.#targets.some(({ known }) => !known)) {
      const found = new Set(this.#found().map(keyOf))
      const others = this.#sink.hosts().filter((host) => !found.has(keyOf(host)))
      // Where they were said to be is of the definition before.
      const { locality = 0, priority = 0 } = this.#targets[0]?.definition.host ?? {}
      this.#standIns = others.map((host) => ({ ...host, locality, priority }))
    }
    this.#report(true)
    if (this.#waiting === 0 || !this.#definition.waitForWarm) this.#sink.ready()
    for (const target of this.#targets) void this.#resolve(target, true)
  }

  stop(): void {
    this.#stopped = true
    for (const { timer } of this.#targets) timer?.stop()
    this.client.cancel()
  }

  awaits(): readonly string[] {
    const untried = this.#targets.filter(({ tried }) => !tried)
    return untried.map(({ definition }) => `the addresses of ${definition.name} (DNS)`)
  }

  async #resolve(target: Target, first = false): Promise<void> {
    const { counters } = this.#sink
    counters.attempt++
    let ttl: number | undefined
    try {
      const found = await this.#find(target.definition)
      if (this.#stopped) return
      ttl = found.ttl
      target.failures = 0
      counters.success++
      this.#take(target, found.places)
    } catch {
      if (this.#stopped) return
      target.failures++
      counters.failure++
    }
    target.tried = true
    const pause = nextRefresh(this.#definition, target.failures, ttl)
    target.timer = after(pause, () => void this.#resolve(target)).unref()
    if (first && --this.#waiting === 0) this.#tried()
  }

  #tried(): void {
    if (this.#standIns.length > 0) {
      this.#standIns = []
      this.#report(true)
    }
    if (this.#definition.waitForWarm) this.#sink.ready()
  }

  #take(target: Target, places: readonly Place[]): void {
    const { counters } = this.#sink
    if (places.length === 0) counters.empty++
    const { known } = target
    const next = this.#knownOf(target.definition, { places, hosts: known?.hosts ?? [] })
    target.known = next
    if (sameHosts(next.hosts, known?.hosts ?? [])) counters.noRebuild++
    else this.#report(false)
  }

  #report(anew: boolean): void {
    const hosts = [...this.#found(), ...this.#standIns]
    this.#sink.report({ hosts, localities: this.#localities }, anew)
  }

  #found(): HostDefinition[] {
    return this.#targets.flatMap(({ known }) => known?.hosts ?? [])
  }

  /** `hosts`: those of the answer before. */
  #knownOf(target: DnsTarget, { places, hosts }: Known): Known {
    if (this.#definition.strict) return { places, hosts: strictHosts(target, places) }
    // The one host of a logical cluster stays where it was when there is nowhere else.
    if (places.length === 0) return { places, hosts: hosts.slice(0, 1).map(moved(target)) }
    return { places, hosts: logicalHost(target, places, hosts) }
  }

  async #find(target: DnsTarget): Promise<{ places: Place[]; ttl?: number }> {
    const { family } = this.#definition
    const places: Place[] = []
    let answers: DnsAnswer[]
    if (typeof target.port === 'number') {
      const answer = await this.client.resolve(target.name, family)
      for (const address of answer.addresses) places.push({ address })
      answers = [answer]
    } else {
      const { records } = await this.client.services(target.port, target.name)
      const best = records.filter(({ priority }) => priority === records[0]?.priority)
      answers = await Promise.all(best.map(({ name }) => this.client.resolve(name, family)))
      best.forEach(({ port, weight }, i) => {
        for (const address of answers[i]?.addresses ?? []) {
          places.push({ address, port, weight: Math.max(1, weight) })
        }
      })
    }
    const ttls = answers.flatMap(({ ttl }) => (ttl === undefined ? [] : [ttl]))
    return { places, ...(ttls.length > 0 && { ttl: Math.min(...ttls) }) }
  }
}

/** What is asked for, whatever is made of the answer. */
const questionOf = ({ name, port }: DnsTarget): string =>
  typeof port === 'number' ? name : `_${port}._tcp.${name}`

/** The hosts of places, as a target says that they are. */
function hostsAt(
  { port, host, additionalAddresses }: DnsTarget,
  places: readonly Place[],
): HostDefinition[] {
  const own = typeof port === 'number' ? port : 0
  return places.map((place) => ({
    ...host,
    ...(additionalAddresses && { additionalAddresses }),
    weight: place.weight ?? host.weight,
    address: { ip: place.address, port: place.port ?? own },
  }))
}

/** A host where it was, and else as another target says. */
const moved =
  ({ host, port }: DnsTarget) =>
  ({ address, additionalAddresses }: HostDefinition): HostDefinition => {
    const to = (at: NativeAddress): NativeAddress =>
      'ip' in at && typeof port === 'number' ? { ...at, port } : at
    return {
      ...host,
      address: to(address),
      ...(additionalAddresses && { additionalAddresses: additionalAddresses.map(to) }),
    }
  }

function byAddress({ address: a }: HostDefinition, { address: b }: HostDefinition): number {
  if (!('ip' in a && 'ip' in b)) return 0
  if (a.ip !== b.ip) return a.ip < b.ip ? -1 : 1
  return a.port - b.port
}

/** In an order of their own: servers turn their answers around. */
function strictHosts(target: DnsTarget, places: readonly Place[]): HostDefinition[] {
  return hostsAt(target, places).sort(byAddress)
}

/**
 * The first address; the one in use as long as it is among the answer's, so that a server that
 * turns its answers around does not end connections.
 */
function logicalHost(
  target: DnsTarget,
  places: readonly Place[],
  before: readonly HostDefinition[],
): HostDefinition[] {
  const found = hostsAt(target, places)
  const [used] = before.map(moved(target))
  const chosen = found.find((host) => used && byAddress(host, used) === 0) ?? found[0]
  if (!chosen) return []
  const additionalAddresses = found
    .filter((host) => host !== chosen)
    .sort(byAddress)
    .slice(0, kAddressesMax - 1)
    .map(({ address }) => address)
    .concat(target.additionalAddresses ?? [])
  return [
    {
      ...target.host,
      address: chosen.address,
      ...(additionalAddresses.length > 0 && { additionalAddresses }),
    },
  ]
}
