// One cluster as the main thread runs it: its hosts, where they come from, what is known of their
// health, and what of all that workers were told.

import { isDeepStrictEqual } from 'node:util'
import type { ClusterDefinition, EndpointsDefinition, HostDefinition } from '../config/index.ts'
import type {
  NativeHostStats,
  NativeLocality,
  NativeOutlierEvent,
  SlotId,
} from '../native/index.ts'
import { every, type Timer } from '../timers.ts'
import type { ClusterHome } from './cluster_home.ts'
import type {
  DiscoveryCounters,
  DiscoverySource,
  OnDemandSink,
  OnDemandSource,
} from './discovery/source.ts'
import { outlierEvent } from './event_logs.ts'
import { HostFlag, healthOf, kCheckFlags } from './flags.ts'
import { ActiveChecks } from './health/active_checks.ts'
import type { CheckCounters } from './health/checker.ts'
import { type HostEntry, HostTable, judged, type TableChange } from './host_table.ts'
import type { When } from './merge.ts'
import { kNoRate, type OutlierAction, type OutlierDecisions } from './outlier/decisions.ts'
import { OutlierDetector } from './outlier/detector.ts'
import { ClusterPublisher, type Frame, mustBeUsable } from './publisher.ts'
import { Readiness } from './readiness.ts'
import { addressText, sameHosts, sameLocalities, sameSets } from './same_hosts.ts'

export interface HostView {
  /** Of {@link HostFlag}. */
  readonly flags: number
  readonly locality?: NativeLocality
  /** Percent, of the latest interval of outlier detection; -1: not known. */
  readonly successRate: number
  readonly localSuccessRate: number
}

export interface MembershipCounters {
  membershipChange: number
}

/** Of hosts that readiness waits for: so many are named. */
const kAwaitedNamed = 3

export class ManagedCluster {
  readonly slot: SlotId
  readonly #home: ClusterHome
  readonly #table = new HostTable()
  readonly #publisher: ClusterPublisher
  #definition: ClusterDefinition
  /** What is said of hosts as a whole. */
  #frame: Frame
  /** Endpoints that a program set stand in for those of the configuration. */
  #override = false
  /** No configuration has it any more. */
  #retired = false
  #source: DiscoverySource | OnDemandSource | undefined
  readonly #checks: ActiveChecks
  #outlier: OutlierDetector | undefined
  #reweighing: Timer | undefined
  /** What changes is published by who exchanges it. */
  #exchanging = false
  readonly #readiness = new Readiness(() => this.#publisher.flush())
  readonly discoveryCounters: DiscoveryCounters = {
    attempt: 0,
    success: 0,
    failure: 0,
    empty: 0,
    noRebuild: 0,
    rejected: 0,
    timeoutReceived: 0,
    stale: 0,
  }
  readonly membership: MembershipCounters = { membershipChange: 0 }

