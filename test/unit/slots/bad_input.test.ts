// What is wrong is an error with a code, where, and what to do; never a crash.

import { describe, expect, it, onTestFinished } from 'vitest'
import { MillraceError, type Slot, SlotTable, type TableHandle } from '../../../src/core.ts'

function newTable(): SlotTable {
  const table = new SlotTable()
  onTestFinished(() => table.close())
  return table
}

function errorOf(call: () => unknown): MillraceError {
  try {
    call()
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError)
    return error as MillraceError
  }
  throw new Error('nothing was thrown')
}

describe('bad input', () => {
  it('of values names what cannot be cloned', () => {
    const table = newTable()
    const slot = table.allocate<unknown>('config')
    const { port1, port2 } = new MessageChannel()
    const throwing = {
      get a() {
        throw new Error('no')
      },
    }
    const cases: [unknown, string][] = [
      [() => 1, ''],
      [Symbol('s'), ''],
      [{ routes: [1, { handler() {} }] }, 'routes[1].handler'],
      [{ 'x-y': { s: Symbol('s') } }, '["x-y"].s'],
      [new Map([['k', [() => 1]]]), '.get("k")[0]'],
      [{ s: new Set([() => 1]) }, 's.values()[0]'],
      [{ p: new Proxy({}, {}) }, 'p'],
      [{ w: new WeakMap() }, 'w'],
      [{ list: [port1] }, 'list[0]'],
      [{ shared: new SharedArrayBuffer(8) }, 'shared'],
      [{ view: [new Uint8Array(new SharedArrayBuffer(8))] }, 'view[0]'],
      [{ deep: throwing }, 'deep'],
      [{ promise: Promise.resolve() }, 'promise'],
    ]
    for (const [value, path] of cases) {
      const error = errorOf(() => slot.set(value))
      expect([error.code, error.path]).toEqual(['ERR_MILLRACE_VALUE_NOT_CLONEABLE', path])
      expect(error.hint).toBeTruthy()
      expect(error.message).toContain("slot 'config'")
    }
    let deep: unknown = 1
    for (let i = 0; i < 200_000; i++) deep = [deep]
    expect(errorOf(() => slot.set(deep)).code).toBe('ERR_MILLRACE_VALUE_NOT_CLONEABLE')
    const error = errorOf(() =>
      table.allocate<Record<string, unknown>>('m').map.set('k', { f() {} }),
    )
    expect([error.code, error.path]).toEqual(['ERR_MILLRACE_VALUE_NOT_CLONEABLE', 'f'])
    port1.close()
    port2.close()
  })

  it('of arguments says which', () => {
    const table = newTable()
    const slot: Slot<unknown> = table.allocate('a')
    const cases: [() => unknown, string][] = [
      [() => new SlotTable(1 as never), 'options'],
      [() => new SlotTable({ name: 1 as never }), 'options.name'],
      [() => table.allocate(''), 'name'],
      [() => table.allocate(Symbol('x') as never), 'name'],
      [() => table.slot(5 as never), 'name'],
      [() => slot.set(1, 5 as never), 'options'],
      [() => slot.set(1, { timeout: -1 }), 'options.timeout'],
      [() => slot.set(1, { timeout: Number.NaN }), 'options.timeout'],
      [() => slot.set(1, { signal: {} as never }), 'options.signal'],
      [() => slot.on('close' as never, () => {}), 'event'],
      [() => slot.on('change', 5 as never), 'listener'],
      [() => table.on('change' as never, () => {}), 'event'],
      [() => slot.map.set(5 as never, 1 as never), 'key'],
      [() => slot.map.get({} as never), 'key'],
      [() => slot.map.assign(5 as never), 'values'],
    ]
    for (const [call, path] of cases) {
      const error = errorOf(call)
      expect([error.code, error.path]).toEqual(['ERR_MILLRACE_ARGUMENT', path])
    }
    expect(errorOf(() => table.allocate('a')).code).toBe('ERR_MILLRACE_SLOT_EXISTS')
    expect(errorOf(() => table.slot('never')).code).toBe('ERR_MILLRACE_SLOT_UNKNOWN')
  })

  it('of handles is refused, in this process and of another', () => {
    const { handle } = newTable()
    const { kind, id, key } = handle
    const wrong = [
      undefined,
      null,
      5,
      'x',
      {},
      { kind, id },
      { kind: 'x', id, key },
      { kind, id, key: key + 1 },
      { kind, id: id + 1000, key },
      { kind, id: -1, key },
      { kind, id: 0.5, key },
      { kind, id: 2 ** 60, key },
      { kind, id: '1', key },
      { kind, id, key: Number.NaN },
      { kind, id: 0, key: 0 },
    ]
    for (const value of wrong) {
      const error = errorOf(() => SlotTable.attach(value as TableHandle))
      expect([error.code, error.path]).toEqual(['ERR_MILLRACE_HANDLE_INVALID', 'handle'])
    }
    const copy = structuredClone(handle)
    SlotTable.attach(copy).close()
  })

  it('of a thread that does not own the table is refused', () => {
    const table = newTable()
    table.allocate('a')
    const view = SlotTable.attach(table.handle)
    const slot = view.slot('a') as Slot<number>
    expect('set' in slot).toBe(false)
    view.close()
    view.close()
    expect(errorOf(() => slot.get()).code).toBe('ERR_MILLRACE_TABLE_CLOSED')
    expect(errorOf(() => view.readers).code).toBe('ERR_MILLRACE_TABLE_CLOSED')
    expect(errorOf(() => view.slot('b')).code).toBe('ERR_MILLRACE_TABLE_CLOSED')
    expect([view.closed, table.closed, slot.version]).toEqual([true, false, Number.NaN])
  })

  it('after close() is refused, but that its owner reads on', async () => {
    const table = new SlotTable()
    const slot = table.allocate<number>('a')
    const view = SlotTable.attach(table.handle)
    const read = view.slot<number>('a')
    view.close()
    table[Symbol.dispose]()
    for (const call of [
      () => slot.set(1),
      () => slot.map.set('a' as never, 1 as never),
      () => table.allocate('b'),
      () => SlotTable.attach(table.handle),
      () => read.get(),
      () => read.map.get('a' as never),
      () => read.map.size,
      () => view.stats,
    ]) {
      expect(errorOf(call).code).toBe('ERR_MILLRACE_TABLE_CLOSED')
    }
    expect([slot.get(), slot.version, slot.map.size]).toEqual([undefined, 0, 0])
    expect(table.stats).toMatchObject({ slots: 1, readers: 1 })
    const iterator = slot[Symbol.asyncIterator]()
    expect(await iterator.next()).toEqual({ value: undefined, done: true })
    slot.on('change', () => {})
    table.on('close', () => {})
    table.ref().unref()
  })
})
