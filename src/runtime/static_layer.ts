/** A static layer, as it stands in a configuration, to flat keys and values. */

import type { RuntimeValue } from './runtime.ts'

export interface RefusedValue {
  readonly path: readonly (string | number)[]
  readonly reason: string
}

const denominators: ReadonlyMap<unknown, 100 | 10_000 | 1_000_000> = new Map([
  ['HUNDRED', 100],
  ['TEN_THOUSAND', 10_000],
  ['MILLION', 1_000_000],
])

/** `{a: {b: 1}}` is `a.b: 1`; of two ways to write the same key, the later one holds. */
export function flattenLayer(values: Readonly<Record<string, unknown>>): {
  flat: Map<string, RuntimeValue>
  refused: RefusedValue[]
} {
  const flat = new Map<string, RuntimeValue>()
  const refused: RefusedValue[] = []
  const visit = (value: unknown, path: readonly string[]): void => {
    if (isFraction(value)) {
      const fraction = readFraction(value)
      if (fraction !== undefined) flat.set(path.join('.'), fraction)
      else
        refused.push({
          path,
          reason: 'is not a fraction: numerator, and denominator HUNDRED, TEN_THOUSAND or MILLION',
        })
    } else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) visit(inner, [...path, key])
    } else if (typeof value === 'number' || typeof value === 'boolean') {
      flat.set(path.join('.'), value)
    } else if (typeof value === 'string') {
      flat.set(path.join('.'), readText(value))
    } else {
      refused.push({
        path,
        reason: 'a runtime value is a number, true or false, a text, or a fraction',
      })
    }
  }
  visit(values, [])
  return { flat, refused }
}

function isFraction(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' && value !== null && ('numerator' in value || 'denominator' in value)
  )
}

function readFraction(value: Readonly<Record<string, unknown>>): RuntimeValue | undefined {
  const { numerator = 0, denominator = 'HUNDRED', ...rest } = value
  const known = denominators.get(denominator)
  const whole = typeof numerator === 'number' && Number.isInteger(numerator) && numerator >= 0
  if (!whole || known === undefined || Object.keys(rest).length > 0) return undefined
  return { numerator, denominator: known }
}

/** Texts that say a number or a boolean are one, as in Envoy. */
function readText(text: string): RuntimeValue {
  if (/^[+-]?\d+(\.\d+)?$/.test(text)) return Number(text)
  if (/^(true|false)$/i.test(text)) return text.toLowerCase() === 'true'
  return text
}