  constructor(slot: SlotId, definition: ClusterDefinition, home: ClusterHome) {
    this.slot = slot
    this.#home = home
    this.#definition = definition
    this.#frame = { localities: definition.localities }
    this.#publisher = new ClusterPublisher(slot, home, this.#table, () => ({
      definition: this.#definition,
      frame: this.#frame,
    }))
    this.#checks = new ActiveChecks({
      home,
      table: this.#table,
      readiness: this.#readiness,
      definition: () => this.#definition,
      localities: () => this.#frame.localities,
      hostStats: () => this.hostStats(),
      setFlags: (host, flags) => this.#setFlags(host, flags),
      gone: (host) => {
        this.#table.remove(host)
        this.#forget(host)
        this.membership.membershipChange++
        this.#publisher.change('now')
      },
      succeeded: (host) => this.#outlier?.checkSucceeded(host),
    })
  }

  /** Discovery was tried, and every host that it found was checked. */
  get ready(): Promise<void> {
    return this.#readiness.ready
  }

  get checkCounters(): CheckCounters {
    return this.#checks.counters
  }

  /** What {@link ready} waits for, for people; nothing when it does not. */
  awaits(): readonly string[] {
    const { isReady, isDiscovered } = this.#readiness
    if (isReady) return []
    if (!isDiscovered) return this.#source?.awaits?.() ?? ['its endpoints']
    const hosts = this.#readiness.unchecked().flatMap((id) => this.#table.get(id) ?? [])
    const named = hosts.slice(0, kAwaitedNamed).map((host) => addressText(host.definition.address))
    const more = hosts.length > named.length ? ` and ${hosts.length - named.length} more` : ''
    return [`the first health check of ${named.join(', ')}${more}`]
  }

  get definition(): ClusterDefinition {
    return this.#definition
  }

  get version(): number {
    return this.#publisher.version
  }

  get updatedAt(): number {
    return this.#publisher.updatedAt
  }

  /** Hosts as discovery, or a program, says that they are now. */
  hostDefinitions(): readonly HostDefinition[] {
    return this.#table.definitions()
  }

  /** As other clusters may use them: with the health that they have here. */
  judgedEndpoints(): EndpointsDefinition {
    const hosts = [...this.#table.values()].map(
      ({ definition, flags }): HostDefinition => judged(definition, flags),
    )
    return { hosts, localities: this.#frame.localities }
  }

  start(now: number): void {
    this.#checks.start()
    this.#startOutlier()
    this.#startReweighing()
    this.#apply(this.#table.replace(this.#definition.hosts, this.#newFlags, this.#keeps))
    this.#publisher.all(now)
    this.#startSource(undefined)
  }

  stop(): void {
    this.#publisher.cancel()
    this.#source?.stop()
    this.#checks.stop()
    this.#outlier?.stop()
    this.#reweighing?.stop()
    this.#readiness.end()
  }

  /**
   * Puts another definition in force; says whether anything was different. Where only hosts are,
   * workers are told of those that differ.
   */
  update(next: ClusterDefinition, now: number): boolean {
    const before = this.#definition
    const retired = this.#retired
    const sameRest = isDeepStrictEqual(withoutHosts(before), withoutHosts(next))
    if (!retired && sameRest && sameHosts(before.hosts, next.hosts)) return false
    this.#retired = false
    this.#definition = next
    this.#publisher.setWindow(next.updateMergeWindow)
    const sameChecks = isDeepStrictEqual(before.healthCheck, next.healthCheck)
    if (retired || !sameChecks) this.#checks.restart(retired)
    if (!isDeepStrictEqual(before.outlierDetection, next.outlierDetection)) this.#startOutlier()
    if (!isDeepStrictEqual(before.lb.clientWeights, next.lb.clientWeights)) this.#startReweighing()
    this.#dropUnkept()
    const others =
      retired ||
      !isDeepStrictEqual(before.discovery, next.discovery) ||
      !sameHosts(before.hosts, next.hosts) ||
      !sameLocalities(before.localities, next.localities)
    if (!others) {
      this.#publisher.all(now)
      return true
    }
    const { change, sameFrame } = this.#exchangeHosts(before)
    if (sameRest && sameFrame && change) this.#tell(change, true, 'now')
    else this.#publisher.all(now)
    return true
  }

  /** Hosts are what the definition says from now on, and no program. */
  #exchangeHosts(before: ClusterDefinition): {
    readonly change: TableChange | undefined
    readonly sameFrame: boolean
  } {
    const { discovery, hosts, localities, onDemand } = this.#definition
    this.#override = false
    const source = this.#source
    source?.stop()
    this.#source = undefined
    const sameFrame = this.#isFrame({ localities })
    // Hosts that were added on demand, and others, are no answers to each other's questions.
    const sameKind = before.discovery?.kind === discovery?.kind
    if (!sameKind && (before.onDemand || onDemand)) {
      this.#setHosts({ hosts: [], localities: [] }, true)
    }
    // Where hosts are to be found, they stay as they are until that was tried.
    const change = discovery ? undefined : this.#setHosts({ hosts, localities }, true)
    this.#exchanging = true
    this.#startSource(source)
    this.#exchanging = false
    return { change, sameFrame }
  }

  /**
   * `remove` go and `set` come, or are as they say from now on. What is there then stands in for
   * discovery and for what is configured, until that changes. Throws, with nothing changed, for a
   * host that workers cannot be told of.
   */
  changeEndpoints(set: readonly HostDefinition[], remove: readonly HostDefinition[]): void {
    mustBeUsable(this.#home.core, set)
    this.#override = true
    this.#change(set, remove)
  }

  /** Its way back from an {@link update}: definition, hosts, and who says what they are. */
  remember(): () => void {
    const [definition, override, retired] = [this.#definition, this.#override, this.#retired]
    const endpoints = { hosts: this.hostDefinitions(), ...this.#frame }
    return () => {
      this.update(definition, Date.now())
      this.#override = override
      this.#take(endpoints, true)
      if (retired) this.retire()
    }
  }

  /**
   * The configuration has no such cluster any more. Its hosts serve what was routed to them before,
   * and are checked no more; when it comes back, it is another one.
   */
  retire(): void {
    if (this.#retired) return
    this.#retired = true
    this.#checks.stop()
    this.#readiness.unneeded()
    this.#dropUnkept()
  }

  /** What is known of a host beside its numbers. */
  view(id: number): HostView | undefined {
    const entry = this.#table.get(id)
    if (!entry) return undefined
    const rates = this.#outlier?.decisions.successRates(id)
    const locality = this.#frame.localities[entry.definition.locality]
    return {
      flags: entry.flags,
      ...(locality && { locality }),
      successRate: rates?.external ?? kNoRate,
      localSuccessRate: rates?.local ?? kNoRate,
    }
  }

  hostStats(): readonly NativeHostStats[] {
    return this.#home.core.clusterHosts(this.slot)
  }

  host(id: number): HostEntry | undefined {
    return this.#table.get(id)
  }

  hosts(): Iterable<HostEntry> {
    return this.#table.values()
  }

  get outlier(): OutlierDecisions | undefined {
    return this.#outlier?.decisions
  }

  /** Whether {@link ready} has resolved. */
  get isWarm(): boolean {
    return this.#readiness.isReady
  }

  get isChecked(): boolean {
    return this.#checks.isOn
  }

  onOutlierEvent({ host, kind }: NativeOutlierEvent): void {
    if (kind === 'immediate-fail') this.#checks.failPassively(host)
    else this.#outlier?.consecutive(host, kind)
  }

  /** Requests name hosts that are not there. */
  want(keys: readonly string[]): void {
    if (this.#source && 'want' in this.#source) this.#source.want(keys)
  }

  // ---- Hosts

  #startSource(before: DiscoverySource | undefined): void {
    const { core } = this.#home
    const inForce = (): boolean => this.#source === source && !this.#override
    const sink: OnDemandSink = {
      counters: this.discoveryCounters,
      report: (endpoints, anew = false) => {
        if (inForce()) this.#take(endpoints, anew)
      },
      mustBeUsable: (hosts) => mustBeUsable(core, hosts),
      hosts: () => this.#table.definitions(),
      change: (set, remove) => {
        if (inForce()) this.#change(set, remove)
      },
      refuse: (keys, why) => core.refuseHosts(this.slot, keys, why),
      takeUsed: (orConnected) =>
        core.takeUsedHosts(this.slot, orConnected).flatMap((id) => {
          const entry = this.#table.get(id)
          return entry ? [entry.definition] : []
        }),
      waiting: () => core.waiting(this.slot),
      ready: () => {
        if (this.#source === source) this.#readiness.discovered()
      },
    }
    const source = this.#home.source(this.#definition, sink, before)
    this.#source = source
    if (source) source.start()
    else this.#readiness.discovered()
  }

  #take(endpoints: EndpointsDefinition, anew: boolean): void {
    const sameFrame = this.#isFrame(endpoints)
    if (anew && sameFrame && sameSets(this.#table.definitions(), endpoints.hosts)) return
    const change = this.#setHosts(endpoints, anew)
    const { membership, updated, health } = change
    this.#tell(change, sameFrame, membership ? 'now' : health ? 'turn' : 'window')
    if (sameFrame && !membership && !updated) this.discoveryCounters.noRebuild++
  }

  #change(set: readonly HostDefinition[], remove: readonly HostDefinition[]): void {
    const change = this.#table.change(set, remove, this.#newFlags)
    this.#apply(change)
    this.#tell(change, true, 'now')
  }

  #isFrame({ localities, lb }: Frame): boolean {
    const now = this.#frame
    return sameLocalities(now.localities, localities) && isDeepStrictEqual(now.lb, lb)
  }

  /** Tells workers of a change, where there is one. */
  #tell({ membership, updated }: TableChange, sameFrame: boolean, when: When): void {
    if (this.#exchanging) return
    if (!sameFrame) this.#publisher.all(Date.now())
    else if (membership || updated) this.#publisher.change(when)
  }

  #setHosts({ hosts, localities, lb }: EndpointsDefinition, atOnce: boolean): TableChange {
    this.#frame = { localities, ...(lb && { lb }) }
    const keeps = atOnce ? () => false : this.#keeps
    const change = this.#table.replace(hosts, this.#newFlags, keeps)
    this.#apply(change)
    return change
  }

  readonly #newFlags = (host: HostDefinition): number => this.#checks.newFlags(host)

  /** A host that passes its checks outlives its discovery. */
  readonly #keeps = ({ id, flags }: HostEntry): boolean => {
    if (!this.#checks.has(id) || this.#definition.ignoreHealthOnHostRemoval) return false
    return (flags & (HostFlag.failedActiveCheck | HostFlag.failedEdsHealth)) === 0
  }

  #apply({ added, removed, moved }: TableChange): void {
    for (const entry of added) {
      this.#outlier?.add(entry.id)
      this.#checks.add(entry, true)
    }
    for (const { id } of removed) this.#forget(id)
    for (const entry of moved) {
      this.#checks.remove(entry.id)
      const flags = (entry.flags & ~kCheckFlags) | this.#newFlags(entry.definition)
      this.#table.setFlags(entry.id, flags)
      this.#checks.add(entry, true)
    }
    if (added.length + removed.length > 0) this.membership.membershipChange++
  }

  /** Hosts that stayed for passing their checks go when that is no reason any more. */
  #dropUnkept(): void {
    const gone = this.#table.dropPending(this.#keeps)
    if (gone.length === 0) return
    for (const { id } of gone) this.#forget(id)
    this.membership.membershipChange++
    this.#publisher.change('now')
  }

  #forget(id: number): void {
    this.#checks.remove(id)
    this.#outlier?.remove(id)
    this.#readiness.checked(id)
  }

  // ---- Publishing

  #startReweighing(): void {
    this.#reweighing?.stop()
    const { clientWeights } = this.#definition.lb
    if (!clientWeights) return
    const { core } = this.#home
    const reweigh = (): void => core.reweigh(this.slot)
    this.#reweighing = every(clientWeights.updatePeriod, reweigh).unref()
  }

  #setFlags(id: number, flags: number): void {
    const entry = this.#table.get(id)
    const was = healthOf(entry?.flags ?? 0)
    if (!entry || !this.#table.setFlags(id, flags)) return
    const health = healthOf(flags)
    this.#publisher.change(health === was ? 'window' : 'turn')
    if (health === was) return
    const { name } = this.#definition
    this.#home.health({
      cluster: name,
      address: addressText(entry.definition.address),
      health,
      was,
    })
  }

  // ---- Outlier detection

  #startOutlier(): void {
    const { outlierDetection } = this.#definition
    if (outlierDetection && this.#outlier) {
      this.#outlier.setRules(outlierDetection)
      return
    }
    this.#outlier?.stop()
    this.#outlier = undefined
    if (!outlierDetection) {
      for (const { id, flags } of this.#table.values()) {
        this.#setFlags(id, flags & ~HostFlag.failedOutlierCheck)
      }
      return
    }
    const { core } = this.#home
    this.#outlier = new OutlierDetector(outlierDetection, {
      window: () => core.outlierWindow(this.slot),
      act: (actions) => this.#onOutliers(actions),
    })
    for (const { id } of this.#table.values()) this.#outlier.add(id)
  }

  #onOutliers(actions: readonly OutlierAction[]): void {
    const back: number[] = []
    for (const action of actions) {
      const entry = this.#table.get(action.host)
      if (!entry) continue
      const { name, outlierDetection } = this.#definition
      if (outlierDetection?.eventLog) {
        const event = outlierEvent(name, addressText(entry.definition.address), action)
        this.#home.eventLogs.write(outlierDetection.eventLog, event)
      }
      if (action.action === 'eject') {
        if (action.enforced) this.#setFlags(entry.id, entry.flags | HostFlag.failedOutlierCheck)
        continue
      }
      back.push(entry.id)
      const healed = HostFlag.failedOutlierCheck
      this.#setFlags(entry.id, entry.flags & ~healed)
    }
    if (back.length > 0) this.#home.core.resetOutliers(this.slot, back)
  }
}

function withoutHosts({ hosts: _hosts, ...rest }: ClusterDefinition): object {
  return rest
}
