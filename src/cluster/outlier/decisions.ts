// Which hosts of a cluster are ejected and when they come back, without clocks, timers or counters
// of its own: what workers found out goes in, actions come out. As Envoy's
// outlier_detection_impl.cc.

import type { OutlierDefinition } from '../../config/index.ts'
import type { NativeOutlierCount } from '../../native/index.ts'

export type EjectionKind =
  | 'consecutive-5xx'
  | 'consecutive-gateway-failure'
  | 'consecutive-local-origin-failure'
  | 'success-rate'
  | 'success-rate-local-origin'
  | 'failure-percentage'
  | 'failure-percentage-local-origin'

/** For the event log, in percent. */
export interface RateDetails {
  readonly hostSuccessRate: number
  readonly averageSuccessRate?: number
  readonly threshold?: number
}

export interface OutlierAction {
  readonly host: number
  readonly action: 'eject' | 'uneject'
  /** Of an ejection; false: it was only noted. */
  readonly enforced: boolean
  /** Of the latest ejection. */
  readonly kind: EjectionKind
  /** How often the host was ejected so far. */
  readonly ejections: number
  readonly secondsSinceLast?: number
  readonly rate?: RateDetails
}

export interface OutlierCounters {
  ejectionsTotal: number
  ejectionsEnforcedTotal: number
  ejectionsOverflow: number
  readonly detected: Record<EjectionKind, number>
  readonly enforced: Record<EjectionKind, number>
}

/** Of all hosts in the latest interval, percent; {@link kNoRate}: too few had enough requests. */
export interface ClusterRates {
  readonly average: number
  /** Hosts below it are outliers. */
  readonly threshold: number
}

interface HostState {
  ejectedAt: number | undefined
  /** Of the current ejection, its own jitter included; ms. */
  ejectedFor: number
  kind: EjectionKind
  multiplier: number
  ejections: number
  lastActionAt: number | undefined
  successRate: number
  localSuccessRate: number
}

const kKinds: readonly EjectionKind[] = [
  'consecutive-5xx',
  'consecutive-gateway-failure',
  'consecutive-local-origin-failure',
  'success-rate',
  'success-rate-local-origin',
  'failure-percentage',
  'failure-percentage-local-origin',
]
const zeros = (): Record<EjectionKind, number> =>
  Object.fromEntries(kKinds.map((kind) => [kind, 0])) as Record<EjectionKind, number>

/** Success rate of a host that did not get enough requests to tell. */
export const kNoRate = -1

const kNoRates: ClusterRates = { average: kNoRate, threshold: kNoRate }

export class OutlierDecisions {
  #rules: OutlierDefinition
  readonly #random: () => number
  readonly #hosts = new Map<number, HostState>()
  #ejected = 0
  #external = kNoRates
  #local = kNoRates
  readonly counters: OutlierCounters = {
    ejectionsTotal: 0,
    ejectionsEnforcedTotal: 0,
    ejectionsOverflow: 0,
    detected: zeros(),
    enforced: zeros(),
  }

  /** `random`: from 0 to below 1. */
  constructor(rules: OutlierDefinition, random: () => number = Math.random) {
    this.#rules = rules
    this.#random = random
  }

  /** From now on; hosts stay ejected for as long as was decided. */
  setRules(rules: OutlierDefinition): void {
    this.#rules = rules
  }

