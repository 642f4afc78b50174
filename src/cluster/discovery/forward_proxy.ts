// The dynamic forward proxy: a cluster whose hosts are those of a DNS cache, by the names under
// which requests name them.

import type { ForwardProxyDefinition, HostDefinition } from '../../config/index.ts'
import type { NativeHostRefusal } from '../../native/index.ts'
import type { DnsCache, DnsCaches, DnsCacheUser } from './dns_cache.ts'
import type { OnDemandSink, OnDemandSource } from './source.ts'

export class ForwardProxyDiscovery implements OnDemandSource, DnsCacheUser {
  readonly #definition: ForwardProxyDefinition
  readonly #caches: DnsCaches
  readonly #sink: OnDemandSink
  #cache: DnsCache | undefined

  constructor(definition: ForwardProxyDefinition, caches: DnsCaches, sink: OnDemandSink) {
    this.#definition = definition
    this.#caches = caches
    this.#sink = sink
  }

  start(): void {
    this.#cache = this.#caches.get(this.#definition.cache)
    this.#sink.report({ hosts: this.#cache.attach(this), localities: [] })
    this.#sink.ready()
  }

  stop(): void {
    if (!this.#cache) return
    this.#cache.detach(this)
    this.#caches.release(this.#cache)
    this.#cache = undefined
  }

  want(keys: readonly string[]): void {
    this.#cache?.want(keys, this)
  }

  change(set: readonly HostDefinition[], remove: readonly HostDefinition[]): void {
    this.#sink.change(set, remove)
  }

  refuse(keys: readonly string[], why: NativeHostRefusal): void {
    this.#sink.refuse(keys, why)
  }

  takeUsed(): readonly string[] {
    return this.#sink.takeUsed(false).map(({ hostname }) => hostname)
  }

  waiting(): { readonly now: number; readonly overflows: number } {
    return this.#sink.waiting()
  }
}
