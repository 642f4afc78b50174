// The active checks of one cluster: which hosts are checked, where, by which rules, and what their
// results mean for the cluster's hosts.

import { isIPv4 } from 'node:net'
import type { ClusterDefinition, HostDefinition } from '../../config/index.ts'
import type { NativeHostStats, NativeLocality } from '../../native/index.ts'
import type { ClusterHome } from '../cluster_home.ts'
import { healthEvent } from '../event_logs.ts'
import { HostFlag, kCheckFlags } from '../flags.ts'
import type { HostEntry, HostTable } from '../host_table.ts'
import type { Readiness } from '../readiness.ts'
import { type CheckCounters, HealthChecker } from './checker.ts'
import type { ProbeTarget } from './prober.ts'
import type { CheckOutcome, CheckResult } from './state.ts'

/** How long an answer of "no traffic yet" is good for. */
const kTrafficLookMs = 1_000

/** The cluster whose hosts are checked. */
export interface ActiveChecksOwner {
  readonly home: ClusterHome
  readonly table: HostTable
  readonly readiness: Readiness
  definition(): ClusterDefinition
  localities(): readonly NativeLocality[]
  hostStats(): readonly NativeHostStats[]
  setFlags(host: number, flags: number): void
  /** A host that discovery gave up fails: it goes. */
  gone(host: number): void
  succeeded(host: number): void
}

export class ActiveChecks {
  readonly #owner: ActiveChecksOwner
  #checker: HealthChecker | undefined
  #hadTraffic = false
  #lookedAt = Number.NEGATIVE_INFINITY
  readonly counters: CheckCounters = {
    attempt: 0,
    success: 0,
    failure: 0,
    passiveFailure: 0,
    networkFailure: 0,
    verifyCluster: 0,
  }

  constructor(owner: ActiveChecksOwner) {
    this.#owner = owner
  }

  /** Whether the cluster's definition asks for checks. */
  get isOn(): boolean {
    return this.#checker !== undefined
  }

  has(host: number): boolean {
    return this.#checker?.has(host) === true
  }

  start(): void {
    const { home, table } = this.#owner
    const { healthCheck } = this.#owner.definition()
    if (!healthCheck) return
    this.#checker = new HealthChecker(
      healthCheck,
      {
        flags: (host) => table.get(host)?.flags,
        checked: (host, outcome, result) => this.#checked(host, outcome, result),
        hadTraffic: () => this.#sawTraffic(),
        verifiesService: () => home.enabled('health_check.verify_cluster'),
      },
      home.stalls,
      this.counters,
    )
  }

  stop(): void {
    this.#checker?.stop()
    this.#checker = undefined
  }

  /**
   * Other rules: what is known of hosts stays, and goes on under them. `anew`: it is long ago, and
   * the next check decides at once.
   */
  restart(anew: boolean): void {
    const before = this.#checker
    const { table, readiness } = this.#owner
    const hosts = [...table.values()]
    const firsts = new Set(anew ? hosts : hosts.filter(({ id }) => before?.isFirst(id)))
    this.stop()
    this.start()
    for (const entry of hosts) {
      if (this.#checker) this.add(entry, firsts.has(entry))
      else this.#owner.setFlags(entry.id, entry.flags & ~kCheckFlags)
    }
    if (!this.#checker) readiness.unneeded()
  }

  add({ id, definition }: HostEntry, isNew: boolean): void {
    if (!this.#checker || definition.check?.disabled) return
    if (isNew) this.#owner.readiness.awaitCheck(id)
    this.#checker.add(id, this.#target(definition), isNew)
  }

  remove(host: number): void {
    this.#checker?.remove(host)
  }

  failPassively(host: number): void {
    this.#checker?.failPassively(host)
  }

  /** Of a host that is new. */
  newFlags(host: HostDefinition): number {
    if (!this.#checker || host.check?.disabled) return 0
    const pending = this.#owner.definition().ignoreNewHostsUntilFirstCheck
    return HostFlag.failedActiveCheck | (pending ? HostFlag.pendingActiveCheck : 0)
  }

  #target({ address, check = {} }: HostDefinition): ProbeTarget {
    const { name, connect } = this.#owner.definition()
    const own = check.address ?? address
    const family = 'ip' in own && isIPv4(own.ip)
    const bind = connect?.bind?.find((at) => 'ip' in at && isIPv4(at.ip) === family)
    return {
      address: 'ip' in own && check.port !== undefined ? { ...own, port: check.port } : own,
      ...(bind && { bind }),
      hostname: check.hostname ?? '',
      clusterName: name,
    }
  }

  #checked(id: number, { flags, events }: CheckOutcome, result: CheckResult): void {
    const { home, table, readiness } = this.#owner
    const entry = table.get(id)
    if (!entry) return
    const { name, healthCheck } = this.#owner.definition()
    for (const path of healthCheck?.eventLogs ?? []) {
      const locality = this.#owner.localities()[entry.definition.locality]
      for (const event of events) {
        const kind = healthCheck?.check.kind ?? 'http'
        home.eventLogs.write(path, healthEvent(name, kind, entry, locality, event))
      }
    }
    const gone = HostFlag.pendingRemoval | HostFlag.failedActiveCheck
    if ((flags & gone) === gone) {
      this.#owner.gone(id)
    } else {
      this.#owner.setFlags(id, flags)
      if (result.ok) this.#owner.succeeded(id)
    }
    readiness.checked(id)
  }

  #sawTraffic(): boolean {
    if (this.#hadTraffic) return true
    const now = performance.now()
    if (now - this.#lookedAt < kTrafficLookMs) return false
    this.#lookedAt = now
    this.#hadTraffic = this.#owner.hostStats().some(({ cxTotal }) => cxTotal > 0)
    return this.#hadTraffic
  }
}
