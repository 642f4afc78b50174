import { describe, expect, it } from 'vitest'
import { HostFlag } from '../../../src/cluster/flags.ts'
import {
  type CheckResult,
  firstInterval,
  HealthState,
  nextInterval,
} from '../../../src/cluster/health/state.ts'

const rules = {
  unhealthyThreshold: 2,
  healthyThreshold: 3,
  alwaysLogFailures: false,
  alwaysLogSuccess: false,
}
const ok: CheckResult = { ok: true, degraded: false }
const degraded: CheckResult = { ok: true, degraded: true }
const network: CheckResult = { ok: false, kind: 'network' }
const timeout: CheckResult = { ok: false, kind: 'network-timeout' }
const status: CheckResult = { ok: false, kind: 'active' }
const retriable: CheckResult = { ok: false, kind: 'active', retriable: true }
const told: CheckResult = { ok: false, kind: 'passive', excluded: true }
const failed = HostFlag.failedActiveCheck

/** Results one after the other: what each changed, and the flags after all of them. */
function run(
  results: readonly CheckResult[],
  flags: number,
  { first = false, more = {} }: { first?: boolean; more?: Partial<typeof rules> } = {},
): { transitions: string[]; flags: number; events: object[] } {
  const state = new HealthState({ ...rules, ...more }, first)
  const transitions: string[] = []
  const events: object[] = []
  let now = flags
  for (const result of results) {
    const outcome = state.take(result, now)
    now = outcome.flags
    transitions.push(outcome.transition)
    events.push(...outcome.events)
  }
  return { transitions, flags: now, events }
}

describe('a new host', () => {
  it('is healthy after one success, whatever the threshold', () => {
    expect(run([ok], failed, { first: true })).toEqual({
      transitions: ['changed'],
      flags: 0,
      events: [{ kind: 'add-healthy', first: true }],
    })
  })

  it('needs the threshold when its first check failed', () => {
    expect(run([network, ok, ok, ok], failed, { first: true })).toEqual({
      transitions: ['unchanged', 'pending', 'pending', 'changed'],
      flags: 0,
      events: [
        { kind: 'failure', failure: 'network', first: true },
        { kind: 'add-healthy', first: false },
      ],
    })
  })

  it('counts for panic after its first check, good or bad', () => {
    const pending = failed | HostFlag.pendingActiveCheck
    expect(run([network], pending, { first: true })).toMatchObject({
      transitions: ['changed'],
      flags: failed,
    })
    expect(run([ok], pending, { first: true })).toMatchObject({ flags: 0 })
  })
})

describe('a healthy host', () => {
  it('fails after as many failures in a row as the threshold', () => {
    expect(run([network, network], 0)).toEqual({
      transitions: ['pending', 'changed'],
      flags: failed,
      events: [{ kind: 'eject-unhealthy', failure: 'network' }],
    })
    expect(run([network, ok, network, ok], 0)).toMatchObject({ flags: 0 })
  })

  it('fails at once when it answers wrongly, unless the status is retriable', () => {
    expect(run([status], 0)).toMatchObject({ transitions: ['changed'], flags: failed })
    expect(run([retriable], 0)).toMatchObject({ transitions: ['pending'], flags: 0 })
    expect(run([retriable, retriable], 0)).toMatchObject({ flags: failed })
  })

  it('says when it failed because it did not answer in time', () => {
    expect(run([timeout], 0).flags).toBe(0)
    expect(run([timeout, timeout], 0).flags).toBe(failed | HostFlag.activeCheckTimeout)
    expect(run([timeout, timeout, network], 0).flags).toBe(failed)
  })

  it('becomes degraded and is not any more, by one answer each', () => {
    expect(run([degraded, degraded, ok], 0)).toEqual({
      transitions: ['changed', 'unchanged', 'changed'],
      flags: 0,
      events: [{ kind: 'degraded' }, { kind: 'no-longer-degraded' }],
    })
  })

  it('is failed and excluded by an answer to a request, until a check says otherwise', () => {
    const excluded = failed | HostFlag.excludedByImmediateFail
    expect(run([told], 0)).toMatchObject({ transitions: ['changed'], flags: excluded })
    expect(run([told, network], 0).flags).toBe(excluded)
    expect(run([told, ok], 0)).toMatchObject({ transitions: ['changed', 'changed'], flags: failed })
  })
})

