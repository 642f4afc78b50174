// What workers are told of one cluster: all of it, or what of its hosts changed. A host that the
// core refuses (an address of an interface that went away) costs no other host anything: workers do
// not have it, and it is offered again with every later change.

import type { ClusterDefinition, EndpointsDefinition, HostDefinition } from '../config/index.ts'
import type { NativeAddress, NativeHost, SlotId } from '../native/index.ts'
import type { ClusterHome, ClusterRunCore } from './cluster_home.ts'
import type { HostTable } from './host_table.ts'
import { UpdateMerger, type When } from './merge.ts'
import { addressText } from './same_hosts.ts'

/** What {@link EndpointsDefinition} says beside its hosts. */
export type Frame = Omit<EndpointsDefinition, 'hosts'>

export interface Publishable {
  readonly definition: ClusterDefinition
  readonly frame: Frame
}

type Checks = Pick<ClusterRunCore, 'addressProblem'>

/** Throws for the first of the hosts that workers cannot be told of. */
export function mustBeUsable(core: Checks, hosts: readonly HostDefinition[]): void {
  for (const host of hosts) {
    const problem = problemOf(core, host)
    if (problem !== undefined) throw new Error(`${addressText(host.address)}: ${problem}`)
  }
}

function problemOf(
  core: Checks,
  { address, additionalAddresses = [] }: Pick<NativeHost, 'address' | 'additionalAddresses'>,
): string | undefined {
  // Nothing can be wrong with an IP address alone, and there are thousands of them.
  const mayBeWrong = (at: NativeAddress): boolean => 'path' in at || at.ip.includes('%')
  for (const at of [address, ...additionalAddresses]) {
    const problem = mayBeWrong(at) ? core.addressProblem(at) : undefined
    if (problem !== undefined) return problem
  }
  return undefined
}

export class ClusterPublisher {
  readonly #slot: SlotId
  readonly #home: ClusterHome
  readonly #table: HostTable
  readonly #what: () => Publishable
  readonly #merger: UpdateMerger
  /** Ids of hosts that workers do not have. */
  readonly #refused = new Set<number>()
  version = 0
  updatedAt = 0

  constructor(slot: SlotId, home: ClusterHome, table: HostTable, what: () => Publishable) {
    this.#slot = slot
    this.#home = home
    this.#table = table
    this.#what = what
    const { updateMergeWindow } = what().definition
    this.#merger = new UpdateMerger(updateMergeWindow, home.merges, () => this.#delta())
  }

  setWindow(window: number): void {
    this.#merger.setWindow(window)
  }

  /** Hosts changed: they are published in time. */
  change(when: When): void {
    this.#merger.change(when)
  }

  /** Publishes now what waits. */
  flush(): void {
    this.#merger.flush()
  }

  cancel(): void {
    this.#merger.cancel()
  }

  all(now: number): void {
    this.#merger.cancel()
    const { definition, frame } = this.#what()
    const {
      discovery: _discovery,
      healthCheck: _healthCheck,
      outlierDetection: _outlierDetection,
      updateMergeWindow: _window,
      ignoreHealthOnHostRemoval: _ignoreHealth,
      ignoreNewHostsUntilFirstCheck: _ignoreNew,
      ...native
    } = definition
    const { localities, lb } = frame
    const publish = (hosts: readonly NativeHost[]): void =>
      this.#home.core.publishCluster(this.#slot, {
        ...native,
        lb: { ...native.lb, ...lb },
        hosts,
        localities,
      })
    const hosts = this.#table.takeAll()
    try {
      publish(hosts)
      this.#refused.clear()
    } catch (error) {
      publish(this.#usable(hosts, error))
    }
    this.#published(now)
  }

  #delta(): void {
    const delta = this.#table.takeDelta()
    if (!delta) return
    const { core } = this.#home
    const again = [...this.#refused].flatMap((id) => this.#table.native(id) ?? [])
    const set = [
      ...again.filter(({ id }) => !delta.set.some((host) => host.id === id)),
      ...delta.set,
    ]
    try {
      core.updateHosts(this.#slot, { set, remove: delta.remove })
      this.#refused.clear()
    } catch (error) {
      try {
        const usable = this.#usable(set, error)
        // One that was good before is not as workers know it any more.
        core.updateHosts(this.#slot, { set: usable, remove: [...delta.remove, ...this.#refused] })
      } catch {
        // Nobody waits for this.
        this.#home.refused(this.#what().definition.name, error)
        return
      }
    }
    this.#published(Date.now())
  }

  /** Those of `hosts` that the core takes; throws `error` when it is none of the others' fault. */
  #usable(hosts: readonly NativeHost[], error: unknown): NativeHost[] {
    const before = new Set(this.#refused)
    this.#refused.clear()
    const usable = hosts.filter((host) => {
      const problem = problemOf(this.#home.core, host)
      if (problem === undefined) return true
      this.#refused.add(host.id)
      if (!before.has(host.id)) this.#home.refused(this.#what().definition.name, problem)
      return false
    })
    if (this.#refused.size === 0) throw error
    return usable
  }

  #published(now: number): void {
    this.version++
    this.updatedAt = now
    this.#home.changed(this.#what().definition.name)
  }
}
