// What an endpoint of the admin interface is, and how it answers.

import type { AdminTarget } from './target.ts'

export interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
  /** Runs when the answer has been sent. */
  readonly after?: () => void
}

export interface Endpoint {
  readonly path: string
  /** Whatever changes something is POST, so that no link and no image can do it. */
  readonly method: 'GET' | 'POST'
  readonly help: string
  /** Query parameters and what they mean; any other is refused. */
  readonly parameters: Readonly<Record<string, string>>
  handle(target: AdminTarget, query: URLSearchParams): Answer
}

export function text(body: string, status: number = 200): Answer {
  return { status, type: 'text/plain; charset=utf-8', body }
}

export function json(value: unknown, status: number = 200): Answer {
  return { status, type: 'application/json', body: `${JSON.stringify(value, null, 1)}\n` }
}

/** A parameter without value, or with any other than these, is on. */
export function isOn(query: URLSearchParams, name: string): boolean {
  const value = query.get(name)
  return value !== null && value !== 'false' && value !== '0' && value !== 'off'
}

/**
 * The regular expression in a parameter; undefined when it is not given; an answer when it is none.
 */
export function regexOf(query: URLSearchParams, name: string): RegExp | Answer | undefined {
  const source = query.get(name)
  if (source === null || source === '') return undefined
  try {
    return new RegExp(source)
  } catch (error) {
    return text(`Invalid regex in ${name}: ${(error as Error).message}\n`, 400)
  }
}
