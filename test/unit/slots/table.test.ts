// Slot tables between threads: what each thread sees, and when.

import { describe, expect, it, onTestFinished } from 'vitest'
import { SlotTable, type TableView } from '../../../src/core.ts'
import { Thread, turn, until } from '../threads.ts'

function newTable(): SlotTable {
  const table = new SlotTable()
  onTestFinished(() => table.close())
  return table
}

describe('a value', () => {
  it('shows between two turns, in the owner too', async () => {
    const slot = newTable().allocate<{ n: number }>('a')
    expect([slot.get(), slot.version]).toEqual([undefined, 0])
    const publication = slot.set({ n: 1 })
    expect(publication.version).toBe(1)
    expect(slot.get()).toBeUndefined()
    await Promise.resolve()
    expect(slot.get()).toBeUndefined()
    await publication
    expect([slot.get(), slot.version]).toEqual([{ n: 1 }, 1])
    expect(slot.get()).toBe(slot.get())
  })

  it('is the newest of a turn, and what is set together is seen together', async () => {
    const table = newTable()
    const a = table.allocate<number>('a')
    const b = table.allocate<number>('b')
    const seen: unknown[] = []
    a.on('change', () => seen.push([a.get(), b.get(), a.version]))
    for (let i = 1; i <= 1000; i++) {
      a.set(i)
      b.set(i)
    }
    await b.set(1000)
    expect(seen).toEqual([[1000, 1000, 1]])
    expect(table.stats).toMatchObject({ published: 2, live: 2, retired: 0 })
  })

  it('reaches a thread that attaches, and changes in it only between two turns', async () => {
    const table = newTable()
    const slot = table.allocate<{ n: number }>('a')
    await slot.set({ n: 1 })
    const thread = new Thread(table.handle)
    const first = await thread.run(({ core, state, handle }) => {
      state.table = core.SlotTable.attach(handle)
      state.slot = state.table.slot('a')
      return [state.slot.get(), Object.isFrozen(state.slot.get()), state.slot.version]
    })
    expect(first).toEqual([{ n: 1 }, true, 1])
    const shared = new Int32Array(new SharedArrayBuffer(8))
    const within = thread.run(async ({ state }, flag: Int32Array) => {
      Atomics.store(flag, 0, 1)
      Atomics.wait(flag, 1, 0) // the owner publishes meanwhile
      const before = state.slot.get()
      await null // the same turn
      const same = state.slot.get() === before
      while (state.slot.get().n === 1) await new Promise((resolve) => setImmediate(resolve))
      return [before, same, state.slot.get()]
    }, shared)
    await until(() => Atomics.load(shared, 0) === 1)
    const publication = slot.set({ n: 2 })
    await until(() => slot.get()?.n === 2)
    Atomics.store(shared, 1, 1)
    Atomics.notify(shared, 1)
    expect(await within).toEqual([{ n: 1 }, true, { n: 2 }])
    await publication
  })

  it('keeps what structured clone keeps', async () => {
    const slot = newTable().allocate<unknown>('a')
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    const values: unknown[] = [
      undefined,
      null,
      true,
      -0,
      Number.NaN,
      2n ** 80n,
      'ä𝄞',
      new Date(5),
      /x/gi,
      new Map([[{ k: 1 }, new Set([1, 'b'])]]),
      new Boolean(false),
      new TypeError('t', { cause: { c: 1 } }),
      cycle,
      new ArrayBuffer(3),
      Buffer.from('hello'),
      new Uint8Array([1, 2, 3]),
      new Float64Array([0.5]),
      new BigInt64Array([-1n]),
      new DataView(new ArrayBuffer(9), 1, 3),
      new Uint16Array(0),
      new Int8Array(100_000).fill(-3),
      'x'.repeat(200_000),
      Array.from({ length: 20_000 }, (_, i) => ({ i, s: `s${i}` })),
    ]
    for (const value of values) {
      await slot.set(value)
      expect(slot.get()).toEqual(value)
      expect(Object.prototype.toString.call(slot.get())).toBe(Object.prototype.toString.call(value))
    }
  })

  it('is frozen all the way down, in maps and sets too', async () => {
    const slot = newTable().allocate<{ a: object[]; m: Map<string, object> }>('a')
    await slot.set({ a: [{ b: [1] }], m: new Map([['k', { x: 1 }]]) })
    const value = slot.get()
    expect(Object.isFrozen(value)).toBe(true)
    expect(Object.isFrozen(value?.a)).toBe(true)
    expect(Object.isFrozen(value?.a[0])).toBe(true)
    expect(Object.isFrozen(value?.m.get('k'))).toBe(true)
  })

  it('has binary data in one memory for all threads, kept as long as a view is', async () => {
    const table = newTable()
    const slot = table.allocate<{ data: Buffer; numbers: Float64Array }>('a')
    await slot.set({ data: Buffer.alloc(100_000, 1), numbers: new Float64Array([1.5, 2.5]) })
    const data = slot.get()?.data as Buffer
    expect(slot.get()?.numbers.buffer).toBe(data.buffer)
    const thread = new Thread(table.handle)
    await thread.run(({ core, state, handle }) => {
      state.slot = core.SlotTable.attach(handle).slot('a')
      state.data = state.slot.get().data
    })
    // Nothing enforces that it is only read, so a write shows that it is the same memory.
    data[5] = 99
    expect(await thread.run(({ state }) => state.data[5])).toBe(99)
    await slot.set({ data: Buffer.alloc(1), numbers: new Float64Array(1) })
    expect(table.stats).toMatchObject({ live: 1, retired: 0 })
    expect([data[5], data[6], data.length]).toEqual([99, 1, 100_000])
    const kept = await thread.run(({ state }) => [state.data[6], state.slot.get().data.length])
    expect(kept).toEqual([1, 1])
  })
})

