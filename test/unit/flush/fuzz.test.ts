// Flush files at random: threads that write, flush, rotate, leave and come back, beside a plain
// model; and whatever a program passes in.

import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FlushFile } from '../../../src/core.ts'
import { MillraceError } from '../../../src/errors.ts'
import { Thread } from '../threads.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-flush-fuzz-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** Writers 1 and 2 are threads that attach; 0 owns the file. */
const WRITERS = 3

/** Of one writer. */
type Step =
  | { readonly op: 'write'; readonly who: number; readonly sizes: readonly number[] }
  | { readonly op: 'flush' | 'flushSync' | 'leave'; readonly who: number }
type Operation = Step | { readonly op: 'rotate' } | { readonly op: 'count' }

const who = fc.nat(WRITERS - 1)
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('write' as const),
      who,
      sizes: fc.array(fc.oneof(fc.nat(300), fc.nat(9000)), { minLength: 1, maxLength: 40 }),
    }),
  },
  fc.record({ op: fc.constantFrom('flush' as const, 'flushSync' as const), who }),
  fc.record({ op: fc.constant('leave' as const), who: fc.integer({ min: 1, max: WRITERS - 1 }) }),
  fc.record({ op: fc.constant('rotate' as const) }),
  fc.record({ op: fc.constant('count' as const) }),
)

/** One file that is rotated, its writers, and how many lines each has written. */
class Tested {
  readonly #threads: readonly Thread[]
  readonly #path: string
  readonly file: FlushFile
  readonly attempted: number[] = Array.from({ length: WRITERS }, () => 0)
  readonly #attached = new Set<number>()
  #rotated = 0

  constructor(threads: readonly Thread[], path: string, onFull: 'drop' | 'block') {
    this.#threads = threads
    this.#path = path
    this.file = new FlushFile({ path, onFull, maxBytes: 16_384, flushInterval: 5 })
  }

  /** What each writer's lines in all of its files are, in their order. */
  lines(): number[][] {
    const found: number[][] = Array.from({ length: WRITERS }, () => [])
    for (let i = 0; i <= this.#rotated; i++) {
      const path = i < this.#rotated ? `${this.#path}.${i}` : this.#path
      const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
      expect(text === '' || text.endsWith('\n')).toBe(true)
      for (const line of text.split('\n').slice(0, -1)) {
        const [, writer, number, size, filler] = /^(\d) (\d+) (\d+) (x*)$/.exec(line) ?? []
        expect(filler, line).toHaveLength(Number(size))
        found[Number(writer)]?.push(Number(number))
      }
    }
    return found
  }

  async run(step: Operation): Promise<void> {
    if (step.op === 'rotate') {
      renameSync(this.#path, `${this.#path}.${this.#rotated}`)
      await this.file.reopen()
      this.#rotated++
      this.#isOut()
      expect(readFileSync(this.#path, 'utf8')).toBe('')
    } else if (step.op === 'count') {
      const { lines, written, buffered, lost } = this.file.counters
      expect(written + buffered + lost).toBe(lines)
    } else if (step.who === 0) await this.#runHere(step)
    else await this.#runThere(step)
  }

  #written(): number {
    return this.lines().reduce((sum, { length }) => sum + length, 0)
  }

  async #runHere(step: Step): Promise<void> {
    if (step.op === 'write') {
      for (const size of step.sizes) {
        this.file.write(`0 ${this.attempted[0]} ${size} ${'x'.repeat(size)}\n`)
        this.attempted[0] = (this.attempted[0] ?? 0) + 1
      }
      return
    }
    if (step.op === 'flush') await this.file.flush()
    else if (step.op === 'flushSync') expect(this.file.flushSync(60_000)).toBe(true)
    this.#isOut()
  }

  /** After a flush, or in old files after a rotation, is all that was taken. */
  #isOut(): void {
    const { lines, written, buffered } = this.file.counters
    expect([written, buffered]).toEqual([lines, 0])
    expect(this.#written()).toBe(lines)
  }

  async #runThere(step: Step): Promise<void> {
    const writer = step.who
    const thread = this.#threads[writer - 1] as Thread
    if (!this.#attached.has(writer)) {
      if (step.op === 'leave') return
      this.#attached.add(writer)
      await thread.run(({ core, state }, handle: typeof this.file.handle) => {
        state.file = core.FlushFile.attach(handle)
      }, this.file.handle)
    }
    if (step.op === 'write') {
      const first = this.attempted[writer] ?? 0
      this.attempted[writer] = first + step.sizes.length
      await thread.run(
        ({ state }, { name, from, sizes }) => {
          sizes.forEach((size, i) => {
            state.file.write(`${name} ${from + i} ${size} ${'x'.repeat(size)}\n`)
          })
        },
        { name: writer, from: first, sizes: step.sizes },
      )
    } else if (step.op === 'leave') {
      this.#attached.delete(writer)
      await thread.run(({ state }) => state.file.end())
    } else if (step.op === 'flush') await thread.run(({ state }) => state.file.flush())
    else expect(await thread.run(({ state }) => state.file.flushSync(60_000))).toBe(true)
  }

