// Timers that wait for as long as they are told, also for longer than Node's can.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { DnsDiscovery } from '../../src/cluster/discovery/dns.ts'
import type { DnsAnswer, DnsClient } from '../../src/cluster/discovery/dns_client.ts'
import type { DiscoverySink } from '../../src/cluster/discovery/source.ts'
import type { DnsDefinition } from '../../src/config/index.ts'
import { every, after as once, pause, type Timer } from '../../src/timers.ts'

const kSecond = 1000
const kDay = 86_400 * kSecond
const kLengths = [1, 20, kSecond, 2 ** 31 - 2, 2 ** 31 - 1, 2 ** 31, 2 ** 32 + 7, 300 * kDay]

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a timer', () => {
  it('fires once, when its time has come and not before, however long that is', () => {
    for (const ms of kLengths) {
      let fired = 0
      once(ms, () => fired++)
      vi.advanceTimersByTime(ms - 1)
      expect(fired, `${ms} ms, a millisecond before`).toBe(0)
      vi.advanceTimersByTime(1)
      expect(fired, `${ms} ms`).toBe(1)
      vi.advanceTimersByTime(2 * ms)
      expect(fired, `${ms} ms, later`).toBe(1)
      expect(vi.getTimerCount()).toBe(0)
    }
  })

  it('that repeats fires once an interval', () => {
    for (const ms of kLengths) {
      let fired = 0
      const timer = every(ms, () => fired++)
      vi.advanceTimersByTime(3 * ms - 1)
      expect(fired, `${ms} ms`).toBe(2)
      vi.advanceTimersByTime(1)
      expect(fired, `${ms} ms`).toBe(3)
      timer.stop()
      vi.advanceTimersByTime(2 * ms)
      expect(fired, `${ms} ms, stopped`).toBe(3)
    }
  })

  it('can be stopped at any time, by itself too', () => {
    for (const ms of kLengths) {
      let fired = 0
      const first = once(ms, () => fired++)
      vi.advanceTimersByTime(Math.min(ms - 1, 2 ** 31 + 1))
      first.stop()
      const again: Timer = every(ms, () => {
        fired++
        again.stop()
      })
      vi.advanceTimersByTime(4 * ms)
      expect(fired, `${ms} ms`).toBe(1)
      expect(vi.getTimerCount()).toBe(0)
    }
  })

  it('of no time is due in the next turn, one of infinite time never, one of no number is refused', () => {
    let fired = 0
    once(0, () => fired++)
    once(-5, () => fired++)
    expect(fired).toBe(0)
    vi.advanceTimersByTime(1)
    expect(fired).toBe(2)
    const never = once(Number.POSITIVE_INFINITY, () => fired++)
    vi.advanceTimersByTime(1000 * kDay)
    expect(fired).toBe(2)
    never.stop()
    expect(() => once(Number.NaN, () => {})).toThrow('a number of milliseconds')
  })

  it('lets the process end when it is told so, in every part of its time', () => {
    vi.useRealTimers()
    const held = (): number =>
      process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const before = held()
    const timer = once(2 ** 40, () => {})
    expect(held()).toBe(before + 1)
    timer.unref()
    expect(held()).toBe(before)
    timer.ref()
    expect(held()).toBe(before + 1)
    timer.stop()
    expect(held()).toBe(before)
  })

  it('as a promise', async () => {
    let over = false
    const waited = pause(40 * kDay).then(() => {
      over = true
    })
    await vi.advanceTimersByTimeAsync(40 * kDay - 1)
    expect(over).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    await waited
    expect(over).toBe(true)
  })
})

describe('a name is asked for', () => {
  it('once a month when its answer is good for one', async () => {
    let asked = 0
    const client = {
      resolve: async (): Promise<DnsAnswer> => {
        asked++
        return { addresses: ['127.0.0.1'], ttl: 30 * 86_400 }
      },
      cancel: () => {},
    } as unknown as DnsClient
    const counters = {} as DiscoverySink['counters']
    const sink: DiscoverySink = {
      counters,
      ready: () => {},
      report: () => {},
      hosts: () => [],
      mustBeUsable: () => {},
    }
    const health = 'healthy' as const
    const host = { hostname: 'a.test', weight: 1, priority: 0, locality: 0, health }
    const definition: DnsDefinition = {
      kind: 'dns',
      strict: true,
      family: 'v4-only',
      refresh: kDay,
      respectTtl: true,
      jitter: 0,
      resolver: {} as DnsDefinition['resolver'],
      waitForWarm: true,
      targets: [{ name: 'a.test', port: 80, host }],
    }
    const discovery = new DnsDiscovery({ definition, localities: [], client }, sink)
    discovery.start()
    await vi.advanceTimersByTimeAsync(30 * kDay - 1)
    expect(asked).toBe(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(asked).toBe(2)
    discovery.stop()
    expect(vi.getTimerCount()).toBe(0)
  })
})
