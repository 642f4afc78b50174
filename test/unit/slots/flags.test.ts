// RuntimeFlags: values with fallbacks, and percentages that are the same everywhere.

import { execFileSync } from 'node:child_process'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type FlagValues, RuntimeFlags, SlotTable } from '../../../src/core.ts'
import { Thread } from '../threads.ts'

function newFlags(): { table: SlotTable; flags: RuntimeFlags } {
  const table = new SlotTable()
  onTestFinished(() => table.close())
  return { table, flags: new RuntimeFlags(table.allocate<FlagValues>('runtime')) }
}

/** What `rollout` says of keys that are numbered; in any process. */
const sample = `(flag) => Array.from({ length: 2000 }, (_, i) => flag.enabled('user ' + i) ? 1 : 0).join('')`

describe('RuntimeFlags', () => {
  it('are what was set, or their fallbacks', async () => {
    const { flags } = newFlags()
    const beta = flags.boolean('beta', true)
    const limit = flags.number('limit', 7)
    expect([beta.value, limit.value, flags.boolean('x').value, flags.number('x').value]).toEqual([
      true,
      7,
      false,
      0,
    ])
    flags.set({ beta: false, limit: 1.5 })
    expect(beta.value).toBe(true)
    await flags.set({ other: 3 })
    expect([beta.value, limit.value, flags.values]).toEqual([
      false,
      1.5,
      { beta: false, limit: 1.5, other: 3 },
    ])
    await flags.set({ beta: 5, toString: true })
    expect([beta.value, flags.boolean('toString').value, flags.boolean('valueOf').value]).toEqual([
      true,
      true,
      false,
    ])
    flags.delete('limit')
    await flags.delete('never')
    expect(limit.value).toBe(7)
  })

  it('take a part of the keys: the same one everywhere, that only grows', async () => {
    const { table, flags } = newFlags()
    const rollout = flags.percent('rollout')
    const count = new Function(`return ${sample}`)() as (flag: typeof rollout) => string
    expect(count(rollout)).not.toContain('1')
    let before = count(rollout)
    for (const percent of [0.5, 12.5, 50, 99.9, 100]) {
      await flags.set({ rollout: percent })
      const now = count(rollout)
      const share = (now.match(/1/g)?.length ?? 0) / 20
      expect(Math.abs(share - percent)).toBeLessThan(4)
      expect([...before].every((bit, i) => bit === '0' || now[i] === '1')).toBe(true)
      before = now
    }
    await flags.set({ rollout: 33.3, other: 33.3 })
    const here = count(rollout)
    expect(count(flags.percent('other'))).not.toBe(here)
    expect([rollout.enabled(42), rollout.enabled('42')]).toEqual(
      Array(2).fill(flags.percent('rollout').enabled(42)),
    )
    const thread = new Thread(table.handle)
    const inThread = await thread.run(({ core, handle }, code: string) => {
      const there = new core.RuntimeFlags(core.SlotTable.attach(handle).slot('runtime'))
      return new Function(`return ${code}`)()(there.percent('rollout'))
    }, sample)
    expect(inThread).toBe(here)
    const program = `
      import { RuntimeFlags, SlotTable } from './dist/core.js'
      const flags = new RuntimeFlags(new SlotTable().allocate('runtime'))
      await flags.set({ rollout: 33.3 })
      process.stdout.write((${sample})(flags.percent('rollout')))`
    const args = ['--input-type=module', '--eval', program]
    expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe(here)
  })

  it('have hashes that never change', async () => {
    const { flags } = newFlags()
    await flags.set({ rollout: 50 })
    const rollout = flags.percent('rollout')
    const bits = Array.from({ length: 32 }, (_, i) => Number(rollout.enabled(`user ${i}`))).join('')
    expect(bits).toBe('11110101110100001110110011111011')
  })

  it('refuse what is not a flag', async () => {
    const { table, flags } = newFlags()
    const invalid = expect.objectContaining({ code: 'ERR_MILLRACE_ARGUMENT' })
    for (const value of ['x', null, Number.NaN, Number.POSITIVE_INFINITY, {}, undefined]) {
      expect(() => flags.set({ a: value } as never)).toThrow(invalid)
    }
    for (const call of [
      () => flags.set(undefined as never),
      () => flags.boolean(''),
      () => flags.boolean('a', 1 as never),
      () => flags.number('a', 'x' as never),
      () => flags.percent('a', Number.NaN),
      () => new RuntimeFlags({} as never),
    ]) {
      expect(call).toThrow(invalid)
    }
    await flags.set({ a: 50 })
    expect(() => flags.percent('a').enabled({} as never)).toThrow(invalid)
    const other = SlotTable.attach(table.handle)
    expect(() => new RuntimeFlags(other.slot('runtime')).set({ a: 1 })).toThrow(
      expect.objectContaining({ code: 'ERR_MILLRACE_SLOT_READ_ONLY' }),
    )
    other.close()
  })
})
