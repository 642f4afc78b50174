/**
 * The one family of errors that Millrace throws: each carries a code, where it applies, and what to
 * do about it.
 */

import type { ErrorCode } from './error_codes.ts'

export interface MillraceErrorOptions {
  /** Where in the configuration or in the arguments, e.g. `static_resources.clusters[0].name`. */
  readonly path?: string
  /** What to write or to do instead. */
  readonly hint?: string
  readonly cause?: unknown
}

export class MillraceError extends Error {
  /** Stable and meant for programs: Millrace's own, or the system's (`EACCES`). */
  readonly code: ErrorCode | (string & Record<never, never>)
  readonly path?: string
  readonly hint?: string

  constructor(code: string, message: string, options: MillraceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    if (options.path !== undefined) this.path = options.path
    if (options.hint !== undefined) this.hint = options.hint
  }
}
