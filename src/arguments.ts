/** What a program passes in and must not: how it is refused, and how it is described. */

import { types } from 'node:util'
import { MillraceError } from './errors.ts'

/** The argument or option at `path` is wrong; `message` says what it must be. */
export function argumentError(path: string, message: string, hint?: string): MillraceError {
  return new MillraceError('ERR_MILLRACE_ARGUMENT', `${path}: ${message}`, {
    path,
    ...(hint === undefined ? {} : { hint }),
  })
}

/** What a value is, for messages. Runs no code of the value's own, and so never throws. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (value === undefined) return 'undefined'
  if (types.isProxy(value)) return 'a proxy'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'string') {
    return `the text ${JSON.stringify(value.length > 40 ? `${value.slice(0, 37)}…` : value)}`
  }
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
