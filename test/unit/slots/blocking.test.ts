// Threads that block between two pieces of work instead of turning their event loop: how they learn
// of news, and who waits for them.

import { resolve } from 'node:path'
import { Piscina } from 'piscina'
import { Tinypool } from 'tinypool'
import { describe, expect, it, onTestFinished } from 'vitest'
import { NotTakenError, SlotTable } from '../../../src/core.ts'
import { pause } from '../../../src/timers.ts'
import { Thread, until } from '../threads.ts'

function newTable(): SlotTable {
  const table = new SlotTable()
  onTestFinished(() => table.close())
  return table
}

/** Attaches to the table of `thread` and reads slot `a` once. */
async function attached(table: SlotTable, name?: string): Promise<Thread> {
  const thread = new Thread(table.handle, name)
  await thread.run(({ core, state, handle }) => {
    state.table = core.SlotTable.attach(handle)
    state.slot = state.table.slot('a')
    state.slot.get()
  })
  return thread
}

/** Two words of a thread's life: 0 it runs, 1 it blocks; and what it waits for. */
const words = (): Int32Array => new Int32Array(new SharedArrayBuffer(8))

describe('refresh', () => {
  it('takes the news within a turn, for all slots of the table, and says whether there was some', async () => {
    const table = newTable()
    const slot = table.allocate<number>('a')
    const map = table.allocate<{ k: number }>('m').map
    await slot.set(1)
    await map.set('k', 1)
    const thread = await attached(table)
    const flag = words()
    const result = thread.run(({ state }, flag: Int32Array) => {
      const map = state.table.slot('m').map
      const before = [state.slot.get(), map.get('k'), state.slot.version]
      Atomics.store(flag, 0, 1)
      Atomics.wait(flag, 1, 0)
      const still = [state.slot.get(), map.get('k'), state.slot.version]
      const news = [state.table.refresh(), state.table.refresh()]
      const after = [state.slot.get(), map.get('k'), state.slot.version]
      return { before, still, news, after }
    }, flag)
    await until(() => Atomics.load(flag, 0) === 1)
    slot.set(2)
    map.set('k', 2)
    await Promise.resolve() // published
    Atomics.store(flag, 1, 1)
    Atomics.notify(flag, 1)
    expect(await result).toEqual({
      before: [1, 1, 1],
      still: [1, 1, 1],
      news: [true, false],
      after: [2, 2, 2],
    })
  })

  it('is what latest() does first, in the owner too', async () => {
    const slot = newTable().allocate<number>('a')
    slot.set(1)
    expect([slot.get(), slot.latest()]).toEqual([undefined, undefined]) // not published yet
    await Promise.resolve()
    expect([slot.get(), slot.latest(), slot.get()]).toEqual([undefined, 1, 1])
  })

  it('leaves change events where they were: between two turns', async () => {
    const slot = newTable().allocate<number>('a')
    const seen: number[] = []
    slot.on('change', (version) => seen.push(version))
    slot.set(1)
    await Promise.resolve()
    expect([slot.latest(), seen]).toEqual([1, []])
    await until(() => seen.length > 0)
    expect(seen).toEqual([1])
  })
})

