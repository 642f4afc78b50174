// The state of one host under active health checks, without sockets, clocks or timers: a result
// goes in, what changed comes out. As Envoy's health_checker_base_impl.cc.

import type { HealthCheckDefinition } from '../../config/index.ts'
import { HostFlag } from '../flags.ts'

export type FailureKind = 'active' | 'passive' | 'network' | 'network-timeout'

export type CheckResult =
  | {
      readonly ok: true
      readonly degraded: boolean
      /** The host answered, and asked to be taken out of panic and spill-over too. */
      readonly excluded?: boolean
    }
  | {
      readonly ok: false
      readonly kind: FailureKind
      /** Counts towards the threshold, although the host answered. */
      readonly retriable?: boolean
      readonly excluded?: boolean
    }

export type CheckEvent =
  | { readonly kind: 'eject-unhealthy'; readonly failure: FailureKind }
  | { readonly kind: 'add-healthy'; readonly first: boolean }
  | { readonly kind: 'success' }
  | { readonly kind: 'failure'; readonly failure: FailureKind; readonly first: boolean }
  | { readonly kind: 'degraded' }
  | { readonly kind: 'no-longer-degraded' }

/** `pending`: a threshold is being approached, and the edge interval applies. */
export type Transition = 'unchanged' | 'pending' | 'changed'

export interface CheckOutcome {
  readonly transition: Transition
  /** The host's flags from now on. */
  readonly flags: number
  /** For the event log, in order. */
  readonly events: readonly CheckEvent[]
}

type Thresholds = Pick<
  HealthCheckDefinition,
  'healthyThreshold' | 'unhealthyThreshold' | 'alwaysLogFailures' | 'alwaysLogSuccess'
>

export class HealthState {
  readonly #rules: Thresholds
  #first: boolean
  #healthy = 0
  #unhealthy = 0

  /** `first`: no check of this host has ended yet. */
  constructor(rules: Thresholds, first: boolean) {
    this.#rules = rules
    this.#first = first
  }

  get first(): boolean {
    return this.#first
  }

  /** `flags`: the host's, as they are now; only those of active checks change. */
  take(result: CheckResult, flags: number): CheckOutcome {
    const outcome = result.ok ? this.#success(result, flags) : this.#failure(result, flags)
    this.#first = false
    return outcome
  }

  #success({ degraded, excluded }: CheckResult & { ok: true }, before: number): CheckOutcome {
    const events: CheckEvent[] = []
    let flags = before & ~HostFlag.activeCheckTimeout
    let transition: Transition = 'unchanged'
    this.#unhealthy = 0
    if ((flags & HostFlag.failedActiveCheck) !== 0) {
      this.#healthy++
      if (this.#first || this.#healthy >= this.#rules.healthyThreshold) {
        flags &= ~HostFlag.failedActiveCheck
        transition = 'changed'
        events.push({ kind: 'add-healthy', first: this.#first })
      } else {
        transition = 'pending'
      }
    }
    if (this.#rules.alwaysLogSuccess) events.push({ kind: 'success' })
    if ((flags & HostFlag.pendingActiveCheck) !== 0) {
      flags &= ~HostFlag.pendingActiveCheck
      transition = 'changed'
    }
    if (degraded !== ((flags & HostFlag.degradedActiveCheck) !== 0)) {
      flags ^= HostFlag.degradedActiveCheck
      events.push({ kind: degraded ? 'degraded' : 'no-longer-degraded' })
      if (transition === 'unchanged') transition = 'changed'
    }
    return { ...exclude(flags, transition, excluded === true), events }
  }

  #failure(
    { kind, retriable = false, excluded }: CheckResult & { ok: false },
    before: number,
  ): CheckOutcome {
    const events: CheckEvent[] = []
    let flags = before
    let transition: Transition = 'unchanged'
    this.#healthy = 0
    const answered = kind === 'active' || kind === 'passive'
    if ((flags & HostFlag.failedActiveCheck) === 0) {
      const atOnce = answered && !retriable
      if (!atOnce) this.#unhealthy++
      if (atOnce || this.#unhealthy >= this.#rules.unhealthyThreshold) {
        flags |= HostFlag.failedActiveCheck
        transition = 'changed'
        events.push({ kind: 'eject-unhealthy', failure: kind })
      } else {
        transition = 'pending'
      }
    }
    const timedOut = kind === 'network-timeout' && (flags & HostFlag.failedActiveCheck) !== 0
    if (timedOut) flags |= HostFlag.activeCheckTimeout
    else flags &= ~HostFlag.activeCheckTimeout
    if (this.#first || this.#rules.alwaysLogFailures) {
      events.push({ kind: 'failure', failure: kind, first: this.#first })
    }
    if ((flags & HostFlag.pendingActiveCheck) !== 0) {
      flags &= ~HostFlag.pendingActiveCheck
      transition = 'changed'
    }
    // A host that does not answer stays as it was told to be.
    const stays = !answered && (flags & HostFlag.excludedByImmediateFail) !== 0
    return { ...exclude(flags, transition, stays || excluded === true), events }
  }
}

function exclude(
  flags: number,
  transition: Transition,
  excluded: boolean,
): { flags: number; transition: Transition } {
  if (excluded === ((flags & HostFlag.excludedByImmediateFail) !== 0)) return { flags, transition }
  return { flags: flags ^ HostFlag.excludedByImmediateFail, transition: 'changed' }
}

type Intervals = Pick<
  HealthCheckDefinition,
  | 'interval'
  | 'intervalJitter'
  | 'intervalJitterPercent'
  | 'noTrafficInterval'
  | 'noTrafficHealthyInterval'
  | 'unhealthyInterval'
  | 'unhealthyEdgeInterval'
  | 'healthyEdgeInterval'
  | 'minInterval'
  | 'maxInterval'
>

/**
 * ms until the next check of a host, of which the latest ended as `ok` says. `random`: from 0 to
 * below 1.
 */
export function nextInterval(
  rules: Intervals,
  ok: boolean,
  transition: Transition,
  hadTraffic: boolean,
  random: () => number = Math.random,
): number {
  const base = baseInterval(rules, ok, transition === 'pending', hadTraffic)
  return withJitter(rules, base, rules.intervalJitter, random)
}

/** ms until the first check of a host. */
export function firstInterval(
  rules: Intervals & Pick<HealthCheckDefinition, 'initialJitter'>,
  random: () => number = Math.random,
): number {
  return rules.initialJitter === 0 ? 0 : withJitter(rules, 0, rules.initialJitter, random)
}

function baseInterval(
  rules: Intervals,
  ok: boolean,
  pending: boolean,
  hadTraffic: boolean,
): number {
  if (!hadTraffic) return ok && !pending ? rules.noTrafficHealthyInterval : rules.noTrafficInterval
  if (ok) return pending ? rules.healthyEdgeInterval : rules.interval
  return pending ? rules.unhealthyEdgeInterval : rules.unhealthyInterval
}

function withJitter(rules: Intervals, base: number, jitter: number, random: () => number): number {
  const percent = (rules.intervalJitterPercent * base) / 100
  const wanted = base + Math.floor(random() * percent) + Math.floor(random() * jitter)
  return Math.max(1, rules.minInterval, Math.min(wanted, rules.maxInterval))
}
