// Errors of the system as people know them: the core says errno by number.

import { getSystemErrorMap } from 'node:util'
import { MillraceError } from '../errors.ts'

/** The same error with errno's name and text in its message: `bind 127.0.0.1:80: EACCES (…)`. */
export function named(error: unknown): unknown {
  const { errno, code } = error as { errno?: unknown; code?: unknown }
  if (!(error instanceof Error) || typeof errno !== 'number') return error
  const [name, text] = getSystemErrorMap().get(-Math.abs(errno)) ?? [`errno ${errno}`, 'unknown']
  const message = `${error.message}: ${name} (${text})`
  return new MillraceError(String(code ?? 'ERR_MILLRACE_SYSTEM'), message, { cause: error })
}

/** What `act` gives; its error {@link named}. */
export function naming<T>(act: () => T): T {
  try {
    return act()
  } catch (error) {
    throw named(error)
  }
}