describe('a thread that parks', () => {
  // What it does when it comes back; none of these needs refresh() first.
  it.each([
    ['slot.get()', 2],
    ['slot.version', 2],
    ['slot.latest()', 2],
    ["table.slot('m').map.get('k')", 2],
    ["table.slot('m').map.size", 1],
    ["table.slot('fresh').get()", 2],
  ])('is not waited for, and then reads nothing older: %s', async (read, expected) => {
    const table = newTable()
    const slot = table.allocate<number>('a')
    const fresh = table.allocate<number>('fresh')
    const map = table.allocate<{ k: number }>('m').map
    await slot.set(1)
    const thread = await attached(table)
    const flag = words()
    const result = thread.run(
      ({ state }, [flag, read]: [Int32Array, string]) => {
        state.table.slot('m').map
        state.table.park()
        Atomics.store(flag, 0, 1)
        Atomics.wait(flag, 1, 0)
        const { table, slot } = state
        return new Function('table', 'slot', `return ${read}`)(table, slot)
      },
      [flag, read],
    )
    await until(() => Atomics.load(flag, 0) === 1)
    fresh.set(2)
    map.set('k', 2)
    await slot.set(2)
    expect(table.readers.map(({ parked, lag }) => [parked, lag > 0])).toEqual([
      [false, false],
      [true, true],
    ])
    Atomics.store(flag, 1, 1)
    Atomics.notify(flag, 1)
    expect(await result).toBe(expected)
  })

  it('is waited for again when it has read, or its event loop has turned', async () => {
    const table = newTable()
    const slot = table.allocate<number>('a')
    await slot.set(1)
    const thread = await attached(table)
    await thread.run(({ state }) => state.table.park())
    await slot.set(2)
    await until(() => table.readers.every(({ parked, lag }) => !parked && lag === 0)) // it was woken
    await thread.run(({ state }) => {
      state.table.park()
      state.slot.get()
    })
    expect(table.readers.map(({ parked }) => parked)).toEqual([false, false])
  })

  it('ends the waiting that is under way', async () => {
    const table = newTable()
    const slot = table.allocate<number>('a')
    const thread = await attached(table)
    const flag = words()
    const result = thread.run(({ state }, flag: Int32Array) => {
      Atomics.store(flag, 0, 1)
      Atomics.wait(flag, 1, 0) // it has not said so
      state.table.park()
      Atomics.wait(flag, 1, 1)
      return state.slot.get()
    }, flag)
    await until(() => Atomics.load(flag, 0) === 1)
    const publication = slot.set(1, { timeout: 600_000 })
    let done = false
    const waiting = publication.then(() => {
      done = true
    })
    await until(() => table.readers[1]?.lag === 1)
    expect(done).toBe(false)
    Atomics.store(flag, 1, 1)
    Atomics.notify(flag, 1)
    await waiting
    Atomics.store(flag, 1, 2)
    Atomics.notify(flag, 1)
    expect(await result).toBe(1)
  })
})

describe('a thread that blocks and has not said so', () => {
  it('is named by a warning of the process, and by the error that ends the waiting', async () => {
    const table = newTable()
    const slot = table.allocate<number>('a')
    const thread = await attached(table, 'sleeper')
    const flag = words()
    const result = thread.run((_, flag: Int32Array) => {
      Atomics.store(flag, 0, 1)
      Atomics.wait(flag, 1, 0)
    }, flag)
    await until(() => Atomics.load(flag, 0) === 1)
    const warnings: (Error & { code?: string; detail?: string })[] = []
    const keep = (warning: Error): void => void warnings.push(warning)
    process.on('warning', keep)
    onTestFinished(() => void process.off('warning', keep))
    // However many wait, there is one warning in five seconds.
    const waiting = slot.set(1).then()
    const others = Array.from({ length: 20 }, () => slot.set(1).then())
    await until(() => warnings.length > 0)
    expect(warnings[0]).toMatchObject({
      name: 'MillraceWarning',
      code: 'MILLRACE_SLOW_READERS',
      message: expect.stringMatching(/^set\(\) waits for worker \d+ \(\d+ ms behind\)$/),
      detail: expect.stringContaining('table.park()'),
    })
    await expect(slot.set(2, { timeout: 1 })).rejects.toThrow(NotTakenError)
    await pause(100) // as the others waited as long
    expect(warnings).toHaveLength(1)
    Atomics.store(flag, 1, 1)
    Atomics.notify(flag, 1)
    await result
    await Promise.all([waiting, ...others])
  })
})

// The recipe of docs/core.md. Piscina's threads wait in Atomics.wait between two tasks, as it comes.
describe.each(['piscina', 'tinypool'])('the threads of %s', (name) => {
  it('see what was set before their task was given to them, and set() resolves', async () => {
    const table = newTable()
    const slot = table.allocate<{ round: number }>('a')
    const options = { filename: resolve(import.meta.dirname, 'pool_task.mjs') }
    const threads = { minThreads: 2, maxThreads: 2 }
    const pool =
      name === 'piscina'
        ? new Piscina({ ...options, ...threads })
        : new Tinypool({ ...options, ...threads })
    onTestFinished(() => void pool.destroy())
    for (let round = 1; round <= 25; round++) {
      await slot.set({ round })
      const tasks = Array.from({ length: 6 }, () => pool.run(table.handle))
      expect(await Promise.all(tasks)).toEqual(Array(6).fill(round))
    }
  })
})
