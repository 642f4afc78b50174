/** The value rules of the `.proto` files (`validate.rules`), in words. */

import type { FieldRules } from '../schema/schema.ts'
import { didYouMean } from '../suggest.ts'

export interface Violation {
  readonly message: string
  readonly hint?: string | undefined
}

/**
 * What is wrong with a value, or undefined. Strings, numbers (durations in ms), booleans, bytes and
 * enum names.
 */
export function violation(
  rules: FieldRules,
  value: unknown,
  isDuration = false,
): Violation | undefined {
  if (rules.ignore_empty === true && (value === '' || value === 0)) return undefined
  const chosen = choiceViolation(rules, value)
  if (chosen !== undefined) return chosen
  if (typeof value === 'string') return textViolation(rules, value)
  if (typeof value === 'number') return rangeViolation(rules, value, isDuration)
  if (value instanceof Uint8Array) return lengthViolation(rules, value.length, 'byte')
  return undefined
}

function choiceViolation(rules: FieldRules, value: unknown): Violation | undefined {
  if (rules.const !== undefined && value !== rules.const) {
    return { message: `must be ${JSON.stringify(rules.const)}` }
  }
  if (rules.in !== undefined && !rules.in.includes(value)) {
    const hint = typeof value === 'string' ? didYouMean(value, rules.in.map(String)) : undefined
    return { message: `must be one of ${rules.in.join(', ')}`, hint }
  }
  if (rules.not_in?.includes(value)) {
    return { message: `must not be ${JSON.stringify(value)}` }
  }
  return undefined
}

function textViolation(rules: FieldRules, value: string): Violation | undefined {
  const characters = [...value].length
  const { len, min_bytes, max_bytes } = rules
  if (len !== undefined && characters !== len) return { message: `must have ${len} characters` }
  const tooLong = lengthViolation(rules, characters, 'character')
  if (tooLong !== undefined) return tooLong
  if (min_bytes !== undefined || max_bytes !== undefined) {
    const bounds = {
      ...(min_bytes && { min_len: min_bytes }),
      ...(max_bytes && { max_len: max_bytes }),
    }
    const wrong = lengthViolation(bounds, Buffer.byteLength(value), 'byte')
    if (wrong !== undefined) return wrong
  }
  for (const [rule, holds] of [
    ['prefix', value.startsWith(rules.prefix ?? '')],
    ['suffix', value.endsWith(rules.suffix ?? '')],
    ['contains', value.includes(rules.contains ?? '')],
  ] as const) {
    if (!holds)
      return {
        message: `must ${rule === 'contains' ? 'contain' : `have the ${rule}`} "${rules[rule]}"`,
      }
  }
  if (rules.pattern !== undefined && !new RegExp(rules.pattern, 'u').test(value)) {
    return { message: `must match ${rules.pattern}` }
  }
  return headerViolation(rules, value)
}

/**
 * RFC 9110 §5.1 for names; for values all but the control characters. Not strict: all but CR, LF
 * and NUL.
 */
function headerViolation(rules: FieldRules, value: string): Violation | undefined {
  const kind = rules.well_known_regex
  if (kind === undefined || value === '') return undefined
  const name = kind === 'HTTP_HEADER_NAME'
  if (rules.strict === false) {
    const at = [...value].findIndex((character) => '\0\r\n'.includes(character))
    return at < 0 ? undefined : { message: 'must not contain a line break or a NUL character' }
  }
  const allowed = name ? /^:?[\w!#$%&'*+.^`|~-]+$/.test(value) : !hasControl(value)
  return allowed ? undefined : { message: `is not a header's ${name ? 'name' : 'value'}` }
}

function hasControl(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return true
  }
  return false
}

function lengthViolation(rules: FieldRules, length: number, unit: string): Violation | undefined {
  const { min_len, max_len } = rules
  const plural = (count: number) => `${count} ${unit}${count === 1 ? '' : 's'}`
  if (min_len !== undefined && length < min_len) {
    return { message: length === 0 ? 'must not be empty' : `needs at least ${plural(min_len)}` }
  }
  if (max_len !== undefined && length > max_len) {
    return { message: `has ${length}, may have at most ${plural(max_len)}` }
  }
  return undefined
}

function rangeViolation(
  rules: FieldRules,
  value: number,
  isDuration: boolean,
): Violation | undefined {
  const { gt, gte, lt, lte } = rules
  const written = (bound: number): string => (isDuration ? `${bound / 1000}s` : `${bound}`)
  const bounds = [
    gt !== undefined && !(value > gt) && `more than ${written(gt)}`,
    gte !== undefined && !(value >= gte) && `at least ${written(gte)}`,
    lt !== undefined && !(value < lt) && `less than ${written(lt)}`,
    lte !== undefined && !(value <= lte) && `at most ${written(lte)}`,
  ].filter((bound) => bound !== false)
  return bounds.length === 0 ? undefined : { message: `must be ${bounds.join(' and ')}` }
}
