// slot.map: each key by itself.

import { describe, expect, it, onTestFinished } from 'vitest'
import { SlotTable } from '../../../src/core.ts'
import { Thread, turn } from '../threads.ts'

type Rules = Record<string, { n: number; data?: Buffer } | undefined>

function newMap(): { table: SlotTable; map: ReturnType<typeof take> } {
  const table = new SlotTable()
  onTestFinished(() => table.close())
  return { table, map: take(table) }
}
const take = (table: SlotTable) => table.allocate<Rules>('rules').map

describe('slot.map', () => {
  it('has the keys of one version, in the order of their first set', async () => {
    const { map } = newMap()
    expect([map.size, map.get('a'), [...map.keys()], map.has('a')]).toEqual([
      0,
      undefined,
      [],
      false,
    ])
    map.set('b', { n: 1 })
    map.set('a', { n: 2 })
    map.set('b', { n: 3 })
    expect(map.size).toBe(0)
    await map.set('u', undefined)
    expect([...map]).toEqual([
      ['b', { n: 3 }],
      ['a', { n: 2 }],
      ['u', undefined],
    ])
    expect([...map.values()]).toEqual([{ n: 3 }, { n: 2 }, undefined])
    expect([map.version, map.has('u'), map.has('x'), Object.isFrozen(map.get('a'))]).toEqual([
      1,
      true,
      false,
      true,
    ])
    map.delete('a')
    await map.delete('never')
    expect([...map.keys()]).toEqual(['b', 'u'])
    await map.clear()
    expect([map.size, map.get('b'), map.version]).toEqual([0, undefined, 3])
    await map.assign({ z: { n: 9 } })
    expect([...map]).toEqual([['z', { n: 9 }]])
  })

  it('keeps the decoded values of keys that did not change', async () => {
    const { table, map } = newMap()
    const all = Object.fromEntries(Array.from({ length: 3000 }, (_, n) => [`key ${n}`, { n }]))
    await map.assign(all)
    const thread = new Thread(table.handle)
    await thread.run(({ core, state, handle }) => {
      state.map = core.SlotTable.attach(handle).slot('rules').map
      state.kept = state.map.get('key 7')
      state.changed = state.map.get('key 8')
    })
    const kept = map.get('key 7')
    await map.set('key 8', { n: -8, data: Buffer.from('x') })
    expect(map.get('key 7')).toBe(kept)
    expect(map.get('key 8')).toEqual({ n: -8, data: Buffer.from('x') })
    const seen = await thread.run(({ state }) => [
      state.map.get('key 7') === state.kept,
      state.map.get('key 8').n,
      state.map.size,
      [...state.map.keys()].length,
    ])
    expect(seen).toEqual([true, -8, 3000, 3000])
    for (const [key, value] of map) expect(value?.n).toBe(key === 'key 8' ? -8 : all[key]?.n)
    expect(table.stats).toMatchObject({ live: 1, retired: 0 })
  })

  it('does not keep values of keys that are gone', async () => {
    const { map } = newMap()
    for (let round = 0; round < 5; round++) {
      for (let n = 0; n < 200; n++) map.set(`${round}:${n}`, { n })
      for (let n = 0; n < 200; n++) map.delete(`${round - 1}:${n}`)
      await map.set('last', { n: round })
      for (let n = 0; n < 200; n++) expect(map.get(`${round}:${n}`)).toEqual({ n })
      expect(map.size).toBe(201)
    }
    expect(map.get('0:1')).toBeUndefined()
  })

  it('yields itself after changes', async () => {
    const { map } = newMap()
    const changes = map[Symbol.asyncIterator]()
    const next = changes.next()
    map.set('a', { n: 1 })
    map.set('b', { n: 2 })
    const { value } = await next
    expect(value).toBe(map)
    expect([...map.keys()]).toEqual(['a', 'b'])
    await changes.return?.()
  })

  it('is not a value, nor a value a map', async () => {
    const { table, map } = newMap()
    const slot = table.allocate<Rules>('value')
    const kind = expect.objectContaining({ code: 'ERR_MILLRACE_SLOT_KIND' })
    map.set('a', { n: 1 })
    await slot.set({})
    const rules = table.slot<Rules>('rules')
    expect(() => rules.set({})).toThrow(kind)
    expect(() => rules.get()).toThrow(kind)
    expect(() => slot.map.set('a', { n: 1 })).toThrow(kind)
    expect(() => slot.map.get('a')).toThrow(kind)
    expect(() => slot.map.size).toThrow(kind)
    expect(() => [...slot.map]).toThrow(kind)
    expect(() => slot.map.delete('a')).toThrow(kind)
    expect(() => slot.map.clear()).toThrow(kind)
  })

  it('loads many keys in slices, seen together, beside what else is set', async () => {
    const { table, map } = newMap()
    await map.set('old', { n: -1 })
    await map.set('k7', { n: -7 })
    let turns = 0
    let stop = false
    const count = (): void => {
      turns++
      if (!stop) setImmediate(count)
    }
    setImmediate(count)
    const keys = 20_000
    const pairs = Array.from({ length: keys }, (_, n) => [`k${n}`, { n }] as const)
    const loading = map.load(pairs)
    const sizes = new Set<number>()
    const seen = map[Symbol.asyncIterator]()
    void (async () => {
      for await (const each of seen) sizes.add(each.size)
    })()
    await turn()
    await map.set('between', { n: 0 }) // published at once, without what is being loaded
    expect(map.size).toBe(3)
    await loading
    stop = true
    await seen.return?.()
    expect([...sizes].filter((size) => size !== 3 && size !== keys + 2)).toEqual([])
    expect(turns).toBeGreaterThan(3)
    expect([map.size, map.get('k7'), map.get('between')]).toEqual([keys + 2, { n: 7 }, { n: 0 }])
    expect([...map.keys()].slice(0, 5)).toEqual(['old', 'k7', 'between', 'k0', 'k1'])
    expect(table.stats).toMatchObject({ retired: 0 })
  })

  it('loads an object or a Map, into an empty map too', async () => {
    const { map } = newMap()
    await map.load({ a: { n: 1 }, b: undefined })
    expect([...map]).toEqual([
      ['a', { n: 1 }],
      ['b', undefined],
    ])
    await map.load(new Map([['a', { n: 2 }]]))
    expect([map.get('a'), map.version]).toEqual([{ n: 2 }, 2])
  })

  it('sets nothing of what it cannot load whole', async () => {
    const { table, map } = newMap()
    await map.set('a', { n: 1 })
    const bad = [
      ['b', { n: 1 }],
      ['c', { n: () => 1 }],
    ] as unknown as Iterable<readonly [string, { n: number }]>
    await expect(map.load(bad)).rejects.toMatchObject({
      code: 'ERR_MILLRACE_VALUE_NOT_CLONEABLE',
      message: expect.stringContaining('"c"'),
    })
    await expect(map.load(1 as never)).rejects.toMatchObject({ code: 'ERR_MILLRACE_ARGUMENT' })
    const many = Array.from({ length: 50_000 }, (_, n) => [`k${n}`, { n }] as const)
    const control = new AbortController()
    const loading = map.load(many, { signal: control.signal })
    control.abort(new Error('enough'))
    await expect(loading).rejects.toThrow('enough')
    const late = map.load(many)
    await map.set('a', { n: 2 })
    expect([...map.keys()]).toEqual(['a'])
    table.close()
    await expect(late).rejects.toMatchObject({ code: 'ERR_MILLRACE_TABLE_CLOSED' })
  })

  it('takes no pairs that it would not see', async () => {
    const { map } = newMap()
    async function* later(): AsyncGenerator<[string, { n: number }]> {
      yield ['a', { n: 1 }]
    }
    const refused = { code: 'ERR_MILLRACE_ARGUMENT', path: 'values' }
    await expect(map.load(later() as never)).rejects.toMatchObject(refused)
    for (const values of [later(), new Map([['a', { n: 1 }]]), [['a', { n: 1 }]], new Set()]) {
      expect(() => map.assign(values as never)).toThrow(expect.objectContaining(refused))
    }
    expect([map.version, map.size]).toEqual([0, 0])
  })

  it('ends an iterable that it does not load to its end', async () => {
    const { map } = newMap()
    const control = new AbortController()
    let ended = false
    function* endless(): Generator<[string, { n: number }]> {
      try {
        for (let n = 0; ; n++) yield [`k${n}`, { n }]
      } finally {
        ended = true
      }
    }
    const loading = map.load(endless(), { signal: control.signal })
    control.abort(new Error('enough'))
    await expect(loading).rejects.toThrow('enough')
    expect([ended, map.size]).toEqual([true, 0])
  })
})