describe('set()', () => {
  it('resolves when every thread has taken it, and names those that have not', async () => {
    const table = newTable()
    const slot = table.allocate<number>('a')
    const threads = [new Thread(table.handle), new Thread(table.handle)]
    for (const [i, thread] of threads.entries()) {
      await thread.run(({ core, state, handle }, name: string) => {
        state.slot = core.SlotTable.attach(handle, { name }).slot('a')
      }, `reader ${i}`)
    }
    await slot.set(1)
    for (const thread of threads) expect(await thread.run(({ state }) => state.slot.get())).toBe(1)

    const flag = new Int32Array(new SharedArrayBuffer(4))
    threads[1]?.post((_, lock: Int32Array) => void Atomics.wait(lock, 0, 0), flag)
    await until(() => {
      slot.set(2)
      return table.readers[2]?.lag === 1 || table.readers[2]?.lag === 2
    })
    const late = { code: 'ERR_MILLRACE_NOT_TAKEN', message: expect.stringMatching(/reader 1/) }
    await expect(slot.set(3, { timeout: 30 })).rejects.toMatchObject(late)
    const abort = new AbortController()
    const aborted = expect(slot.set(4, { signal: abort.signal })).rejects.toMatchObject({
      ...late,
      cause: 'enough',
      readers: [{ name: 'reader 1', lag: expect.any(Number), behindMs: expect.any(Number) }],
    })
    await until(() => slot.get() === 4 && table.readers[1]?.lag === 0)
    abort.abort('enough')
    await aborted
    await expect(slot.set(5, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_MILLRACE_NOT_TAKEN',
    })
    expect(table.readers[2]?.behindMs).toBeGreaterThan(0)
    const last = slot.set(6)
    Atomics.store(flag, 0, 1)
    Atomics.notify(flag, 0)
    await last
    expect(table.readers.map(({ lag, behindMs }) => [lag, behindMs])).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ])
  })

  it('does not wait for a thread that ends', async () => {
    const table = newTable()
    const slot = table.allocate<number>('a')
    const thread = new Thread(table.handle)
    await thread.run(({ core, state, handle }) => {
      state.table = core.SlotTable.attach(handle)
    })
    thread.post(() => {
      for (;;);
    })
    const publication = slot.set(1)
    let taken = false
    void publication.then(() => {
      taken = true
    })
    await until(() => table.readers[1]?.lag === 1)
    expect(taken).toBe(false)
    await thread.worker.terminate()
    await publication
    expect(table.readers).toHaveLength(1)
  })

  it('is a promise, and one that nobody awaits says nothing', async () => {
    const slot = newTable().allocate<number>('a')
    slot.set(1, { timeout: 0, signal: AbortSignal.abort() })
    expect(await Promise.all([slot.set(2), slot.set(3)])).toEqual([undefined, undefined])
    expect(await slot.set(4).finally(() => {})).toBeUndefined()
    expect(
      await slot.set(4, { signal: AbortSignal.abort() }).catch((error) => (error as Error).name),
    ).toBe('NotTakenError')
  })
})

describe('changes', () => {
  it('are told between turns, once for several, and no more after off()', async () => {
    const slot = newTable().allocate<number>('a')
    const seen: unknown[] = []
    const listener = (version: number): void => void seen.push([version, slot.get()])
    slot.on('change', listener)
    slot.once('change', (version) => seen.push(version))
    await slot.set(10)
    await slot.set(11)
    slot.off('change', listener)
    await slot.set(12)
    expect(seen).toEqual([[1, 10], 1, [2, 11]])
  })

  it('iterate with the newest first, and never queue', async () => {
    const table = newTable()
    const slot = table.allocate<number>('a')
    const iterator = slot[Symbol.asyncIterator]()
    const first = iterator.next()
    await slot.set(1)
    expect(await first).toEqual({ value: 1, done: false })
    for (let i = 2; i < 50; i++) await slot.set(i)
    expect(await iterator.next()).toEqual({ value: 49, done: false })
    const pending = iterator.next()
    await iterator.return?.()
    expect(await pending).toEqual({ value: undefined, done: true })
    expect(await iterator.next()).toEqual({ value: undefined, done: true })
  })

  it('end with an error when the owner closes, quietly when the reader does', async () => {
    const table = new SlotTable()
    const slot = table.allocate<number>('a')
    await slot.set(1)
    const other: TableView = SlotTable.attach(table.handle)
    const loop = async (): Promise<string> => {
      for await (const value of other.slot<number>('a')) if (value === 3) return 'three'
      return 'over'
    }
    const quiet = loop()
    other.close()
    expect(await quiet).toBe('over')
    const third = SlotTable.attach(table.handle)
    const iterator = third.slot<number>('a')[Symbol.asyncIterator]()
    const failing = expect(iterator.next()).rejects.toMatchObject({
      code: 'ERR_MILLRACE_TABLE_CLOSED',
    })
    let told = 0
    third.on('close', () => told++)
    table.close()
    await failing
    expect([told, third.closed, third.slot('a').get()]).toEqual([1, true, 1])
    third.close()
  })
})

