// What an endpoint of the admin interface is, and how it answers.

import { compileSearch, RegexError } from '../config/index.ts'
import type { Steps } from '../slices.ts'
import { jsonPieces, type Pieces } from './pieces.ts'
import type { AdminTarget } from './target.ts'

export interface Answer {
  readonly status: number
  readonly type: string
  /** Short, or in pieces. */
  readonly body: string | Pieces
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

export const kText = 'text/plain; charset=utf-8'

export function text(body: string, status: number = 200): Answer {
  return { status, type: kText, body }
}

/** The value may have iterables in it for lists, of which each item is made when it is written. */
export function json(value: unknown, status: number = 200): Answer {
  return { status, type: 'application/json', body: withNewline(jsonPieces(value)) }
}

/** As {@link json}, of a value that is itself made in steps. */
export function jsonOf(make: () => Steps<unknown>): Answer {
  function* pieces(): Pieces {
    yield* jsonPieces(yield* make())
  }
  return { status: 200, type: 'application/json', body: withNewline(pieces()) }
}

function* withNewline(pieces: Pieces): Pieces {
  yield* pieces
  yield '\n'
}

/** A parameter without value, or with any other than these, is on. */
export function isOn(query: URLSearchParams, name: string): boolean {
  const value = query.get(name)
  return value !== null && value !== 'false' && value !== '0' && value !== 'off'
}

/**
 * Whether the regular expression in a parameter is found in a text; undefined when it is not given;
 * an answer when it is none. It is Envoy's kind (RE2): whoever asks must not be able to stop the
 * main thread with it.
 */
export function regexOf(
  query: URLSearchParams,
  name: string,
): ((text: string) => boolean) | Answer | undefined {
  const source = query.get(name)
  if (source === null || source === '') return undefined
  try {
    return compileSearch(source)
  } catch (error) {
    if (!(error instanceof RegexError)) throw error
    return text(`Invalid regex in ${name}: ${error.message}\n`, 400)
  }
}
