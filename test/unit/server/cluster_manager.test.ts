import { beforeEach, describe, expect, it, vi } from 'vitest'
import { ClusterManager } from '../../../src/cluster/manager.ts'
import type { HostDefinition } from '../../../src/config/index.ts'
import { cluster } from '../admin/target.ts'
import { RecordingCore } from './recording_core.ts'

let core: RecordingCore
let manager: ClusterManager

beforeEach(() => {
  core = new RecordingCore()
  manager = new ClusterManager(core.asCore())
})

it('gives a name one slot, before and after it is published', () => {
  const slot = manager.slot('web')
  expect(manager.publish(cluster('web', 1))).toBe(true)
  expect(manager.slot('web')).toBe(slot)
  expect(core.take()).toEqual(['allocate cluster web', `cluster ${slot} web`])
})

it('publishes what changed, and only that', async () => {
  manager.publish(cluster('web', 1))
  core.take()
  expect(manager.publish(cluster('web', 1))).toBe(false)
  expect(core.take()).toEqual([])
  expect(manager.publish(cluster('web', 2), 5)).toBe(true)
  await Promise.resolve()
  expect(core.take()).toEqual(['hosts 1 +1 -0'])
  expect(manager.get('web')).toMatchObject({ version: 2 })
  expect(manager.publish({ ...cluster('web', 2), connectTimeout: 7 }, 6)).toBe(true)
  expect(core.take()).toEqual(['cluster 1 web'])
  expect(manager.publish({ ...cluster('web', 3), connectTimeout: 8 }, 7)).toBe(true)
  expect(core.take()).toEqual(['cluster 1 web'])
  expect(core.clusters.get(1)?.hosts).toMatchObject([{ id: 2, address: { port: 3 } }])
  expect(manager.get('web')).toMatchObject({ version: 4, updatedAt: 7 })
  expect(manager.counters).toEqual({ added: 1, modified: 3, removed: 0 })
})

it('withdraws a cluster, gives its slot back, and takes a new one when it returns', () => {
  manager.publish(cluster('web', 1))
  core.take()
  manager.withdraw('web')
  expect(core.take()).toEqual(['withdraw 1', 'release 1'])
  expect(manager.get('web')).toBeUndefined()
  manager.withdraw('web')
  expect(core.take()).toEqual([])
  manager.publish(cluster('web', 1))
  expect(core.take()).toEqual(['allocate cluster web', 'cluster 2 web'])
  expect(manager.counters.removed).toBe(1)
})

it('publishes the directory when its names change', () => {
  manager.publish(cluster('b', 1))
  manager.publish(cluster('a', 1))
  core.take()
  manager.publishDirectory(['b', 'a'])
  expect(core.take()).toEqual(['directory a 2 b 1'])
  manager.publishDirectory(['a', 'b'])
  expect(core.take()).toEqual([])
  manager.publishDirectory(['a'])
  expect(core.take()).toEqual(['directory a 2'])
})

describe('a host that the core refuses', () => {
  const at = (ip: string): HostDefinition => ({
    ...(cluster('web', 1).hosts[0] as HostDefinition),
    address: { ip, port: 1 },
  })
  const told = (): unknown[] =>
    [...(core.hosts.get(1)?.values() ?? [])].map(({ address }) => 'ip' in address && address.ip)

  it('costs no other host anything, and comes back with the next change', async () => {
    const warned: object[] = []
    const log = { warn: (fields: object) => warned.push(fields) }
    manager = new ClusterManager(core.asCore(), { log })
    const web = { ...cluster('web', 1), hosts: [at('10.0.0.1'), at('fe80::1%eth7')] }
    manager.publish(web)
    expect(told()).toEqual(['10.0.0.1', 'fe80::1%eth7'])
    core.zonesGone.add('eth7') // as when an interface goes
    manager.publish({ ...web, connectTimeout: 7 })
    expect(told()).toEqual(['10.0.0.1'])
    manager.changeEndpoints('web', [at('10.0.0.2')], [at('10.0.0.1')])
    await Promise.resolve()
    expect(told()).toEqual(['10.0.0.2'])
    expect(warned).toEqual([{ cluster: 'web', error: 'no interface eth7' }])
    core.zonesGone.clear()
    manager.changeEndpoints('web', [at('10.0.0.3')], [])
    await Promise.resolve()
    expect(told().sort()).toEqual(['10.0.0.2', '10.0.0.3', 'fe80::1%eth7'])
    // It is gone for workers, too, when they are told of a change of it alone.
    core.zonesGone.add('eth7')
    manager.publish({ ...web, hosts: [{ ...at('fe80::1%eth7'), weight: 5 }, at('10.0.0.3')] })
    await Promise.resolve()
    expect(told()).toEqual(['10.0.0.3'])
    expect(warned).toHaveLength(2)
  })

  it('is refused by name where somebody hears it, with nothing changed', async () => {
    core.zonesGone.add('eth7')
    const web = { ...cluster('web', 1), hosts: [at('10.0.0.1'), at('fe80::1%eth7')] }
    expect(() => manager.publish(web)).toThrow('cluster web: [fe80::1%eth7]:1: no interface eth7')
    expect(manager.get('web')).toBeUndefined()
    expect(core.take()).toEqual([])
    manager.publish({ ...web, hosts: [at('10.0.0.1')] })
    const change = (): void =>
      manager.changeEndpoints('web', [at('10.0.0.2'), at('fe80::1%eth7')], [at('10.0.0.1')])
    expect(change).toThrow('[fe80::1%eth7]:1: no interface eth7')
    await Promise.resolve()
    expect(told()).toEqual(['10.0.0.1'])
    expect(manager.endpoints('web')).toHaveLength(1)
  })
})

