// Ids of the hosts of one cluster: what is at the same addresses under the same name is the same
// host, whatever else of it changes.

import type { HostDefinition } from '../config/index.ts'
import type { NativeAddress, NativeHost } from '../native/index.ts'

export class HostIds {
  readonly #ids = new Map<string, number>()
  #next = 0

  /**
   * The hosts with their ids; one that is there twice is one host, as it stands first. Ids of hosts
   * that are not among them are given up: a host that comes back is another one.
   */
  assign(hosts: readonly HostDefinition[]): NativeHost[] {
    const named = new Map<string, NativeHost>()
    for (const host of hosts) {
      const key = keyOf(host)
      if (!named.has(key)) named.set(key, { ...host, id: this.#ids.get(key) ?? this.#next++ })
    }
    this.#ids.clear()
    for (const [key, { id }] of named) this.#ids.set(key, id)
    return [...named.values()]
  }
}

function keyOf({ address, additionalAddresses = [], hostname }: HostDefinition): string {
  return JSON.stringify([hostname, ...[address, ...additionalAddresses].map(addressKey)])
}

const addressKey = (address: NativeAddress): unknown[] =>
  'path' in address ? [address.path] : [address.ip, address.port]