it('leaves the flags of others alone', () => {
  const others = HostFlag.failedOutlierCheck | HostFlag.degradedEdsHealth | HostFlag.pendingRemoval
  expect(run([network, network], others).flags).toBe(others | failed)
  expect(run([ok, ok, ok], others | failed).flags).toBe(others)
})

it('begins anew when successes are not in a row', () => {
  expect(run([ok, ok, network, ok, ok], failed).flags).toBe(failed)
  expect(run([ok, ok, network, ok, ok, ok], failed).flags).toBe(0)
})

it('says every failure and success where that is asked for', () => {
  const more = { alwaysLogFailures: true, alwaysLogSuccess: true }
  expect(run([network, ok], 0, { more }).events).toEqual([
    { kind: 'failure', failure: 'network', first: false },
    { kind: 'success' },
  ])
})

/** Every sequence of results up to a length, against the rule written down in another way. */
it('agrees with the rule for every sequence of six results', () => {
  const kinds = [ok, network, status] as const
  for (let n = 0; n < kinds.length ** 6; n++) {
    const results = Array.from(
      { length: 6 },
      (_, i) => kinds[Math.floor(n / kinds.length ** i) % 3],
    )
    let expected = true
    let row = 0
    for (const result of results) {
      if (result === status) [expected, row] = [false, 0]
      else if (result?.ok === expected) row = 0
      else {
        row++
        if (row === (expected ? rules.unhealthyThreshold : rules.healthyThreshold)) {
          ;[expected, row] = [!expected, 0]
        }
      }
    }
    expect(run(results as CheckResult[], 0).flags, String(n)).toBe(expected ? 0 : failed)
  }
})

describe('the time until the next check', () => {
  const times = {
    interval: 1000,
    intervalJitter: 0,
    intervalJitterPercent: 0,
    noTrafficInterval: 60_000,
    noTrafficHealthyInterval: 30_000,
    unhealthyInterval: 2000,
    unhealthyEdgeInterval: 3000,
    healthyEdgeInterval: 4000,
    minInterval: 0,
    maxInterval: 100_000,
  }

  it.each([
    [true, 'unchanged', true, 1000],
    [true, 'changed', true, 1000],
    [true, 'pending', true, 4000],
    [false, 'unchanged', true, 2000],
    [false, 'changed', true, 2000],
    [false, 'pending', true, 3000],
    [true, 'unchanged', false, 30_000],
    [true, 'pending', false, 60_000],
    [false, 'unchanged', false, 60_000],
  ] as const)('after ok=%s, %s, traffic=%s is %d ms', (good, transition, traffic, expected) => {
    expect(nextInterval(times, good, transition, traffic)).toBe(expected)
  })

  it('has jitter of a percentage and of a time, and the bounds of the runtime', () => {
    const jitter = { ...times, intervalJitter: 100, intervalJitterPercent: 50 }
    expect(nextInterval(jitter, true, 'unchanged', true, () => 0)).toBe(1000)
    expect(nextInterval(jitter, true, 'unchanged', true, () => 0.999)).toBe(1000 + 499 + 99)
    expect(nextInterval({ ...times, minInterval: 5000 }, true, 'unchanged', true)).toBe(5000)
    expect(nextInterval({ ...times, maxInterval: 10 }, true, 'unchanged', true)).toBe(10)
    expect(nextInterval({ ...times, interval: 0 }, true, 'unchanged', true)).toBe(1)
  })

  it('of the first one is none, or the initial jitter', () => {
    expect(firstInterval({ ...times, initialJitter: 0 })).toBe(0)
    expect(firstInterval({ ...times, initialJitter: 100 }, () => 0.5)).toBe(50)
  })
})
