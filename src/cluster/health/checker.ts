// Active health checks of one cluster: a session for each host, each with its own timers and its
// own connection. What a check found goes through the state of the host (state.ts) to the cluster
// manager.

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
  stalls: number
  checking: boolean
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
      stalls: 0,
      checking: false,
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
    this.#run(session)
  }

  /** Also again, when this thread was in the way of the check. */
  #run(session: Session): void {
    const turn = ++session.turn
    session.checking = true
    session.stalls = this.#stalls.count()
    session.timeout = after(this.#definition.timeout, () => this.#timedOut(session, turn))
    session.timeout.unref()
    session.prober.check((result) => {
      if (session.turn === turn) this.#ended(session, result)
    })
  }

  #timedOut(session: Session, turn: number): void {
    // What has already come is in the queue of events behind this timer.
    setImmediate(() => {
      if (session.turn !== turn || !session.checking) return
      session.prober.abort()
      this.#ended(session, { ok: false, kind: 'network-timeout' })
    })
  }

  #ended(session: Session, result: CheckResult): void {
    session.timeout?.stop()
    session.checking = false
    const network = !result.ok && (result.kind === 'network' || result.kind === 'network-timeout')
    if (network && this.#stalls.count() !== session.stalls) {
      // This thread did not turn for a while: that is not the host's failure.
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
