import { beforeEach, describe, expect, it } from 'vitest'
import { OutlierDecisions, successRateThreshold } from '../../../src/cluster/outlier/decisions.ts'
import type { OutlierDefinition } from '../../../src/config/index.ts'
import type { NativeOutlierCount } from '../../../src/native/index.ts'

const rules: OutlierDefinition = {
  interval: 10_000,
  baseEjectionTime: 30_000,
  maxEjectionTime: 300_000,
  maxEjectionTimeJitter: 0,
  maxEjectionPercent: 10,
  alwaysEjectOneHost: false,
  split: false,
  enforcingConsecutive5xx: 100,
  enforcingConsecutiveGatewayFailure: 0,
  enforcingConsecutiveLocalOriginFailure: 100,
  enforcingSuccessRate: 100,
  enforcingLocalOriginSuccessRate: 100,
  successRateMinimumHosts: 5,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1900,
  failurePercentageThreshold: 85,
  enforcingFailurePercentage: 0,
  enforcingFailurePercentageLocalOrigin: 0,
  failurePercentageMinimumHosts: 5,
  failurePercentageRequestVolume: 50,
  successfulCheckUnejects: true,
  eventLog: '',
}

let random: number
beforeEach(() => {
  random = 0
})

function decisions(hosts: number, more: Partial<OutlierDefinition> = {}): OutlierDecisions {
  const made = new OutlierDecisions({ ...rules, ...more }, () => random)
  for (let id = 0; id < hosts; id++) made.add(id)
  return made
}

const counted = (host: number, success: number, total = 100): NativeOutlierCount => ({
  host,
  total,
  success,
  localTotal: 0,
  localSuccess: 0,
})

describe('failures in a row', () => {
  it('eject a host, and no second one of ten', () => {
    const outlier = decisions(10)
    expect(outlier.consecutive(3, 'consecutive-5xx', 0)).toEqual({
      host: 3,
      action: 'eject',
      enforced: true,
      kind: 'consecutive-5xx',
      ejections: 1,
    })
    expect(outlier.isEjected(3)).toBe(true)
    expect(outlier.consecutive(4, 'consecutive-5xx', 0)).toBeUndefined()
    expect(outlier.counters).toMatchObject({ ejectionsEnforcedTotal: 1, ejectionsOverflow: 1 })
    expect(outlier.counters.detected['consecutive-5xx']).toBe(2)
  })

  it('eject nobody of nine at 10 %, unless one always may be', () => {
    expect(decisions(9).consecutive(0, 'consecutive-5xx', 0)).toBeUndefined()
    const one = decisions(9, { alwaysEjectOneHost: true })
    expect(one.consecutive(0, 'consecutive-5xx', 0)?.enforced).toBe(true)
    expect(one.consecutive(1, 'consecutive-5xx', 0)).toBeUndefined()
  })

  it('of the gateway are noted, and enforced by chance', () => {
    const noted = decisions(10).consecutive(0, 'consecutive-gateway-failure', 0)
    expect(noted).toMatchObject({ action: 'eject', enforced: false })
    const half = decisions(10, { enforcingConsecutiveGatewayFailure: 50 })
    random = 0.5
    expect(half.consecutive(0, 'consecutive-gateway-failure', 0)?.enforced).toBe(false)
    random = 0.49
    expect(half.consecutive(0, 'consecutive-gateway-failure', 0)?.enforced).toBe(true)
  })
})

describe('an ejection', () => {
  it('ends at the first sweep after its time, which grows and shrinks again', () => {
    const outlier = decisions(10)
    outlier.consecutive(0, 'consecutive-5xx', 0)
    expect(outlier.sweep([], 29_999)).toEqual([])
    expect(outlier.sweep([], 30_000)).toMatchObject([{ host: 0, action: 'uneject' }])
    outlier.consecutive(0, 'consecutive-5xx', 30_000)
    expect(outlier.sweep([], 89_999)).toEqual([])
    expect(outlier.sweep([], 90_000)).toMatchObject([
      { action: 'uneject', ejections: 2, secondsSinceLast: 60 },
    ])
    outlier.sweep([], 100_000)
    outlier.consecutive(0, 'consecutive-5xx', 100_000) // one step less than the next would be
    expect(outlier.sweep([], 159_999)).toEqual([])
    expect(outlier.sweep([], 160_000)).toHaveLength(1)
  })

  it('is bounded, and has jitter', () => {
    const outlier = decisions(10, { maxEjectionTime: 40_000, maxEjectionTimeJitter: 1000 })
    let now = 0
    for (let i = 0; i < 3; i++) {
      random = 0
      outlier.consecutive(0, 'consecutive-5xx', now)
      now += 40_000
      outlier.sweep([], now)
      expect(outlier.isEjected(0)).toBe(false)
    }
    random = 0.5
    outlier.consecutive(0, 'consecutive-5xx', now)
  })

  it('ends with a successful check, unless that is turned off', () => {
    const outlier = decisions(10)
    outlier.consecutive(0, 'consecutive-5xx', 0)
    expect(outlier.checkSucceeded(0, 5)).toMatchObject({ action: 'uneject' })
    expect(outlier.ejected).toBe(0)
    expect(outlier.checkSucceeded(0, 5)).toBeUndefined()
    const stays = decisions(10, { successfulCheckUnejects: false })
    stays.consecutive(0, 'consecutive-5xx', 0)
    expect(stays.checkSucceeded(0, 5)).toBeUndefined()
    expect(stays.isEjected(0)).toBe(true)
  })

  it('of a host that goes makes room for another', () => {
    const outlier = decisions(11)
    outlier.consecutive(0, 'consecutive-5xx', 0)
    outlier.remove(0)
    expect(outlier.consecutive(1, 'consecutive-5xx', 0)?.enforced).toBe(true)
  })
})

