/** The tree of an expression to a program for the linear-time matcher of the native core. */

import type { NativeRegexProgram } from '../../native/index.ts'
import type { ByteSet } from './bytes.ts'
import { type ParsedRegex, RegexError, type RegexNode } from './syntax.ts'

/** Counted repetitions multiply; a program of this size is 120 KB. */
const kInstructionsMax = 10_000

export const Op = {
  set: 0,
  split: 1,
  jump: 2,
  save: 3,
  match: 4,
  begin: 5,
  end: 6,
} as const

export interface Program {
  /** Triples [op, x, y]; see NativeRegexProgram. */
  readonly code: readonly number[]
  readonly sets: readonly ByteSet[]
  readonly groups: number
}

/** `captures`: with instructions that remember where groups begin and end. */
/** Throws a RegexError where the program is longer than `stepsMax`. */
export function buildProgram(
  parsed: ParsedRegex,
  captures: boolean,
  stepsMax: number = kInstructionsMax,
): Program {
  return new ProgramBuilder(captures, stepsMax).build(parsed)
}

export function nativeProgram(program: Program): NativeRegexProgram {
  const sets = new Uint8Array(program.sets.length * 32)
  program.sets.forEach((set, i) => {
    sets.set(set.toBytes(), i * 32)
  })
  return { code: Int32Array.from(program.code), sets, groups: program.groups }
}

class ProgramBuilder {
  readonly #captures: boolean
  readonly #stepsMax: number
  readonly #code: number[] = []
  readonly #sets: ByteSet[] = []
  readonly #setIndexes = new Map<string, number>()

  constructor(captures: boolean, stepsMax: number) {
    this.#captures = captures
    this.#stepsMax = stepsMax
  }

  build({ root, groups }: ParsedRegex): Program {
    this.#node({ kind: 'group', part: root, index: 0 })
    this.#emit(Op.match)
    return { code: this.#code, sets: this.#sets, groups }
  }

  get #next(): number {
    return this.#code.length / 3
  }

  /** The index of the new instruction. */
  #emit(op: number, x = 0, y = 0): number {
    if (this.#next >= this.#stepsMax) {
      throw new RegexError(
        `compiles to more than ${this.#stepsMax} steps`,
        0,
        1,
        'use smaller repetition counts',
      )
    }
    this.#code.push(op, x, y)
    return this.#next - 1
  }

  #patch(instruction: number, x: number, y = 0): void {
    this.#code[instruction * 3 + 1] = x
    this.#code[instruction * 3 + 2] = y
  }

  #node(node: RegexNode): void {
    switch (node.kind) {
      case 'empty':
        return
      case 'begin':
      case 'end':
        this.#emit(Op[node.kind])
        return
      case 'set':
        this.#emit(Op.set, this.#set(node.set))
        return
      case 'concat':
        for (const part of node.parts) this.#node(part)
        return
      case 'alternate':
        this.#alternate(node.parts)
        return
      case 'group':
        if (this.#captures) this.#emit(Op.save, node.index * 2)
        this.#node(node.part)
        if (this.#captures) this.#emit(Op.save, node.index * 2 + 1)
        return
      case 'repeat':
        this.#repeat(node.part, node.min, node.max, node.greedy)
    }
  }

  #set(set: ByteSet): number {
    const key = set.words.join()
    let index = this.#setIndexes.get(key)
    if (index === undefined) {
      index = this.#sets.push(set) - 1
      this.#setIndexes.set(key, index)
    }
    return index
  }

  #alternate(parts: readonly RegexNode[]): void {
    const jumps: number[] = []
    parts.forEach((part, i) => {
      const last = i === parts.length - 1
      const split = last ? -1 : this.#emit(Op.split)
      this.#node(part)
      if (last) return
      jumps.push(this.#emit(Op.jump))
      this.#patch(split, split + 1, this.#next)
    })
    for (const jump of jumps) this.#patch(jump, this.#next)
  }

  #repeat(part: RegexNode, min: number, max: number, greedy: boolean): void {
    for (let i = 0; i < min; i++) {
      const before = this.#next
      this.#node(part)
      // Nothing, however often: repetitions in repetitions of it would take for ever.
      if (this.#next === before) break
    }
    if (max === Number.POSITIVE_INFINITY) {
      const split = this.#emit(Op.split)
      this.#node(part)
      this.#emit(Op.jump, split)
      this.#patchSplit(split, this.#next, greedy)
      return
    }
    const splits: number[] = []
    for (let i = min; i < max; i++) {
      splits.push(this.#emit(Op.split))
      this.#node(part)
    }
    for (const split of splits) this.#patchSplit(split, this.#next, greedy)
  }

  #patchSplit(split: number, exit: number, greedy: boolean): void {
    if (greedy) this.#patch(split, split + 1, exit)
    else this.#patch(split, exit, split + 1)
  }
}
