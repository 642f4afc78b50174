import { describe, expect, it } from 'vitest'
import { flagsText, HostFlag } from '../../../src/cluster/flags.ts'
import { HostTable } from '../../../src/cluster/host_table.ts'
import type { HostDefinition } from '../../../src/config/index.ts'

const host = (port: number, more: Partial<HostDefinition> = {}): HostDefinition => ({
  address: { ip: '127.0.0.1', port },
  hostname: '',
  weight: 1,
  priority: 0,
  locality: 0,
  health: 'healthy',
  ...more,
})
const none = (): number => 0

describe('hosts', () => {
  it('keep their ids while they stay, and are others when they come back', () => {
    const table = new HostTable()
    table.replace([host(1), host(2)], none)
    expect(table.takeAll().map(({ id }) => id)).toEqual([0, 1])
    table.replace([host(2), host(3)], none)
    expect(table.takeDelta()).toMatchObject({ set: [{ id: 2 }], remove: [0] })
    table.replace([host(1), host(2)], none)
    expect(table.takeDelta()).toMatchObject({ set: [{ id: 3 }], remove: [2] })
    expect(table.takeDelta()).toBeUndefined()
  })

  it('that are there twice are one', () => {
    const table = new HostTable()
    table.replace([host(1, { weight: 5 }), host(1, { weight: 7 })], none)
    expect(table.takeAll()).toMatchObject([{ weight: 5 }])
  })

  it('are told of by what changed alone', () => {
    const table = new HostTable()
    const hosts = [1, 2, 3].map((port) => host(port))
    table.replace(hosts, none)
    table.takeAll()
    const change = table.replace([host(1), host(2, { weight: 9 }), host(3)], none)
    expect(change).toMatchObject({ membership: false, updated: true })
    expect(table.takeDelta()).toMatchObject({ set: [{ id: 1, weight: 9 }], remove: [] })
    expect(table.replace([host(1), host(2, { weight: 9 }), host(3)], none).updated).toBe(false)
    expect(table.replace([host(1, { priority: 1 }), host(2), host(3)], none).membership).toBe(true)
  })

  it('that pass their checks may stay for a while', () => {
    const table = new HostTable()
    table.replace([host(1), host(2)], none)
    table.takeAll()
    const gone = table.replace([host(2)], none, () => true)
    expect(gone).toMatchObject({ removed: [], membership: false })
    expect(table.get(0)?.flags).toBe(HostFlag.pendingRemoval)
    table.replace([host(1), host(2)], none)
    expect(table.get(0)?.flags).toBe(0)
  })

  it('are as healthy as all who judge them say', () => {
    const table = new HostTable()
    table.replace([host(1, { health: 'degraded' }), host(2, { draining: true })], none)
    expect(table.takeAll()).toMatchObject([{ health: 'degraded' }, { health: 'unhealthy' }])
    const flags = table.get(0)?.flags ?? 0
    expect(table.setFlags(0, flags | HostFlag.failedActiveCheck)).toBe(true)
    expect(table.setFlags(0, flags | HostFlag.failedActiveCheck)).toBe(false)
    expect(table.setFlags(0, flags | HostFlag.failedOutlierCheck)).toBe(false) // unhealthy still
    expect(table.takeDelta()).toMatchObject({ set: [{ id: 0, health: 'unhealthy' }] })
    expect(flagsText(table.get(0)?.flags ?? 0)).toBe('/failed_outlier_check/degraded_eds_health')
    expect(flagsText(0)).toBe('healthy')
  })
})

it('a change of one host in 10,000 takes no look at the others', () => {
  const table = new HostTable()
  table.replace(
    Array.from({ length: 10_000 }, (_, port) => host(port + 1)),
    none,
  )
  table.takeAll()
  table.setFlags(5000, HostFlag.failedActiveCheck)
  expect(table.takeDelta()).toMatchObject({ set: [{ id: 5000, health: 'unhealthy' }], remove: [] })
})
