// ORIGINAL_DST: the hosts are the destinations that clients mean. One is added when a request names
// it, and goes when no request went to it for a whole interval and no connection to it is open.

import { isIPv6 } from 'node:net'
import type { HostDefinition, OriginalDstDefinition } from '../../config/index.ts'
import { every, type Timer } from '../../timers.ts'
import type { OnDemandSink, OnDemandSource } from './source.ts'

/**
 * Hosts of one cluster. Clients choose destinations, so that there must be an end: this many take
 * some 125 MB with two workers, and one more costs the main thread a millisecond.
 */
const kHostsMax = 65_536

export class OriginalDstDiscovery implements OnDemandSource {
  readonly #definition: OriginalDstDefinition
  readonly #sink: OnDemandSink
  readonly #hosts = new Map<string, HostDefinition>()
  #timer: Timer | undefined

  constructor(definition: OriginalDstDefinition, sink: OnDemandSink) {
    this.#definition = definition
    this.#sink = sink
  }

  start(): void {
    for (const host of this.#sink.hosts()) this.#hosts.set(keyOf(host), host)
    const { cleanupInterval } = this.#definition
    this.#timer = every(cleanupInterval, () => this.#cleanUp()).unref()
    this.#sink.ready()
  }

  stop(): void {
    this.#timer?.stop()
  }

  want(keys: readonly string[]): void {
    const added: HostDefinition[] = []
    const refused: string[] = []
    for (const key of keys) {
      if (this.#hosts.has(key)) continue // It is on its way to the worker that asked.
      if (this.#hosts.size >= kHostsMax) {
        refused.push(key)
        continue
      }
      const host = hostOf(key)
      this.#hosts.set(key, host)
      added.push(host)
    }
    if (added.length > 0) this.#sink.change(added, [])
    if (refused.length > 0) this.#sink.refuse(refused, 'full')
  }

  #cleanUp(): void {
    if (this.#hosts.size === 0) return
    const used = new Set(this.#sink.takeUsed(true).map(keyOf))
    const unused: HostDefinition[] = []
    for (const [key, host] of this.#hosts) {
      if (used.has(key)) continue
      this.#hosts.delete(key)
      unused.push(host)
    }
    if (unused.length > 0) this.#sink.change([], unused)
  }
}

/** `key`: as workers write addresses, `1.2.3.4:80` or `[::1]:80`. */
function hostOf(key: string): HostDefinition {
  const colon = key.lastIndexOf(':')
  const ip = key.slice(0, colon).replace(/^\[|\]$/g, '')
  const address = { ip, port: Number(key.slice(colon + 1)) }
  return { address, hostname: '', weight: 1, priority: 0, locality: 0, health: 'healthy' }
}

function keyOf({ address }: HostDefinition): string {
  if ('path' in address) return address.path
  return isIPv6(address.ip) ? `[${address.ip}]:${address.port}` : `${address.ip}:${address.port}`
}
