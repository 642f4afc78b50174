/**
 * Expressions in RE2's syntax for the native core: a table to match with, or a program to
 * substitute with.
 */

import type { NativeDfa, NativeRegexRewrite } from '../../native/index.ts'
import { buildDfa, type DfaLimits } from './dfa.ts'
import { buildProgram, nativeProgram } from './program.ts'
import { parseRegex, RegexError } from './syntax.ts'

export { RegexError }

/** A table that is true for a text that matches as a whole. Throws a RegexError. */
export function compileMatch(pattern: string): NativeDfa {
  return buildDfa(buildProgram(parseRegex(pattern), false))
}

/**
 * Of an expression that somebody asks for while this thread serves: to build its table takes a few
 * hundredths of a second at most.
 */
const kSearchStepsMax = 1_000
const kSearchPatternMax = 4_096 // characters; hardly one has so few steps with more
const kSearchLimits: DfaLimits = {
  states: 500,
  reached: 150_000,
  asked: 300_000,
  hint: 'ask for a part of the text, without counted repetitions',
}

/**
 * Whether a text has a match in it. In the time that its length is, whatever the pattern. Throws a
 * RegexError, also for what would take long to prepare.
 */
export function compileSearch(pattern: string): (text: string) => boolean {
  if (pattern.length > kSearchPatternMax) {
    const what = `is longer than ${kSearchPatternMax} characters`
    throw new RegexError(what, kSearchPatternMax, pattern.length, kSearchLimits.hint)
  }
  // Its mistakes are to be said of the pattern alone.
  parseRegex(pattern)
  const parsed = parseRegex(`(?s:.*)(?:${pattern})(?s:.*)`)
  const dfa = buildDfa(buildProgram(parsed, false, kSearchStepsMax), kSearchLimits)
  return (text) => {
    let state = dfa.start
    for (const byte of Buffer.from(text)) {
      state = dfa.next[state * dfa.classCount + (dfa.classes[byte] ?? 0)] ?? 0
      if (state === 0) return false
    }
    return dfa.accepting[state] === 1
  }
}

/**
 * A program that finds the pattern anywhere, and what to write in its place. Throws a RegexError.
 */
export function compileRewrite(pattern: string, substitution: string): NativeRegexRewrite {
  const parsed = parseRegex(pattern)
  return {
    program: nativeProgram(buildProgram(parsed, true)),
    substitution: parseSubstitution(substitution, parsed.groups),
  }
}

/**
 * What is wrong with a substitution; the offsets count its characters, not those of the pattern.
 */
export class SubstitutionError extends RegexError {}

/** RE2's rewrite text: `\0` is the whole match, `\1` to `\9` are groups, `\\` is a backslash. */
function parseSubstitution(text: string, groups: number): (string | number)[] {
  const parts: (string | number)[] = []
  let literal = ''
  for (let i = 0; i < text.length; i++) {
    const character = text[i] ?? ''
    if (character !== '\\') {
      literal += character
      continue
    }
    const escaped = text[++i] ?? ''
    if (escaped === '\\') {
      literal += escaped
      continue
    }
    if (!/\d/.test(escaped)) {
      throw new SubstitutionError(
        `"\\${escaped}" stands for nothing`,
        i - 1,
        i + 1,
        'write \\\\ for a backslash',
      )
    }
    if (Number(escaped) >= groups) {
      const count = groups - 1
      throw new SubstitutionError(
        `\\${escaped} is not there: the pattern has ${count} group${count === 1 ? '' : 's'}`,
        i - 1,
        i + 1,
      )
    }
    if (literal !== '') parts.push(literal)
    literal = ''
    parts.push(Number(escaped))
  }
  if (literal !== '') parts.push(literal)
  return parts
}