describe('the end of a table', () => {
  it('leaves other threads their last values, and ends what waits', async () => {
    const table = new SlotTable()
    const slot = table.allocate<string>('a')
    const thread = new Thread(table.handle)
    await thread.run(({ core, state, handle }) => {
      state.table = core.SlotTable.attach(handle)
      state.slot = state.table.slot('a')
    })
    const flag = new Int32Array(new SharedArrayBuffer(4))
    thread.post((_, lock: Int32Array) => void Atomics.wait(lock, 0, 0), flag)
    const waiting = expect(slot.set('last')).rejects.toMatchObject({
      code: 'ERR_MILLRACE_TABLE_CLOSED',
    })
    table.close()
    await waiting
    Atomics.store(flag, 0, 1)
    Atomics.notify(flag, 0)
    await thread.run(() => {})
    const seen = await thread.run(async ({ state }) => {
      while (state.slot.get() !== 'last') await new Promise((resolve) => setImmediate(resolve))
      return [state.table.closed, state.slot.get()]
    })
    expect(seen).toEqual([true, 'last'])
    expect(() => slot.set('more')).toThrow(
      expect.objectContaining({ code: 'ERR_MILLRACE_TABLE_CLOSED' }),
    )
    expect([slot.get(), slot.version]).toEqual(['last', 1]) // the owner is a reader, too
    expect(() => SlotTable.attach(table.handle)).toThrow(
      expect.objectContaining({ code: 'ERR_MILLRACE_TABLE_CLOSED' }),
    )
  })

  it('comes with the end of its owner’s thread', async () => {
    const owner = new Thread(undefined)
    const handle = await owner.run(async ({ core, state }) => {
      state.table = new core.SlotTable()
      await state.table.allocate('a').set({ from: 'worker' })
      return state.table.handle
    })
    const view = SlotTable.attach(handle)
    const slot = view.slot('a')
    expect(slot.get()).toEqual({ from: 'worker' })
    expect([view.closed, view.readers.length]).toEqual([false, 2])
    await owner.worker.terminate()
    await until(() => view.closed)
    expect([slot.get(), view.readers.length]).toEqual([{ from: 'worker' }, 1])
    view.close()
  })

  it('may come while threads are terminated at any moment', async () => {
    const table = new SlotTable()
    const slot = table.allocate<object>('a')
    for (let i = 0; i < 40; i++) {
      const threads = [new Thread(table.handle), new Thread(table.handle)]
      for (const thread of threads) {
        thread.post(async ({ core, handle }) => {
          for (;;) {
            const view = core.SlotTable.attach(handle)
            view.slot('a').on('change', () => view.slot('a').get())
            for (let n = 0; n < 20; n++) {
              view.slot('a').get()
              await new Promise((resolve) => setImmediate(resolve))
            }
            if (Math.random() < 0.5) view.close()
          }
        })
      }
      await until(() => table.readers.length > 1)
      for (let n = 0; n < i % 7; n++) {
        slot.set({ n, data: new Uint8Array(70_000) })
        await turn()
      }
      await Promise.all(threads.map(({ worker }) => worker.terminate()))
    }
    await slot.set({})
    expect(table.readers).toHaveLength(1)
    expect(table.stats).toMatchObject({ readers: 1, live: 1, retired: 0 })
    table.close()
  })
})

describe('a thread that blocks for ever', () => {
  it('holds one version of each slot, and no other', async () => {
    const table = newTable()
    const slot = table.allocate<number>('a')
    await slot.set(0)
    const thread = new Thread(table.handle)
    await thread.run(({ core, state, handle }) => {
      state.slot = core.SlotTable.attach(handle).slot('a')
    })
    const blocked = new Int32Array(new SharedArrayBuffer(4))
    thread.post((_, flag: Int32Array) => {
      Atomics.store(flag, 0, 1)
      for (;;);
    }, blocked)
    await until(() => Atomics.load(blocked, 0) === 1)
    for (let i = 1; i <= 5000; i++) {
      slot.set(i)
      await turn()
    }
    await until(() => slot.get() === 5000)
    expect(table.stats.retired).toBeLessThanOrEqual(1)
    expect(table.stats.freed).toBeGreaterThanOrEqual(4999)
    expect(table.readers[1]?.lag).toBeGreaterThanOrEqual(5000)
  })
})
