// Checks of options that files and destinations share.

import { wrongArgument } from './errors.ts'

/** Refuses what is not an object, and options that are not in `known`. */
export function refuseUnknown(options: unknown, known: readonly string[], what: string): object {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw wrongArgument(what, 'an object', options)
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw wrongArgument(name, `one of ${known.join(', ')}`, name)
  }
  return options
}

export function integer(name: string, value: unknown, low: number, high: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < low || value > high) {
    throw wrongArgument(name, `an integer from ${low} to ${high}`, value)
  }
  return value
}
