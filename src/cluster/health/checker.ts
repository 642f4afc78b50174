// Active health checks of one cluster: a session for each host, each with its own timers and its
// own connection. What a check found goes through the state of the host (state.ts) to the cluster
// manager.
//
// A check that runs while this thread stands still gets the time that it stood still in addition,
// but never more than its timeout once more: a thread that is always busy finds out, too, who is
// mute.

import type { HealthCheckDefinition } from '../../config/index.ts'
import { after, type Timer } from '../../timers.ts'
import { GrpcProber } from './grpc_prober.ts'
import { HttpProber } from './http_prober.ts'
import type { Prober, ProbeTarget } from './prober.ts'
import type { StallMonitor } from './stalls.ts'
import {
  type CheckOutcome,
  type CheckResult,
  firstInterval,
  HealthState,
  nextInterval,
} from './state.ts'
import { TcpProber } from './tcp_prober.ts'

export interface CheckCounters {
  attempt: number
  success: number
  failure: number
  passiveFailure: number
  networkFailure: number
  verifyCluster: number
}

/** What a checker knows of its cluster, and tells it. */
export interface CheckedCluster {
  /** The host's flags now; undefined: it is gone. */
  flags(host: number): number | undefined
  /** A check ended: what it changed. */
  checked(host: number, outcome: CheckOutcome, result: CheckResult): void
  /** Whether a connection was ever opened for a request. */
  hadTraffic(): boolean
  /** Whether the name of the service is looked at (runtime `health_check.verify_cluster`). */
  verifiesService(): boolean
}

interface Session {
  readonly host: number
  readonly prober: Prober
  readonly state: HealthState
  timer: Timer | undefined
  timeout: Timer | undefined
  /** Counts checks: a grace period that belongs to an older one is void. */
  turn: number
  checking: boolean
  /** What the monitor said when the check began. */
  stalledBefore: number
  /** ms that the check got in addition. */
  excused: number
  /** The check was begun once more, for a connection that may have ended because of a stall. */
  again: boolean
}

export class HealthChecker {
  readonly #definition: HealthCheckDefinition
  readonly #cluster: CheckedCluster
  readonly #stalls: StallMonitor
  readonly #sessions = new Map<number, Session>()
  readonly counters: CheckCounters

  /** `counters` go on where those of a predecessor were. */
  constructor(
    definition: HealthCheckDefinition,
    cluster: CheckedCluster,
    stalls: StallMonitor,
    counters: CheckCounters,
  ) {
    this.#definition = definition
    this.#cluster = cluster
    this.#stalls = stalls
    this.counters = counters
    stalls.use()
  }

  /** `isNew`: its first check decides at once. */
  add(host: number, target: ProbeTarget, isNew: boolean): void {
    const session: Session = {
      host,
      prober: this.#prober(target),
      state: new HealthState(this.#definition, isNew),
      timer: undefined,
      timeout: undefined,
      turn: 0,
      checking: false,
      stalledBefore: 0,
      excused: 0,
      again: false,
    }
    this.#sessions.set(host, session)
    const pause = firstInterval(this.#definition)
    if (pause === 0) this.#begin(session)
    else this.#schedule(session, pause)
  }

  remove(host: number): void {
    const session = this.#sessions.get(host)
    if (!session) return
    this.#sessions.delete(host)
    session.timer?.stop()
    session.timeout?.stop()
    session.turn++
    session.prober.close()
  }

  has(host: number): boolean {
    return this.#sessions.has(host)
  }

  /** Whether a host was not checked yet. */
  isFirst(host: number): boolean {
    return this.#sessions.get(host)?.state.first === true
  }

  stop(): void {
    for (const host of [...this.#sessions.keys()]) this.remove(host)
    this.#stalls.release()
  }

  /** A response to a request said that the host is to get no more. */
  failPassively(host: number): void {
    const session = this.#sessions.get(host)
    if (!session) return
    this.counters.failure++
    this.counters.passiveFailure++
    this.#apply(session, { ok: false, kind: 'passive', excluded: true })
  }

  #prober(target: ProbeTarget): Prober {
    const { check, reuseConnection } = this.#definition
    switch (check.kind) {
      case 'http':
        return new HttpProber(target, {
          check,
          reuseConnection,
          verifiesService: () => this.#cluster.verifiesService(),
          onVerify: () => {
            this.counters.verifyCluster++
          },
        })
      case 'tcp':
        return new TcpProber(target, check, reuseConnection)
      case 'grpc':
        return new GrpcProber(target, check, reuseConnection)
    }
  }

  #schedule(session: Session, pause: number): void {
    session.timer = after(pause, () => this.#begin(session)).unref()
  }

  #begin(session: Session): void {
    this.counters.attempt++
    session.excused = 0
    session.again = false
    this.#run(session)
  }

  #run(session: Session): void {
    const turn = ++session.turn
    session.checking = true
    session.stalledBefore = this.#stalls.total()
    this.#limit(session, turn, this.#definition.timeout)
    session.prober.check((result) => {
      if (session.turn === turn) this.#ended(session, result)
    })
  }

  #limit(session: Session, turn: number, ms: number): void {
    session.timeout = after(ms, () => this.#timedOut(session, turn)).unref()
  }

  #timedOut(session: Session, turn: number): void {
    // What has already come is in the queue of events behind this timer.
    setImmediate(() => {
      if (session.turn !== turn || !session.checking) return
      const excused = this.#excuse(session)
      if (excused > 0) {
        this.#limit(session, turn, excused)
        return
      }
      session.prober.abort()
      this.#ended(session, { ok: false, kind: 'network-timeout' })
    })
  }

  /** ms, whole ones, that this thread took from the check, as far as it is not excused already. */
  #excuse(session: Session): number {
    const stalled = this.#stalls.total() - session.stalledBefore - session.excused
    const excused = Math.floor(Math.min(stalled, this.#definition.timeout - session.excused))
    if (excused > 0) session.excused += excused
    return excused
  }

  #ended(session: Session, result: CheckResult): void {
    session.timeout?.stop()
    session.checking = false
    const network = !result.ok && (result.kind === 'network' || result.kind === 'network-timeout')
    if (network && result.kind === 'network' && !session.again && this.#excuse(session) > 0) {
      // The host may have given up waiting for this thread.
      session.again = true
      session.prober.abort()
      this.#run(session)
      return
    }
    session.turn++
    if (result.ok) this.counters.success++
    else this.counters.failure++
    if (network) this.counters.networkFailure++
    const transition = this.#apply(session, result)
    if (!this.#sessions.has(session.host)) return // it was only waiting to fail
    const hadTraffic = this.#cluster.hadTraffic()
    this.#schedule(session, nextInterval(this.#definition, result.ok, transition, hadTraffic))
  }

  #apply(session: Session, result: CheckResult): CheckOutcome['transition'] {
    const flags = this.#cluster.flags(session.host)
    if (flags === undefined) return 'unchanged'
    const outcome = session.state.take(result, flags)
    this.#cluster.checked(session.host, outcome, result)
    return outcome.transition
  }
}
