/**
 * RE2's syntax to a tree over bytes.
 *
 * Matching is on the bytes of a header or a path, so the tree's letters are sets of bytes: a
 * character beyond ASCII in a pattern is the sequence of its UTF-8 bytes, and `.` is any byte but
 * the line feed. What RE2 does not have (look-around, backreferences) and what this version does
 * not have (Unicode classes, word boundaries, multi-line anchors) is refused by name.
 */

import { ByteSet, kPosixClasses, perlClass, utf8Sequences } from './bytes.ts'

export type RegexNode =
  | { readonly kind: 'empty' | 'begin' | 'end' }
  | { readonly kind: 'set'; readonly set: ByteSet }
  | { readonly kind: 'concat' | 'alternate'; readonly parts: readonly RegexNode[] }
  | {
      readonly kind: 'repeat'
      readonly part: RegexNode
      readonly min: number
      readonly max: number
      readonly greedy: boolean
    }
  | { readonly kind: 'group'; readonly part: RegexNode; readonly index: number }

export interface ParsedRegex {
  readonly root: RegexNode
  /** Capturing groups, the whole match included. */
  readonly groups: number
}

/** What is wrong with a pattern, and which of its characters are meant. */
export class RegexError extends Error {
  readonly from: number
  readonly to: number
  readonly hint: string | undefined

  constructor(message: string, from: number, to: number, hint?: string) {
    super(message)
    this.name = 'RegexError'
    this.from = from
    this.to = to
    this.hint = hint
  }
}

/** RE2's own limit of a counted repetition. */
const kRepeatMax = 1000
const kDepthMax = 200

interface Flags {
  readonly ignoreCase: boolean
  readonly dotNewline: boolean
  readonly ungreedy: boolean
}

// One of each: a pattern may have as many dots as characters.
const kAnyByte = ByteSet.all()
const kNotNewline = ByteSet.of('\n').negated()

export function parseRegex(pattern: string): ParsedRegex {
  return new RegexParser(pattern).parse()
}

class RegexParser {
  readonly #pattern: string
  readonly #names = new Set<string>()
  #at = 0
  #groups = 1
  /** Where `\E` is, inside of `\Q…\E`; else -1. */
  #quoteEnd = -1
  #depth = 0
  #flags: Flags = { ignoreCase: false, dotNewline: false, ungreedy: false }

  constructor(pattern: string) {
    this.#pattern = pattern
  }

