// How an error leaves the process: as text, or as JSON for programs; and the exit code that it
// means.

import type { ConfigError, Problem } from '../config/index.ts'
import { MillraceError } from '../errors.ts'

/** EX_CONFIG of sysexits.h. */
export const kExitConfig = 78
export const kExitFailure = 1

/** Not by class: the configuration's code is loaded only where one is read. */
export function problemsOf(error: unknown): ConfigError | undefined {
  const isConfig = error instanceof MillraceError && error.code === 'ERR_MILLRACE_CONFIG'
  return isConfig ? (error as ConfigError) : undefined
}

export function exitCodeOf(error: unknown): number {
  return problemsOf(error) ? kExitConfig : kExitFailure
}

export function describe(error: unknown, json: boolean): string {
  return json ? JSON.stringify(asJson(error)) : asText(error)
}

function asText(error: unknown): string {
  const config = problemsOf(error)
  if (config) {
    const count = config.problems.length
    return `${config.message}\n${count} ${count === 1 ? 'error' : 'errors'}`
  }
  if (!(error instanceof Error)) return `millrace: ${String(error)}`
  const hint = error instanceof MillraceError && error.hint ? `\n  ${error.hint}` : ''
  return `millrace: ${error.message}${hint}`
}

type ErrorJson =
  | { readonly problems: readonly Omit<Problem, 'source'>[] }
  | { readonly message: string; readonly path?: string; readonly hint?: string }

function asJson(error: unknown): { readonly code: string } & ErrorJson {
  const config = problemsOf(error)
  if (config) return { code: config.code, problems: config.toJSON() }
  if (!(error instanceof Error)) return { code: 'ERR_MILLRACE', message: String(error) }
  const { code = 'ERR_MILLRACE', message } = error as NodeJS.ErrnoException
  const { path, hint } = error as MillraceError
  return { code, message, ...(path ? { path } : {}), ...(hint ? { hint } : {}) }
}
