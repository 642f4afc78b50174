/** Checks what a program passes in: every wrong argument is an error with its path in it. */

import { argumentError, kindOf } from '../arguments.ts'
import { isPlain } from '../config/source/object.ts'
import { didYouMean } from '../config/suggest.ts'

/** An object whose keys are all known; undefined counts as an empty one. */
export function optionsObject(
  value: unknown,
  path: string,
  keys: readonly string[],
): Readonly<Record<string, unknown>> {
  if (value === undefined) return {}
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw argumentError(path, `must be an object, not ${kindOf(value)}`)
  }
  const given = Object.keys(value)
  if (given.length === 0 && !isPlain(value)) {
    // Such as a signal, passed where it should be one of the options.
    throw argumentError(
      path,
      `must be a plain object, not ${Object.prototype.toString.call(value)}`,
    )
  }
  for (const key of given) {
    if (keys.includes(key)) continue
    const hint = didYouMean(key, keys) ?? `there are: ${keys.join(', ')}`
    throw argumentError(`${path}.${key}`, 'is no option', hint)
  }
  return value as Readonly<Record<string, unknown>>
}

/** undefined passes. */
export function optionalNumber(
  value: unknown,
  path: string,
  { min, max, unit }: { readonly min: number; readonly max: number; readonly unit?: string },
): number | undefined {
  if (value === undefined) return undefined
  if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) return Number(value)
  const of = unit === undefined ? '' : ` of ${unit}`
  throw argumentError(
    path,
    `must be a whole number${of} from ${min} to ${max}, not ${kindOf(value)}`,
  )
}

/** undefined passes. */
export function optionalSignal(value: unknown, path: string): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value
  throw argumentError(path, `must be an AbortSignal, not ${kindOf(value)}`)
}

export function text(value: unknown, path: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw argumentError(path, `must be a text that is not empty, not ${kindOf(value)}`)
}