  parse(): ParsedRegex {
    const root = this.#alternation()
    if (this.#at < this.#pattern.length) this.#fail('this ")" has no "("', this.#at)
    return { root, groups: this.#groups }
  }

  #fail(message: string, from: number, hint?: string): never {
    throw new RegexError(message, from, Math.max(this.#at, from + 1), hint)
  }

  #peek(text: string): boolean {
    return this.#pattern.startsWith(text, this.#at)
  }

  #take(text: string): boolean {
    if (!this.#peek(text)) return false
    this.#at += text.length
    return true
  }

  /** The next character, by code point; the end of the pattern is refused. */
  #next(what: string, from: number): string {
    const code = this.#pattern.codePointAt(this.#at)
    if (code === undefined) this.#fail(`the pattern ends inside ${what}`, from)
    const character = String.fromCodePoint(code)
    this.#at += character.length
    return character
  }

  #alternation(): RegexNode {
    const parts = [this.#concatenation()]
    while (this.#take('|')) parts.push(this.#concatenation())
    return parts.length === 1 ? (parts[0] as RegexNode) : { kind: 'alternate', parts }
  }

  #concatenation(): RegexNode {
    const parts: RegexNode[] = []
    while (
      this.#at < this.#pattern.length &&
      (this.#quoteEnd >= 0 || !/[|)]/.test(this.#pattern[this.#at] ?? ''))
    ) {
      const from = this.#at
      const atom = this.#atom()
      // `(?i)` and the like stand for no text, and take no repetition.
      if (atom !== undefined) parts.push(this.#quoteEnd >= 0 ? atom : this.#repeated(atom, from))
      else if (this.#quoteEnd >= 0) continue
      else if (/^[*+?]/.test(this.#pattern.slice(this.#at)))
        this.#fail('nothing to repeat', this.#at)
    }
    if (parts.length === 1) return parts[0] as RegexNode
    return parts.length === 0 ? { kind: 'empty' } : { kind: 'concat', parts }
  }

  #repeated(atom: RegexNode, from: number): RegexNode {
    const bounds = this.#bounds(this.#at)
    if (bounds === undefined) return atom
    const lazy = this.#take('?')
    const greedy = lazy === this.#flags.ungreedy
    const again = this.#at
    if (this.#bounds(again) !== undefined)
      this.#fail('a repetition of a repetition', from, 'group it: (…)')
    return { kind: 'repeat', part: atom, min: bounds[0], max: bounds[1], greedy }
  }

  #bounds(from: number): readonly [number, number] | undefined {
    if (this.#take('*')) return [0, Number.POSITIVE_INFINITY]
    if (this.#take('+')) return [1, Number.POSITIVE_INFINITY]
    if (this.#take('?')) return [0, 1]
    const counted = /^\{(\d{1,4})(,(\d{0,4}))?\}/.exec(this.#pattern.slice(from, from + 12))
    if (counted === null) return undefined
    this.#at += counted[0].length
    const min = Number(counted[1])
    const unbounded = counted[2] !== undefined && counted[3] === ''
    const max = unbounded ? Number.POSITIVE_INFINITY : Number(counted[3] ?? counted[1])
    if (min > kRepeatMax || (!unbounded && max > kRepeatMax))
      this.#fail(`a repetition of more than ${kRepeatMax}`, from)
    if (max < min) this.#fail('a repetition whose end is before its start', from)
    return [min, max]
  }

  #atom(): RegexNode | undefined {
    const from = this.#at
    const character = this.#next('the pattern', from)
    if (this.#quoteEnd >= 0) {
      this.#endQuote()
      return this.#literal(character)
    }
    switch (character) {
      case '(':
        return this.#group(from)
      case '[':
        return this.#class(from)
      case '.':
        return {
          kind: 'set',
          set: this.#flags.dotNewline ? kAnyByte : kNotNewline,
        }
      case '^':
        return { kind: 'begin' }
      case '$':
        return { kind: 'end' }
      case '*':
      case '+':
      case '?':
        return this.#fail('nothing to repeat', from)
      case '\\':
        return this.#escape(from)
      default:
        return this.#literal(character)
    }
  }

  #literal(character: string): RegexNode {
    const variants = new Set([character])
    if (this.#flags.ignoreCase) {
      for (const other of [character.toLowerCase(), character.toUpperCase()]) {
        if ([...other].length === 1) variants.add(other)
      }
    }
    const parts = [...variants].map(encoded)
    if (parts.every((part) => part.kind === 'set')) {
      return { kind: 'set', set: ByteSet.union(parts.map((part) => part.set)) }
    }
    return parts.length === 1 ? (parts[0] as RegexNode) : { kind: 'alternate', parts }
  }

  #group(from: number): RegexNode | undefined {
    let index: number | undefined
    const outer = this.#flags
    if (this.#take('?')) {
      const name = /^P?<([A-Za-z_]\w*)>/.exec(this.#pattern.slice(this.#at))
      if (name !== null) {
        this.#at += name[0].length
        if (this.#names.has(name[1] ?? '')) this.#fail(`two groups are called ${name[1]}`, from)
        this.#names.add(name[1] ?? '')
        index = this.#groups++
      } else if (!this.#groupFlags(from)) {
        return undefined
      }
    } else {
      index = this.#groups++
    }
    if (++this.#depth > kDepthMax) this.#fail(`groups nested deeper than ${kDepthMax}`, from)
    const part = this.#alternation()
    this.#depth--
    if (!this.#take(')')) this.#fail('this "(" has no ")"', from)
    // Flags that were set inside of a group end with it.
    this.#flags = outer
    return index === undefined ? part : { kind: 'group', part, index }
  }

  /**
   * `(?flags)` sets flags for the rest of the group and is no group itself (false); `(?flags:` is
   * one.
   */
  #groupFlags(from: number): boolean {
    const rest = this.#pattern.slice(this.#at)
    if (/^<?[=!]/.test(rest)) this.#fail('look-around, which RE2 does not have', from)
    if (/^P=/.test(rest)) this.#fail('a backreference, which RE2 does not have', from)
    if (/^P?</.test(rest)) this.#fail('not a group name', from, 'letters, digits and _')
    const found = /^([imsU]*)(-[imsU]+)?([:)])/.exec(rest)
    if (found === null) this.#fail('not a group that RE2 knows', from)
    const [all, on = '', off = '', end] = found
    if (on.includes('m')) this.#fail('(?m), which is not supported yet', from)
    const flag = (letter: string, before: boolean) =>
      (on.includes(letter) || before) && !off.includes(letter)
    this.#flags = {
      ignoreCase: flag('i', this.#flags.ignoreCase),
      dotNewline: flag('s', this.#flags.dotNewline),
      ungreedy: flag('U', this.#flags.ungreedy),
    }
    this.#at += all.length
    return end === ':'
  }

  #escape(from: number): RegexNode | undefined {
    if (this.#take('Q')) return this.#quote()
    const character = this.#next('an escape', from)
    const set = perlClass(character)
    if (set !== undefined) return { kind: 'set', set }
    if (character === 'A') return { kind: 'begin' }
    if (character === 'z') return { kind: 'end' }
    if (character === 'C') return { kind: 'set', set: ByteSet.all() }
    if (character === 'b' || character === 'B') {
      this.#fail(`\\${character} (word boundary), which is not supported yet`, from)
    }
    if (character === 'Z') this.#fail('\\Z, which RE2 does not have', from, 'write \\z')
    return this.#literal(this.#escapedCharacter(character, from))
  }

  /** The character that `\x` stands for, in and out of classes. */
  #escapedCharacter(character: string, from: number): string {
    const simple = { a: '\x07', f: '\f', t: '\t', n: '\n', r: '\r', v: '\v' }[character]
    if (simple !== undefined) return simple
    const rest = this.#pattern.slice(this.#at)
    if (character === 'x') {
      const hex = /^(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/.exec(rest)
      const code = Number.parseInt(hex?.[1] ?? hex?.[2] ?? '', 16)
      if (hex === null || !(code <= 0x10ffff))
        this.#fail('not a character by number', from, '\\x7F or \\x{10FFFF}')
      this.#at += hex[0].length
      return String.fromCodePoint(code)
    }
    const octal = /^(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(character + rest)
    if (octal !== null) {
      this.#at += octal[0].length - 1
      return String.fromCharCode(Number.parseInt(octal[0], 8))
    }
    if (/[1-9]/.test(character))
      this.#fail(`\\${character}, a backreference, which RE2 does not have`, from)
    if (/[pP]/.test(character)) this.#fail('a Unicode class, which is not supported yet', from)
    if (/[A-Za-z]/.test(character))
      this.#fail(`\\${character}, an escape that RE2 does not know`, from)
    return character
  }

  /** From `\Q` to `\E` every character is itself; a repetition behind takes the last one. */
  #quote(): undefined {
    const end = this.#pattern.indexOf('\\E', this.#at)
    this.#quoteEnd = end < 0 ? this.#pattern.length : end
    this.#endQuote()
  }

  #endQuote(): void {
    if (this.#at !== this.#quoteEnd) return
    this.#quoteEnd = -1
    this.#take('\\E')
  }

  #class(from: number): RegexNode {
    const negated = this.#take('^')
    // One set, not a list of them: a class may have as many items as a pattern has characters.
    let set = ByteSet.union([])
    const wide: RegexNode[] = []
    for (let first = true; first || !this.#take(']'); first = false) {
      const item = this.#classItem(from)
      const narrow = item instanceof ByteSet ? item : this.#classRange(item.from, item.to, wide)
      set = ByteSet.union([set, narrow])
    }
    if (this.#flags.ignoreCase) set = set.withBothCases()
    if (!negated && wide.length > 0)
      return { kind: 'alternate', parts: [{ kind: 'set', set }, ...wide] }
    if (negated && wide.length > 0) {
      this.#fail('a negated class with characters beyond ASCII, which is not supported yet', from)
    }
    return { kind: 'set', set: negated ? set.negated() : set }
  }

  #classItem(from: number): ByteSet | { from: number; to: number } {
    const posix = /^\[:(\^?)(\w+):\]/.exec(this.#pattern.slice(this.#at))
    if (posix !== null) {
      const known = kPosixClasses.get(posix[2] ?? '')
      if (known === undefined) this.#fail(`no class is called ${posix[2]}`, this.#at)
      this.#at += posix[0].length
      return posix[1] === '^' ? known.negated() : known
    }
    const low = this.#classCharacter(from)
    if (low instanceof ByteSet) return low
    const range = this.#peek('-') && !this.#peek('-]') && this.#at + 1 < this.#pattern.length
    if (!range) return { from: low, to: low }
    const at = this.#at++
    const high = this.#classCharacter(from)
    if (high instanceof ByteSet || high < low)
      this.#fail('a range whose end is before its start', at)
    return { from: low, to: high }
  }

  #classCharacter(from: number): number | ByteSet {
    const at = this.#at
    const character = this.#next('"["', from)
    if (character !== '\\') return character.codePointAt(0) as number
    const escaped = this.#next('an escape', at)
    const set = perlClass(escaped)
    return set ?? (this.#escapedCharacter(escaped, at).codePointAt(0) as number)
  }

  /** The part of one byte; what has several goes into `wide`. */
  #classRange(from: number, to: number, wide: RegexNode[]): ByteSet {
    const narrow = ByteSet.range(from, Math.min(to, 0x7f))
    if (to < 0x80) return narrow
    for (const sequence of utf8Sequences(Math.max(from, 0x80), to)) {
      const parts = sequence.map(
        ([low, high]) => ({ kind: 'set', set: ByteSet.range(low, high) }) as const,
      )
      wide.push({ kind: 'concat', parts })
    }
    return narrow
  }
}

function encoded(character: string): RegexNode {
  const bytes = [...Buffer.from(character)]
  const parts = bytes.map((byte) => ({ kind: 'set', set: ByteSet.range(byte, byte) }) as const)
  return parts.length === 1 ? (parts[0] as RegexNode) : { kind: 'concat', parts }
}
