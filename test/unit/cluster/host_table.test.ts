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
    table.replace(
      [host(1, { health: 'degraded' }), host(2, { health: 'unhealthy', status: 'draining' })],
      none,
    )
    expect(table.takeAll()).toMatchObject([{ health: 'degraded' }, { health: 'unhealthy' }])
    const flags = table.get(0)?.flags ?? 0
    expect(table.setFlags(0, flags | HostFlag.failedActiveCheck)).toBe(true)
    expect(table.setFlags(0, flags | HostFlag.failedActiveCheck)).toBe(false)
    expect(table.setFlags(0, flags | HostFlag.failedOutlierCheck)).toBe(false) // unhealthy still
    expect(table.takeDelta()).toMatchObject({ set: [{ id: 0, health: 'unhealthy' }] })
    expect(flagsText(table.get(0)?.flags ?? 0)).toBe('/failed_outlier_check/degraded_eds_health')
    expect(flagsText(0)).toBe('healthy')
  })

  it('have the status that discovery says, until something else is found out', () => {
    const table = new HostTable()
    const said = [
      host(1, { status: 'healthy' }),
      host(2, { health: 'unhealthy', status: 'draining' }),
      host(3, { health: 'unhealthy', status: 'timeout' }),
      host(4),
    ]
    table.replace(said, none)
    const statuses = () => table.takeAll().map(({ status }) => status)
    expect(statuses()).toEqual(['healthy', 'draining', 'timeout', undefined])
    const flags = [0, 1, 2, 3].map((id) => table.get(id)?.flags ?? 0)
    const setAll = (more: number) => flags.map((before, id) => table.setFlags(id, before | more))
    expect(setAll(HostFlag.degradedActiveCheck)).toEqual([true, false, false, true])
    expect(statuses()).toEqual([undefined, 'draining', 'timeout', undefined])
    // Workers have to know, although such a host was unhealthy before.
    expect(setAll(HostFlag.failedOutlierCheck)).toEqual([true, true, true, true])
    expect(statuses()).toEqual([undefined, undefined, undefined, undefined])
  })
})

describe('a list that was sent again', () => {
  const hosts = (...ports: readonly number[]): HostDefinition[] => ports.map((port) => host(port))
  const ports = (table: HostTable): number[] =>
    table.definitions().map(({ address }) => ('port' in address ? address.port : 0))

  it.each([
    ['the same', [1, 2, 3, 4, 5, 6], undefined],
    ['one more at the end', [1, 2, 3, 4, 5, 6, 7], { set: [7], remove: [] }],
    ['one more at the beginning', [7, 1, 2, 3, 4, 5, 6], { set: [7], remove: [] }],
    ['one more in the middle', [1, 2, 3, 7, 4, 5, 6], { set: [7], remove: [] }],
    ['one less', [1, 2, 4, 5, 6], { set: [], remove: [3] }],
    ['another one', [1, 2, 7, 4, 5, 6], { set: [7], remove: [3] }],
    ['another order', [6, 5, 4, 3, 2, 1], undefined],
    ['two exchanged', [1, 2, 4, 3, 5, 6], undefined],
    ['all others', [11, 12, 13], { set: [11, 12, 13], remove: [1, 2, 3, 4, 5, 6] }],
    ['none', [], { set: [], remove: [1, 2, 3, 4, 5, 6] }],
    ['one again in the middle', [1, 2, 3, 1, 4, 5, 6], undefined],
    ['one again at the end', [1, 2, 3, 4, 5, 6, 6], undefined],
  ])('%s', (_name, next, expected) => {
    const table = new HostTable()
    table.replace(hosts(1, 2, 3, 4, 5, 6), none)
    const before = new Map(table.takeAll().map(({ id, address }) => [id, address]))
    table.replace(hosts(...next), none)
    const delta = table.takeDelta()
    const port = (address?: HostDefinition['address']): number =>
      address && 'port' in address ? address.port : 0
    expect(
      delta && {
        set: delta.set.map(({ address }) => port(address)),
        remove: delta.remove.map((id) => port(before.get(id))).sort((a, b) => a - b),
      },
    ).toEqual(expected)
    expect(new Set(ports(table))).toEqual(new Set(next))
    // And back again, whatever came between.
    table.replace(hosts(1, 2, 3, 4, 5, 6), none)
    expect(new Set(ports(table))).toEqual(new Set([1, 2, 3, 4, 5, 6]))
  })

  it('is compared by every field', () => {
    const fields: readonly Partial<HostDefinition>[] = [
      { weight: 2 },
      { priority: 1 },
      { locality: 1 },
      { health: 'degraded' },
      { status: 'draining' },
      { canary: true },
      { excluded: true },
      { metadata: ['stage', '"a"'] },
      { metadata: ['stage', '"b"'] },
      { additionalAddresses: [{ ip: '10.0.0.1', port: 1 }] },
      { additionalAddresses: [{ path: '/x' }] },
      { check: { port: 5 } },
      { check: { address: { ip: '10.0.0.1', port: 1 } } },
      { check: { address: { path: '/x' } } },
    ]
    const table = new HostTable()
    const list = (more: Partial<HostDefinition>): HostDefinition[] => [
      host(1),
      host(2, structuredClone(more)),
      host(3),
    ]
    table.replace(list({}), none)
    for (const more of fields) {
      expect(table.replace(list(more), none).updated, JSON.stringify(more)).toBe(true)
      expect(table.replace(list(more), none).updated, JSON.stringify(more)).toBe(false)
    }
  })

  it('takes away what had stayed for its health alone, once that is gone', () => {
    const table = new HostTable()
    table.replace(hosts(1, 2, 3), none)
    table.replace(hosts(2, 3), none, () => true)
    expect(ports(table)).toEqual([2, 3])
    expect(table.size).toBe(3)
    const { removed } = table.replace(hosts(2, 3), none, () => false)
    expect(removed).toMatchObject([{ id: 0 }])
    expect(table.size).toBe(2)
  })
})

it('a change of some hosts leaves the others, and lists that come later are compared anew', () => {
  const table = new HostTable()
  table.replace([host(1), host(2), host(3)], none)
  table.takeAll()
  const change = table.change([host(2, { weight: 5 }), host(4)], [host(1), host(9)], none)
  expect(change).toMatchObject({
    membership: true,
    updated: true,
    added: [{}],
    removed: [{ id: 0 }],
  })
  expect(table.takeDelta()).toMatchObject({ set: [{ id: 1, weight: 5 }, { id: 3 }], remove: [0] })
  table.change([host(3)], [host(3)], none)
  expect(table.takeDelta()).toBeUndefined()
  table.replace([host(1), host(2), host(3)], none)
  expect(table.takeDelta()).toMatchObject({ set: [{ id: 4 }, { id: 1, weight: 1 }], remove: [3] })
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
