// Aggregate clusters: the hosts of others as one cluster, the priorities of the second after those
// of the first.

import type { AggregateDefinition, EndpointsDefinition } from '../../config/index.ts'
import type { DiscoverySink, DiscoverySource } from './source.ts'

/** As many as a cluster can have. */
const kPrioritiesMax = 129

export interface ClusterView {
  /** The hosts of a cluster, with the health that it gives them; undefined: it is not there. */
  endpoints(name: string): EndpointsDefinition | undefined
  /** Calls back after every change of the cluster, its coming and its going included. */
  watch(name: string, changed: () => void): () => void
}

export class AggregateDiscovery implements DiscoverySource {
  readonly #definition: AggregateDefinition
  readonly #view: ClusterView
  readonly #sink: DiscoverySink
  #unwatch: readonly (() => void)[] = []

  constructor(definition: AggregateDefinition, view: ClusterView, sink: DiscoverySink) {
    this.#definition = definition
    this.#view = view
    this.#sink = sink
  }

  start(): void {
    const changed = (): void => this.#report(false)
    this.#unwatch = this.#definition.clusters.map((name) => this.#view.watch(name, changed))
    this.#report(true)
    this.#sink.ready()
  }

  stop(): void {
    for (const unwatch of this.#unwatch) unwatch()
  }

  #report(anew: boolean): void {
    this.#sink.counters.attempt++
    this.#sink.counters.success++
    const parts = this.#definition.clusters.flatMap((name) => this.#view.endpoints(name) ?? [])
    this.#sink.report(concatenated(parts), anew)
  }
}

/** Priorities are counted anew: the next cluster's first comes after the last that is in use. */
export function concatenated(parts: readonly EndpointsDefinition[]): EndpointsDefinition {
  const hosts: EndpointsDefinition['hosts'][number][] = []
  const localities: EndpointsDefinition['localities'][number][] = []
  let priorities = 0
  for (const part of parts) {
    const first = priorities
    const firstLocality = localities.length
    for (const locality of part.localities) {
      localities.push({ ...locality, priority: first + locality.priority })
    }
    for (const host of part.hosts) {
      const priority = first + host.priority
      if (priority >= kPrioritiesMax) continue
      hosts.push({ ...host, priority, locality: firstLocality + host.locality })
      priorities = Math.max(priorities, priority + 1)
    }
    if (part.localities.length === 0 && part.hosts.length > 0) {
      localities.push({ region: '', zone: '', subZone: '', weight: 0, priority: first })
    }
  }
  return { hosts, localities }
}