describe('success rates', () => {
  const four = [0, 1, 2, 3].map((host) => counted(host, 100))

  it('eject what is far below the mean', () => {
    const outlier = decisions(10)
    const actions = outlier.sweep(
      [...four, ...[5, 6].map((h) => counted(h, 100)), counted(4, 0)],
      0,
    )
    expect(actions).toMatchObject([{ host: 4, kind: 'success-rate', enforced: true }])
    expect(outlier.successRates(4)).toEqual({ external: 0, local: -1 })
    const { external, local } = outlier.clusterRates
    expect(external.average).toBeCloseTo(600 / 7)
    expect(external.threshold).toBeLessThan(external.average)
    expect(local).toEqual({ average: -1, threshold: -1 })
    outlier.sweep([], 1)
    expect(outlier.clusterRates.external).toEqual({ average: -1, threshold: -1 })
  })

  it('need enough hosts with enough requests', () => {
    const alone = { failurePercentageMinimumHosts: 99 }
    expect(decisions(10, alone).sweep([...four.slice(1), counted(4, 0)], 0)).toEqual([])
    expect(decisions(10, alone).sweep([...four, counted(4, 0, 99)], 0)).toEqual([])
  })

  it('have the threshold of the formula', () => {
    const { mean, threshold } = successRateThreshold([100, 100, 100, 100, 50], 1900)
    expect(mean).toBe(90)
    expect(threshold).toBeCloseTo(90 - 1.9 * 20)
  })

  it('of local origin are looked at when errors are split', () => {
    const local = (host: number, success: number): NativeOutlierCount => ({
      ...counted(host, 100),
      localTotal: 100,
      localSuccess: success,
    })
    const counts = [0, 1, 2, 3, 5, 6].map((host) => local(host, 100)).concat(local(4, 0))
    expect(decisions(10).sweep(counts, 0)).toEqual([])
    expect(decisions(10, { split: true }).sweep(counts, 0)).toMatchObject([
      { host: 4, kind: 'success-rate-local-origin' },
    ])
  })
})

describe('an ejection for whatever reason', () => {
  const alone = {
    maxEjectionPercent: 100,
    successRateMinimumHosts: 99,
    enforcingFailurePercentage: 100,
    enforcingFailurePercentageLocalOrigin: 100,
    split: true,
  }
  const rates = { ...alone, successRateMinimumHosts: 5, failurePercentageMinimumHosts: 99 }
  const bad = (host: number): NativeOutlierCount => ({
    ...{ host, total: 100, success: host === 0 ? 0 : 100 },
    ...{ localTotal: 100, localSuccess: host === 0 ? 0 : 100 },
  })
  const external = [0, 1, 2, 3, 4, 5, 6].map((host) => ({ ...bad(host), localTotal: 0 }))
  const local = [0, 1, 2, 3, 4, 5, 6].map((host) => ({ ...bad(host), total: 0 }))
  type Eject = (outlier: OutlierDecisions, now: number) => unknown
  const counts =
    (list: readonly NativeOutlierCount[]): Eject =>
    (outlier, now) =>
      outlier.sweep(list, now)

  // A host that fails whenever it is in use: it is out for longer each time. Before a sweep whose
  // counts eject it, there is one that brings it back, as in life.
  it.each<[string, Partial<OutlierDefinition>, Eject]>([
    ['failure-percentage', alone, counts(external)],
    ['failure-percentage-local-origin', alone, counts(local)],
    ['success-rate', rates, counts(external)],
    ['success-rate-local-origin', rates, counts(local)],
  ])('of its rates (%s) gets longer each time', (kind, more, eject) => {
    const outlier = decisions(7, more)
    const lengths: number[] = []
    let now = 0
    for (let round = 0; round < 4; round++) {
      eject(outlier, now)
      expect(outlier.isEjected(0), `round ${round}`).toBe(true)
      const from = now
      while (outlier.isEjected(0)) {
        now += rules.interval
        outlier.sweep([], now)
      }
      lengths.push(now - from)
      now += rules.interval // it is in use for an interval, whose counts end it
    }
    expect(lengths).toEqual([30_000, 60_000, 90_000, 120_000])
    expect(outlier.counters.enforced[kind as 'success-rate']).toBe(4)
    // Intervals without a reason make the next one shorter again.
    for (let i = 0; i < 3; i++) outlier.sweep([], now)
    eject(outlier, now)
    outlier.sweep([], now + 59_999)
    expect(outlier.isEjected(0)).toBe(true)
    outlier.sweep([], now + 60_000)
    expect(outlier.isEjected(0)).toBe(false)
  })
})

it('a failure percentage at the threshold ejects where it is enforced', () => {
  const counts = [counted(0, 15), ...[1, 2, 3, 4].map((host) => counted(host, 16))]
  const alone = { maxEjectionPercent: 100, successRateMinimumHosts: 99 }
  const more = { ...alone, enforcingFailurePercentage: 100 }
  expect(decisions(5, more).sweep(counts, 0)).toMatchObject([
    { host: 0, kind: 'failure-percentage', rate: { hostSuccessRate: 15 } },
  ])
  const noted = decisions(5, alone).sweep(counts, 0)
  expect(noted).toMatchObject([{ enforced: false }])
})
