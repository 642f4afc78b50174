// STRICT_DNS and LOGICAL_DNS: every name is asked for again and again, each at its own pace. A
// failure keeps the last good answer.

import type { DnsDefinition, DnsTarget, HostDefinition } from '../../config/index.ts'
import type { NativeAddress, NativeLocality } from '../../native/index.ts'
import { after, type Timer } from '../../timers.ts'
import { sameHosts } from '../same_hosts.ts'
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

interface Target {
  readonly definition: DnsTarget
  hosts: readonly HostDefinition[]
  failures: number
  timer?: Timer
}

export class DnsDiscovery implements DiscoverySource {
  readonly #definition: DnsDefinition
  readonly #localities: readonly NativeLocality[]
  readonly #client: DnsClient
  readonly #sink: DiscoverySink
  readonly #targets: readonly Target[]
  #waiting: number
  #stopped = false

  constructor(
    definition: DnsDefinition,
    localities: readonly NativeLocality[],
    client: DnsClient,
    sink: DiscoverySink,
  ) {
    this.#definition = definition
    this.#localities = localities
    this.#client = client
    this.#sink = sink
    this.#targets = definition.targets.map((target) => ({
      definition: target,
      hosts: [],
      failures: 0,
    }))
    this.#waiting = this.#targets.length
  }

  start(): void {
    if (this.#waiting === 0 || !this.#definition.waitForWarm) this.#sink.ready()
    for (const target of this.#targets) void this.#resolve(target, true)
  }

  stop(): void {
    this.#stopped = true
    for (const { timer } of this.#targets) timer?.stop()
    this.#client.cancel()
  }

  async #resolve(target: Target, first = false): Promise<void> {
    const { counters } = this.#sink
    counters.attempt++
    let ttl: number | undefined
    try {
      const found = await this.#find(target.definition, target.hosts)
      if (this.#stopped) return
      ttl = found.ttl
      target.failures = 0
      counters.success++
      this.#take(target, found.hosts)
    } catch {
      if (this.#stopped) return
      target.failures++
      counters.failure++
    }
    const pause = nextRefresh(this.#definition, target.failures, ttl)
    target.timer = after(pause, () => void this.#resolve(target)).unref()
    if (first && --this.#waiting === 0 && this.#definition.waitForWarm) this.#sink.ready()
  }

  #take(target: Target, hosts: readonly HostDefinition[]): void {
    const { counters } = this.#sink
    if (hosts.length === 0) counters.empty++
    // The one host of a logical cluster stays where it was when there is nowhere else.
    const stays = hosts.length === 0 && !this.#definition.strict
    if (stays || sameHosts(hosts, target.hosts)) {
      counters.noRebuild++
      return
    }
    target.hosts = hosts
    this.#sink.report({
      hosts: this.#targets.flatMap((each) => each.hosts),
      localities: this.#localities,
    })
  }

  async #find(
    target: DnsTarget,
    before: readonly HostDefinition[],
  ): Promise<{ hosts: HostDefinition[]; ttl?: number }> {
    const { family, strict } = this.#definition
    const places: { address: string; port: number; weight: number }[] = []
    let answers: DnsAnswer[]
    if (typeof target.port === 'number') {
      const { port, host } = target
      const answer = await this.#client.resolve(target.name, family)
      for (const address of answer.addresses) places.push({ address, port, weight: host.weight })
      answers = [answer]
    } else {
      const { records } = await this.#client.services(target.port, target.name)
      const best = records.filter(({ priority }) => priority === records[0]?.priority)
      answers = await Promise.all(best.map(({ name }) => this.#client.resolve(name, family)))
      best.forEach(({ port, weight }, i) => {
        for (const address of answers[i]?.addresses ?? []) {
          places.push({ address, port, weight: Math.max(1, weight) })
        }
      })
    }
    const ttls = answers.flatMap(({ ttl }) => (ttl === undefined ? [] : [ttl]))
    return {
      hosts: strict ? strictHosts(target, places) : logicalHost(target, places, before),
      ...(ttls.length > 0 && { ttl: Math.min(...ttls) }),
    }
  }
}

interface Place {
  readonly address: string
  readonly port: number
  readonly weight: number
}

const addressOf = ({ address, port }: Place): NativeAddress => ({ ip: address, port })

function byAddress(a: Place, b: Place): number {
  if (a.address !== b.address) return a.address < b.address ? -1 : 1
  return a.port - b.port
}

/** In an order of their own: servers turn their answers around. */
function strictHosts({ host }: DnsTarget, places: readonly Place[]): HostDefinition[] {
  return [...places]
    .sort(byAddress)
    .map((place) => ({ ...host, weight: place.weight, address: addressOf(place) }))
}

/**
 * The first address; the one in use as long as it is among the answer's, so that a server that
 * turns its answers around does not end connections.
 */
function logicalHost(
  { host }: DnsTarget,
  places: readonly Place[],
  before: readonly HostDefinition[],
): HostDefinition[] {
  const [first] = places
  if (!first) return []
  const used = before[0]?.address
  const inUse = places.find(
    ({ address, port }) => used && 'ip' in used && used.ip === address && used.port === port,
  )
  const chosen = inUse ?? first
  const additionalAddresses = places
    .filter((place) => place !== chosen)
    .sort(byAddress)
    .slice(0, kAddressesMax - 1)
    .map(addressOf)
  return [
    {
      ...host,
      address: addressOf(chosen),
      ...(additionalAddresses.length > 0 && { additionalAddresses }),
    },
  ]
}