it('has the weights that hosts report taken for as long as the policy says so', () => {
  vi.useFakeTimers()
  try {
    const web = cluster('web', 1)
    const rules = { blackout: 0, expiration: 1000, errorPenalty: 1, updatePeriod: 100 }
    manager.publish({ ...web, lb: { ...web.lb, clientWeights: rules } })
    core.take()
    vi.advanceTimersByTime(250)
    expect(core.take()).toEqual(['reweigh 1', 'reweigh 1'])
    manager.publish({ ...web, lb: { ...web.lb, clientWeights: { ...rules, updatePeriod: 1000 } } })
    core.take()
    vi.advanceTimersByTime(1500)
    expect(core.take()).toEqual(['reweigh 1'])
    manager.publish(web)
    core.take()
    vi.advanceTimersByTime(5000)
    expect(core.take()).toEqual([])
    manager.publish({ ...web, lb: { ...web.lb, clientWeights: rules } })
    manager.withdraw('web')
    core.take()
    vi.advanceTimersByTime(5000)
    expect(core.take()).toEqual([])
  } finally {
    vi.useRealTimers()
  }
})

it('tells of ejections at the end of the turn, within the merge window, too', async () => {
  const outlierDetection = {
    ...{ interval: 3_600_000, baseEjectionTime: 3_600_000, maxEjectionTime: 3_600_000 },
    ...{ maxEjectionTimeJitter: 0, maxEjectionPercent: 100, alwaysEjectOneHost: true },
    ...{ split: false, successfulCheckUnejects: true, eventLog: '' },
    ...{ enforcingConsecutive5xx: 100, enforcingConsecutiveGatewayFailure: 0 },
    ...{ enforcingConsecutiveLocalOriginFailure: 0, enforcingSuccessRate: 0 },
    ...{ enforcingLocalOriginSuccessRate: 0, successRateMinimumHosts: 5 },
    ...{ successRateRequestVolume: 100, successRateStdevFactor: 1900 },
    ...{ failurePercentageThreshold: 85, enforcingFailurePercentage: 0 },
    ...{ enforcingFailurePercentageLocalOrigin: 0, failurePercentageMinimumHosts: 5 },
    failurePercentageRequestVolume: 50,
  }
  const [first] = cluster('web', 1).hosts
  const hosts = [1, 2, 3].map((port) => ({ ...first, address: { ip: '10.0.0.1', port } }))
  const web = { ...cluster('web', 1), hosts: hosts as HostDefinition[], outlierDetection }
  manager.publish({ ...web, updateMergeWindow: 3_600_000 })
  const healths = (): unknown =>
    [...(core.hosts.get(1)?.values() ?? [])].map(({ health }) => health)
  for (let host = 0; host < 3; host++) {
    core.outlierEvents.push({ slot: 1, host, kind: 'consecutive-5xx' })
    manager.takeOutlierEvents()
    await new Promise((resolve) => setImmediate(resolve))
    const expected = [0, 1, 2].map((i) => (i <= host ? 'unhealthy' : 'healthy'))
    expect(healths()).toEqual(expected)
  }
  await manager.close()
})

it('lists clusters by name', () => {
  for (const name of ['c', 'a', 'b']) manager.publish(cluster(name, 1))
  expect(manager.list().map(({ name }) => name)).toEqual(['a', 'b', 'c'])
})