  async end(): Promise<void> {
    for (const writer of this.#attached) {
      await this.#threads[writer - 1]?.run(({ state }) => state.file.end())
    }
    expect(await this.file.end()).toEqual({ lines: 0, bytes: 0 })
  }
}

describe('flush files', () => {
  it('do what a plain model does', async () => {
    const threads = Array.from({ length: WRITERS - 1 }, () => new Thread(undefined))
    let files = 0
    const property = fc.asyncProperty(
      fc.array(operation, { maxLength: 25, size: 'max' }),
      fc.constantFrom('drop' as const, 'block' as const),
      async (steps, onFull) => {
        const tested = new Tested(threads, join(dir, `${files++}.log`), onFull)
        for (const step of steps) await tested.run(step)
        await tested.end()
        const { lines, written, dropped, lost, buffered } = tested.file.counters
        const attempted = tested.attempted.reduce((a, b) => a + b)
        expect([lines + dropped, written, lost, buffered]).toEqual([attempted, lines, 0, 0])
        if (onFull === 'block') expect(dropped).toBe(0)
        const found = tested.lines()
        expect(found.reduce((sum, { length }) => sum + length, 0)).toBe(lines)
        found.forEach((numbers, writer) => {
          // In order, none twice; without drops, every one.
          expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
          if (dropped === 0) expect(numbers).toHaveLength(tested.attempted[writer] ?? 0)
        })
      },
    )
    await fc.assert(property, { numRuns: 150 })
  })

  it('take anything as an argument without a crash', async () => {
    const any = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withTypedArray: true,
      withNullPrototype: true,
      withObjectString: true,
    })
    const file = new FlushFile({ path: join(dir, 'a.log') })
    const call = (what: () => unknown): void => {
      try {
        const result = what()
        if (result instanceof FlushFile) void result.end({ deadline: 0 })
      } catch (error) {
        expect(error, String((error as Error).stack)).toBeInstanceOf(MillraceError)
        expect((error as MillraceError).code).toMatch(/^ERR_MILLRACE_/)
      }
    }
    const options = fc.record(
      {
        path: fc.constantFrom<unknown>(join(dir, 'b.log'), dir, join(dir, 'no/such'), 7, null),
        fd: fc.oneof(fc.constantFrom(-1, 1e6), any),
        maxBytes: any,
        onFull: any,
        flushInterval: any,
        fsync: any,
        mode: any,
        append: any,
        mkdir: any,
        exitDeadline: any,
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(any, options, (a, given) => {
        call(() => new FlushFile(a as never))
        call(() => new FlushFile(given as never))
        call(() => FlushFile.attach(a as never))
        call(() => FlushFile.attach({ ...file.handle, ...(a as object) } as never))
        call(() => file.write(a as never))
        if (typeof a !== 'number') call(() => file.flushSync(a as never))
      }),
      { numRuns: 300 },
    )
    file.write('still there\n')
    await file.flush()
    expect(readFileSync(join(dir, 'a.log'), 'utf8')).toMatch(/still there\n$/)
    await file.end()
  })
})
