// ORIGINAL_DST on the main thread: hosts come as requests name them, and go when nobody does.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { OriginalDstDiscovery } from '../../../src/cluster/discovery/original_dst.ts'
import type { OnDemandSink } from '../../../src/cluster/discovery/source.ts'
import { ClusterManager } from '../../../src/cluster/manager.ts'
import type { ClusterDefinition, HostDefinition } from '../../../src/config/index.ts'
import { cluster } from '../admin/target.ts'
import { RecordingCore } from '../server/recording_core.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const text = ({ address }: HostDefinition): string =>
  'ip' in address ? `${address.ip} ${address.port}` : address.path

class Sink implements OnDemandSink {
  readonly counters = {} as OnDemandSink['counters']
  readonly log: string[] = []
  readonly all = new Map<string, HostDefinition>()
  used: string[] = []
  isReady = false
  report(): void {}
  ready(): void {
    this.isReady = true
  }
  mustBeUsable(): void {}
  hosts(): HostDefinition[] {
    return [...this.all.values()]
  }
  change(set: readonly HostDefinition[], remove: readonly HostDefinition[]): void {
    for (const host of set) this.all.set(text(host), host)
    for (const host of remove) this.all.delete(text(host))
    this.log.push(`+${set.map(text)} -${remove.map(text)}`)
  }
  refuse(keys: readonly string[], why: string): void {
    this.log.push(`${why} ${keys.length}`)
  }
  takeUsed(orConnected: boolean): HostDefinition[] {
    expect(orConnected).toBe(true)
    return this.used.flatMap((key) => this.all.get(key) ?? [])
  }
  waiting(): { now: number; overflows: number } {
    return { now: 0, overflows: 0 }
  }
}

describe('the source', () => {
  const rules = { kind: 'original-dst', cleanupInterval: 1000 } as const

  it('adds each destination once', () => {
    const sink = new Sink()
    const source = new OriginalDstDiscovery(rules, sink)
    source.start()
    expect(sink.isReady).toBe(true)
    source.want(['10.0.0.1:80', '[::1]:81', '10.0.0.1:80'])
    source.want(['[::1]:81'])
    expect(sink.log).toEqual(['+10.0.0.1 80,::1 81 -'])
    source.stop()
  })

  it('removes what was not used for an interval', () => {
    const sink = new Sink()
    const source = new OriginalDstDiscovery(rules, sink)
    source.start()
    source.want(['10.0.0.1:80', '[::1]:81'])
    sink.used = ['10.0.0.1 80', '::1 81']
    vi.advanceTimersByTime(1000)
    sink.used = ['::1 81']
    vi.advanceTimersByTime(1000)
    expect(sink.log.slice(1)).toEqual(['+ -10.0.0.1 80'])
    // It comes back when it is named again.
    source.want(['10.0.0.1:80'])
    expect(sink.log.at(-1)).toBe('+10.0.0.1 80 -')
    source.stop()
    vi.advanceTimersByTime(5000)
    expect(sink.all.size).toBe(2)
  })

  it('goes on with the hosts of one before it, and has an end', () => {
    const sink = new Sink()
    const before = new OriginalDstDiscovery(rules, sink)
    before.start()
    before.want(Array.from({ length: 65_536 }, (_, i) => `10.1.${i >> 8}.${i & 255}:80`))
    before.stop()
    const source = new OriginalDstDiscovery(rules, sink)
    source.start()
    source.want(['10.1.0.0:80', '10.9.9.9:80'])
    expect(sink.log.at(-1)).toBe('full 1')
    vi.advanceTimersByTime(1000)
    expect(sink.all.size).toBe(0)
    source.stop()
  })
})

describe('the manager', () => {
  const onDemand: ClusterDefinition = {
    ...cluster('any', 1),
    hosts: [],
    discovery: { kind: 'original-dst', cleanupInterval: 1000 },
    onDemand: { kind: 'original-dst', wait: 5000, maxWaiting: 10 },
  }

  it('gives each cluster what its workers asked for, once', async () => {
    const core = new RecordingCore()
    const manager = new ClusterManager(core.asCore())
    manager.publish(onDemand)
    manager.publish(cluster('web', 2))
    core.take()
    for (const [slot, key] of [
      [1, '10.0.0.1:80'],
      [1, '10.0.0.1:80'],
      [2, '10.0.0.1:80'], // does not ask
      [7, '10.0.0.1:80'], // gone by now
    ] as const) {
      core.wanted.push({ slot, key })
    }
    manager.takeWantedHosts()
    await Promise.resolve() // the code that made the change has ended
    expect(core.take()).toEqual(['hosts 1 +0 -'])
    void manager.close()
  })

  it('keeps hosts when only their rules change, and drops them when the kind does', () => {
    const core = new RecordingCore()
    const manager = new ClusterManager(core.asCore())
    manager.publish(onDemand)
    core.wanted.push({ slot: 1, key: '10.0.0.1:80' })
    manager.takeWantedHosts()
    manager.publish({
      ...onDemand,
      discovery: { kind: 'original-dst', cleanupInterval: 2000 },
      onDemand: { kind: 'original-dst', wait: 1000, maxWaiting: 10, header: 'x' },
    })
    expect(core.clusters.get(1)?.hosts.map(({ id }) => id)).toEqual([0])
    expect(core.clusters.get(1)?.onDemand?.header).toBe('x')
    manager.publish(cluster('any', 9))
    expect(core.clusters.get(1)?.hosts.map(({ id }) => id)).toEqual([1])
    manager.publish(onDemand)
    expect(core.clusters.get(1)?.hosts).toEqual([])
    void manager.close()
  })
})
