/**
 * What the native core does with the tables and programs, in a few lines: the reference that tests
 * run them on.
 */

import type {
  NativeDfa,
  NativeRegexProgram,
  NativeRegexRewrite,
} from '../../../src/native/index.ts'

export function matches(dfa: NativeDfa, bytes: Uint8Array): boolean {
  let state = dfa.start
  for (const byte of bytes) {
    state = dfa.next[state * dfa.classCount + (dfa.classes[byte] ?? 0)] ?? 0
  }
  return dfa.accepting[state] === 1
}

interface Thread {
  readonly pc: number
  readonly saved: readonly number[]
}

/**
 * The leftmost match from `from`, by preference: the positions that its groups begin and end at.
 */
function search(
  program: NativeRegexProgram,
  input: Uint8Array,
  from: number,
): readonly number[] | undefined {
  for (let start = from; start <= input.length; start++) {
    let threads = closure(program, [{ pc: 0, saved: [] }], input, start)
    let found: readonly number[] | undefined
    for (let at = start; threads.length > 0; at++) {
      const next: Thread[] = []
      for (const thread of threads) {
        const [op, x = 0] = program.code.slice(thread.pc * 3, thread.pc * 3 + 2)
        if (op === 4) {
          found = thread.saved
          break
        }
        const byte = input[at]
        const bits = byte === undefined ? 0 : (program.sets[x * 32 + (byte >> 3)] ?? 0)
        if (byte !== undefined && ((bits >> (byte & 7)) & 1) === 1) {
          next.push({ pc: thread.pc + 1, saved: thread.saved })
        }
      }
      threads = closure(program, next, input, at + 1)
    }
    if (found !== undefined) return found
  }
  return undefined
}

export function firstMatch(
  program: NativeRegexProgram,
  input: Uint8Array,
): readonly number[] | undefined {
  return search(program, input, 0)
}

function closure(
  program: NativeRegexProgram,
  threads: readonly Thread[],
  input: Uint8Array,
  at: number,
): Thread[] {
  const seen = new Set<number>()
  const kept: Thread[] = []
  const visit = ({ pc, saved }: Thread): void => {
    if (seen.has(pc)) return
    seen.add(pc)
    const [op, x = 0, y = 0] = program.code.slice(pc * 3, pc * 3 + 3)
    if (op === 1) {
      visit({ pc: x, saved })
      visit({ pc: y, saved })
    } else if (op === 2) visit({ pc: x, saved })
    else if (op === 3) {
      const changed = [...saved]
      changed[x] = at
      visit({ pc: pc + 1, saved: changed })
    } else if (op === 5) {
      if (at === 0) visit({ pc: pc + 1, saved })
    } else if (op === 6) {
      if (at === input.length) visit({ pc: pc + 1, saved })
    } else kept.push({ pc, saved })
  }
  for (const thread of threads) visit(thread)
  return kept
}

/** Every match replaced, as RE2's GlobalReplace does. */
export function rewrite({ program, substitution }: NativeRegexRewrite, text: string): string {
  const input = Buffer.from(text)
  const out: Buffer[] = []
  let at = 0
  let lastEnd = -1
  while (at <= input.length) {
    const found = search(program, input, at)
    if (found === undefined) break
    const [begin = 0, end = 0] = found
    out.push(input.subarray(at, begin))
    if (begin === lastEnd && begin === end) {
      // An empty match right behind the last one is none; one byte on.
      out.push(input.subarray(begin, begin + 1))
      at = begin + 1
      continue
    }
    for (const part of substitution) {
      if (typeof part === 'string') out.push(Buffer.from(part))
      else out.push(input.subarray(found[part * 2] ?? 0, found[part * 2 + 1] ?? 0))
    }
    at = end
    lastEnd = end
  }
  out.push(input.subarray(at))
  return Buffer.concat(out).toString()
}
