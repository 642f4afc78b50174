import { beforeEach, expect, it, vi } from 'vitest'
import { ClusterManager } from '../../../src/cluster/manager.ts'
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

it('lists clusters by name', () => {
  for (const name of ['c', 'a', 'b']) manager.publish(cluster(name, 1))
  expect(manager.list().map(({ name }) => name)).toEqual(['a', 'b', 'c'])
})
