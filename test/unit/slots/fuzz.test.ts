// Random operations of an owner and several threads, against a plain model: a Map of values and a
// Map of keys for each slot.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SlotTable } from '../../../src/core.ts'
import { Thread } from '../threads.ts'

const SLOTS = 3
const KEYS = ['a', 'b', 'ä', '']

const value = fc.oneof(
  fc.jsonValue(),
  fc.uint8Array({ maxLength: 40 }),
  fc.record({
    list: fc.array(fc.bigInt()),
    data: fc.float64Array({ maxLength: 4 }),
    when: fc.date(),
  }),
  fc.dictionary(fc.string(), fc.oneof(fc.string({ unit: 'binary' }), fc.double())),
)
const slot = fc.nat(SLOTS - 1)
const thread = fc.nat(2)
const operation = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant('set' as const), slot, value }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('key' as const),
      slot,
      key: fc.constantFrom(...KEYS),
      value,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('delete' as const),
      slot,
      key: fc.constantFrom(...KEYS),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('clear' as const), slot }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('settle' as const) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('read' as const), thread }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('attach' as const), thread }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('close' as const), thread }) },
)

/** What a view shows of all slots, as plain data that can be compared. */
const readAll = `(view) => Array.from({ length: ${SLOTS} }, (_, i) => [
  view.slot('v' + i).get(), [...view.slot('m' + i).map], view.slot('v' + i).version,
])`

describe('slot tables', () => {
  it('do what a plain model does', async () => {
    const threads = [0, 1, 2].map(() => new Thread(undefined))
    const run = fc.asyncProperty(fc.array(operation, { maxLength: 25 }), async (operations) => {
      const table = new SlotTable()
      const values = Array.from({ length: SLOTS }, (_, i) => table.allocate<unknown>(`v${i}`))
      const maps = Array.from(
        { length: SLOTS },
        (_, i) => table.allocate<Record<string, unknown>>(`m${i}`).map,
      )
      const model = Array.from({ length: SLOTS }, () => ({
        value: undefined as unknown,
        map: new Map<string, unknown>(),
      }))
      const attached = new Set<number>()
      const settle = async (): Promise<void> => {
        // Setting what is there anyway: its promise covers all that was set before.
        await maps[0]?.delete('never there')
      }
      const shown = (): unknown[] => model.map(({ value, map }) => [value, [...map]])
      for (const step of operations) {
        const at = 'slot' in step ? model[step.slot] : undefined
        if (step.op === 'set' && at !== undefined) {
          values[step.slot]?.set(step.value)
          at.value = step.value
        } else if (step.op === 'key' && at !== undefined) {
          maps[step.slot]?.set(step.key, step.value)
          at.map.set(step.key, step.value)
        } else if (step.op === 'delete' && at !== undefined) {
          maps[step.slot]?.delete(step.key)
          at.map.delete(step.key)
        } else if (step.op === 'clear' && at !== undefined) {
          maps[step.slot]?.clear()
          at.map.clear()
        } else if (step.op === 'settle') await settle()
        else if (step.op === 'attach') {
          attached.add(step.thread)
          await threads[step.thread]?.run(({ core, state }, handle: typeof table.handle) => {
            state.view?.close()
            state.view = core.SlotTable.attach(handle)
          }, table.handle)
        } else if (step.op === 'close' && attached.delete(step.thread)) {
          await threads[step.thread]?.run(({ state }) => {
            state.view.close()
            state.view = undefined
          })
        } else if (step.op === 'read' && attached.has(step.thread)) {
          await settle()
          const seen = await threads[step.thread]?.run(
            ({ state }, code: string) => new Function(`return ${code}`)()(state.view),
            readAll,
          )
          expect((seen as unknown[][]).map((each) => each.slice(0, 2))).toEqual(shown())
        }
      }
      await settle()
      const own = new Function(`return ${readAll}`)()(table) as unknown[][]
      expect(own.map((each) => each.slice(0, 2))).toEqual(shown())
      expect(table.readers).toHaveLength(1 + attached.size)
      expect(table.stats.retired).toBe(0)
      table.close()
      for (const index of attached) {
        const last = await threads[index]?.run(({ state }, code: string) => {
          const all = [state.view.closed, new Function(`return ${code}`)()(state.view)]
          state.view.close()
          state.view = undefined
          return all
        }, readAll)
        const [closed, seen] = last as [boolean, unknown[][]]
        expect([closed, seen.map((each) => each.slice(0, 2))]).toEqual([true, shown()])
      }
    })
    await fc.assert(run, { numRuns: 150 })
  })

  it('take anything as an argument without a crash', async () => {
    const table = new SlotTable()
    const any = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withTypedArray: true,
      withNullPrototype: true,
      withObjectString: true,
      withSparseArray: true,
    })
    const one = table.allocate<unknown>('value')
    const map = table.allocate<Record<string, unknown>>('map').map
    const call = (what: () => unknown): void => {
      try {
        what()
      } catch (error) {
        expect((error as { code?: string }).code).toMatch(/^ERR_MILLRACE_/)
      }
    }
    fc.assert(
      fc.property(any, any, (a, b) => {
        call(() => SlotTable.attach(a as never, b as never))
        call(() => SlotTable.attach({ ...table.handle, ...(a as object) }, b as never).close())
        call(() => table.slot(a as never))
        call(() => one.set(a, b as never))
        call(() => one.on(a as never, b as never))
        call(() => map.set(a as never, b))
        call(() => map.get(a as never))
        call(() => map.delete(a as never, b as never))
        call(() => map.assign(a as never, b as never))
      }),
      { numRuns: 300, examples: [[{ toString: undefined }, {}]] },
    )
    await one.set(1)
    expect(one.get()).toBe(1)
    table.close()
  })
})