  add(host: number): void {
    if (this.#hosts.has(host)) return
    this.#hosts.set(host, {
      ejectedAt: undefined,
      ejectedFor: 0,
      kind: 'consecutive-5xx',
      multiplier: 0,
      ejections: 0,
      lastActionAt: undefined,
      successRate: kNoRate,
      localSuccessRate: kNoRate,
    })
  }

  remove(host: number): void {
    if (this.isEjected(host)) this.#ejected--
    this.#hosts.delete(host)
  }

  /** Number of hosts that are ejected now. */
  get ejected(): number {
    return this.#ejected
  }

  isEjected(host: number): boolean {
    return this.#hosts.get(host)?.ejectedAt !== undefined
  }

  /** Of the latest interval, in percent, or {@link kNoRate}. */
  successRates(host: number): { readonly external: number; readonly local: number } {
    const state = this.#hosts.get(host)
    return {
      external: state?.successRate ?? kNoRate,
      local: state?.localSuccessRate ?? kNoRate,
    }
  }

  /** As {@link successRates}, of all hosts together. */
  get clusterRates(): { readonly external: ClusterRates; readonly local: ClusterRates } {
    return { external: this.#external, local: this.#local }
  }

  /** A host failed as often in a row as the threshold of `kind` says. `now`: ms, monotonic. */
  consecutive(
    host: number,
    kind: 'consecutive-5xx' | 'consecutive-gateway-failure' | 'consecutive-local-origin-failure',
    now: number,
  ): OutlierAction | undefined {
    const state = this.#hosts.get(host)
    if (!state || state.ejectedAt !== undefined) return undefined
    const chance = {
      'consecutive-5xx': this.#rules.enforcingConsecutive5xx,
      'consecutive-gateway-failure': this.#rules.enforcingConsecutiveGatewayFailure,
      'consecutive-local-origin-failure': this.#rules.enforcingConsecutiveLocalOriginFailure,
    }[kind]
    return this.#tryEject(host, state, kind, chance, now)
  }

  /** The end of an interval: hosts come back, and rates are looked at. */
  sweep(counts: readonly NativeOutlierCount[], now: number): OutlierAction[] {
    const actions: OutlierAction[] = []
    const healthy: HostState[] = []
    for (const [host, state] of this.#hosts) {
      const action = this.#checkEjected(host, state, now)
      if (action) actions.push(action)
      else if (state.ejectedAt === undefined) healthy.push(state)
      state.successRate = kNoRate
      state.localSuccessRate = kNoRate
    }
    this.#external = kNoRates
    this.#local = kNoRates
    this.#rates(counts, false, now, actions)
    if (this.#rules.split) this.#rates(counts, true, now, actions)
    // The next ejection is shorter for every interval in which there was no reason for one. Envoy
    // counts before it looks at rates, so that what they eject is always out for the same time.
    for (const state of healthy) {
      if (state.ejectedAt === undefined && state.multiplier > 0) state.multiplier--
    }
    return actions
  }

  /** An active health check of an ejected host succeeded. */
  checkSucceeded(host: number, now: number): OutlierAction | undefined {
    const state = this.#hosts.get(host)
    if (!this.#rules.successfulCheckUnejects || state?.ejectedAt === undefined) return undefined
    return this.#uneject(host, state, now)
  }

  #checkEjected(host: number, state: HostState, now: number): OutlierAction | undefined {
    if (state.ejectedAt === undefined) return undefined
    return now - state.ejectedAt >= state.ejectedFor ? this.#uneject(host, state, now) : undefined
  }

  #uneject(host: number, state: HostState, now: number): OutlierAction {
    state.ejectedAt = undefined
    this.#ejected--
    return this.#action(host, state, 'uneject', false, now)
  }

  #tryEject(
    host: number,
    state: HostState,
    kind: EjectionKind,
    chance: number,
    now: number,
    rate?: RateDetails,
  ): OutlierAction | undefined {
    const rules = this.#rules
    this.counters.detected[kind]++
    const share = (100 * (this.#ejected + 1)) / this.#hosts.size
    const allowed =
      share <= rules.maxEjectionPercent || (rules.alwaysEjectOneHost && this.#ejected === 0)
    if (!allowed) {
      this.counters.ejectionsOverflow++
      return undefined
    }
    this.counters.ejectionsTotal++
    state.kind = kind
    if (this.#random() * 100 >= chance) {
      return this.#action(host, state, 'eject', false, now, rate)
    }
    this.counters.ejectionsEnforcedTotal++
    this.counters.enforced[kind]++
    if (
      state.multiplier * rules.baseEjectionTime <
      rules.maxEjectionTime + rules.baseEjectionTime
    ) {
      state.multiplier++
    }
    state.ejections++
    state.ejectedAt = now
    state.ejectedFor =
      Math.min(rules.baseEjectionTime * state.multiplier, rules.maxEjectionTime) +
      Math.floor(this.#random() * rules.maxEjectionTimeJitter)
    this.#ejected++
    return this.#action(host, state, 'eject', true, now, rate)
  }

  #action(
    host: number,
    state: HostState,
    action: 'eject' | 'uneject',
    enforced: boolean,
    now: number,
    rate?: RateDetails,
  ): OutlierAction {
    const last = state.lastActionAt
    if (action === 'uneject' || enforced) state.lastActionAt = now
    return {
      host,
      action,
      enforced,
      kind: state.kind,
      ejections: state.ejections,
      ...(last !== undefined && { secondsSinceLast: Math.floor((now - last) / 1000) }),
      ...(rate && { rate }),
    }
  }

  #rates(
    counts: readonly NativeOutlierCount[],
    local: boolean,
    now: number,
    actions: OutlierAction[],
  ): void {
    const rules = this.#rules
    const rated: { host: number; state: HostState; rate: number; total: number }[] = []
    for (const count of counts) {
      const state = this.#hosts.get(count.host)
      if (!state || state.ejectedAt !== undefined) continue
      const total = local ? count.localTotal : count.total
      if (total === 0) continue
      const success = local ? count.localSuccess : count.success
      rated.push({ host: count.host, state, rate: (100 * success) / total, total })
    }
    const act = (action: OutlierAction | undefined): void => {
      if (action) actions.push(action)
    }

    const voluminous = rated.filter(({ total }) => total >= rules.successRateRequestVolume)
    for (const { state, rate } of voluminous) {
      if (local) state.localSuccessRate = rate
      else state.successRate = rate
    }
    if (voluminous.length > 0 && voluminous.length >= rules.successRateMinimumHosts) {
      const { mean, threshold } = successRateThreshold(
        voluminous.map(({ rate }) => rate),
        rules.successRateStdevFactor,
      )
      if (local) this.#local = { average: mean, threshold }
      else this.#external = { average: mean, threshold }
      const kind = local ? 'success-rate-local-origin' : 'success-rate'
      const chance = local ? rules.enforcingLocalOriginSuccessRate : rules.enforcingSuccessRate
      for (const { host, state, rate } of voluminous) {
        if (rate >= threshold) continue
        const details = { hostSuccessRate: rate, averageSuccessRate: mean, threshold }
        act(this.#tryEject(host, state, kind, chance, now, details))
      }
    }

    const checked = rated.filter(({ total }) => total >= rules.failurePercentageRequestVolume)
    if (checked.length > 0 && checked.length >= rules.failurePercentageMinimumHosts) {
      const kind = local ? 'failure-percentage-local-origin' : 'failure-percentage'
      const chance = local
        ? rules.enforcingFailurePercentageLocalOrigin
        : rules.enforcingFailurePercentage
      for (const { host, state, rate } of checked) {
        if (state.ejectedAt !== undefined || 100 - rate < rules.failurePercentageThreshold) continue
        act(this.#tryEject(host, state, kind, chance, now, { hostSuccessRate: rate }))
      }
    }
  }
}

/** Hosts below the mean by more than so many (thousandths of) standard deviations are outliers. */
export function successRateThreshold(
  rates: readonly number[],
  factor: number,
): { readonly mean: number; readonly threshold: number } {
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length
  return { mean, threshold: mean - (Math.sqrt(variance) * factor) / 1000 }
}
