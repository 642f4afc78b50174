/**
 * The program of an expression to a table that decides, one byte a step, whether all of a text
 * matches.
 */

import type { NativeDfa } from '../../native/index.ts'
import type { ByteSet } from './bytes.ts'
import { Op, type Program } from './program.ts'
import { RegexError } from './syntax.ts'

export interface DfaLimits {
  /** States of the table. */
  readonly states: number
  /** Instructions that may be reached while it is built. */
  readonly reached: number
  /** Instructions that may be asked whether a byte is one of theirs. */
  readonly asked: number
  /** For people: instead of such an expression. */
  readonly hint: string
}

/** Of an expression of the configuration. */
const kLimits: DfaLimits = {
  // With, say, 30 classes that is 240 KB; what needs more is not made for a request path.
  states: 4096,
  // About a second.
  reached: 20_000_000,
  asked: Number.POSITIVE_INFINITY,
  hint: 'split it into several routes, or use a prefix or exact match',
}

/** Throws a RegexError where the table is beyond the limits. */
export function buildDfa(program: Program, limits: DfaLimits = kLimits): NativeDfa {
  return new DfaBuilder(program, limits).build()
}

class DfaBuilder {
  readonly #program: Program
  readonly #limits: DfaLimits
  readonly #states = new Map<string, number>()
  readonly #members: (readonly number[])[] = []

  /** Which round of the closure an instruction was last reached in. */
  readonly #seen: Uint32Array
  #round = 0
  #reached = 0
  #asked = 0

  constructor(program: Program, limits: DfaLimits) {
    this.#program = program
    this.#limits = limits
    this.#seen = new Uint32Array(program.code.length / 3)
  }

  build(): NativeDfa {
    const { classes, samples } = byteClasses(this.#program.sets)
    const classCount = samples.length
    // State 0 is dead: no instruction is left that could go on.
    this.#state([])
    const start = this.#state(this.#closure([0], true, false), '^')
    const next: number[] = []
    for (let state = 0; state < this.#members.length; state++) {
      for (const sample of samples) next.push(this.#step(this.#members[state] ?? [], sample))
    }
    const accepting = Uint8Array.from(this.#members, (members, state) =>
      this.#accepts(members, state === start) ? 1 : 0,
    )
    return { classes, classCount, next: Uint16Array.from(next), accepting, start }
  }

  /** The start is a state of its own: only there does the begin of the text hold. */
  #state(members: readonly number[], mark = ''): number {
    const key = mark + members.join()
    const known = this.#states.get(key)
    if (known !== undefined) return known
    const { states } = this.#limits
    if (this.#members.length >= states) throw this.#tooLarge(`more than ${states} states`)
    this.#states.set(key, this.#members.length)
    return this.#members.push(members) - 1
  }

  #step(members: readonly number[], byte: number): number {
    const { code, sets } = this.#program
    const targets: number[] = []
    this.#asked += members.length
    if (this.#asked > this.#limits.asked) throw this.#tooLarge('too long to build')
    for (const instruction of members) {
      if (code[instruction * 3] !== Op.set) continue
      if (sets[code[instruction * 3 + 1] ?? 0]?.has(byte)) targets.push(instruction + 1)
    }
    return this.#state(this.#closure(targets, false, false))
  }

  #accepts(members: readonly number[], atBegin: boolean): boolean {
    const { code } = this.#program
    return this.#closure(members, atBegin, true).some(
      (instruction) => code[instruction * 3] === Op.match,
    )
  }

  /**
   * What is reached without a byte, sorted: byte sets, the match, and ends that wait for the end of
   * the text.
   */
  #closure(from: readonly number[], atBegin: boolean, atEnd: boolean): number[] {
    const { code } = this.#program
    const seen = this.#seen
    const round = ++this.#round
    const kept: number[] = []
    const open = [...from]
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (seen[at] === round) continue
      seen[at] = round
      if (++this.#reached > this.#limits.reached) throw this.#tooLarge('too long to build')
      const op = code[at * 3]
      if (op === Op.split) open.push(code[at * 3 + 1] ?? 0, code[at * 3 + 2] ?? 0)
      else if (op === Op.jump) open.push(code[at * 3 + 1] ?? 0)
      else if (op === Op.save || (op === Op.begin && atBegin) || (op === Op.end && atEnd)) {
        open.push(at + 1)
      } else if (op !== Op.begin) kept.push(at)
    }
    return kept.sort((a, b) => a - b)
  }

  #tooLarge(what: string): RegexError {
    return new RegexError(`needs ${what}`, 0, 1, this.#limits.hint)
  }
}

/** Bytes that no set tells apart are one class; a sample of each. */
function byteClasses(sets: readonly ByteSet[]): { classes: Uint8Array; samples: number[] } {
  const classes = new Uint8Array(256)
  const samples: number[] = []
  const known = new Map<string, number>()
  for (let byte = 0; byte < 256; byte++) {
    const signature = sets.map((set) => (set.has(byte) ? '1' : '0')).join('')
    let index = known.get(signature)
    if (index === undefined) {
      index = samples.push(byte) - 1
      known.set(signature, index)
    }
    classes[byte] = index
  }
  return { classes, samples }
}
