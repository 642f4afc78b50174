/** Matchers of strings, headers and queries, as the native core takes them. */

import type { RuntimeIndex } from './values.ts'

/** A DFA over the whole input. State 0 is dead; `next[state * classCount + classes[byte]]`. */
export interface NativeDfa {
  readonly classes: Uint8Array
  readonly classCount: number
  readonly next: Uint16Array
  readonly accepting: Uint8Array
  readonly start: number
}

/**
 * A program for the linear-time (Pike) matcher, for substitution, where captures are needed;
 * leftmost-first as RE2. Instructions are triples [op, x, y]: 0 byte-class x · 1 split x
 * (preferred) y · 2 jump x · 3 save x · 4 match · 5 assert begin · 6 assert end. `sets`: 32 bytes
 * (256 bits, least significant first) for each class.
 */
export interface NativeRegexProgram {
  readonly code: Int32Array
  readonly sets: Uint8Array
  /** Number of groups, the whole match included. */
  readonly groups: number
}

/** Every match is replaced; a number stands for the text of that group. */
export interface NativeRegexRewrite {
  readonly program: NativeRegexProgram
  readonly substitution: readonly (string | number)[]
}

export interface NativeStringMatcher {
  readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains' | 'regex'
  readonly value?: string
  readonly dfa?: NativeDfa
  readonly ignoreCase?: boolean
}

export interface NativeHeaderMatcher {
  /** Lower case; `:method`, `:path`, `:authority`, `:scheme` too. */
  readonly name: string
  readonly kind: 'present' | 'range' | 'string'
  readonly string?: NativeStringMatcher
  /** For `present`: whether it must be present. */
  readonly present?: boolean
  /** For `range`: start (inclusive) and end (exclusive) of a decimal integer. */
  readonly range?: readonly [number, number]
  readonly invert?: boolean
  readonly treatMissingAsEmpty?: boolean
}

export interface NativeQueryMatcher {
  readonly name: string
  readonly string?: NativeStringMatcher
  readonly present?: boolean
}

/** numerator / denominator (100, 10,000 or 1,000,000) of requests, or what the runtime says. */
export interface NativeFraction {
  readonly flag: RuntimeIndex
  readonly numerator: number
  readonly denominator: number
}
