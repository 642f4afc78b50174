/** Collects what is wrong while a configuration is read, so that all of it can be said at once. */

import { ConfigError, type Problem, type ProblemCode } from './problem.ts'
import type { SourceText } from './source/text.ts'

/** More than this many problems say that the file is something else altogether. */
const kProblemsMax = 1000

/** Characters of a message, a hint or a path: what they quote may be of any length. */
const kTextMax = 1000

export interface ProblemDetails {
  readonly code: ProblemCode
  readonly message: string
  readonly hint?: string | undefined
  readonly path: string
  /** Offsets into the text. */
  readonly start: number
  readonly end: number
}

export class Problems {
  readonly #text: SourceText
  readonly #found = new Map<string, { readonly start: number; readonly problem: Problem }>()

  /** Paths of which nothing more is to be said. */
  readonly #settled = new Set<string>()

  constructor(text: SourceText) {
    this.#text = text
  }

  get size(): number {
    return this.#found.size
  }

  /**
   * The same words at the same place are said once (an anchor that is used twice, a name checked
   * twice).
   */
  add(details: ProblemDetails): void {
    const key = `${details.start} ${details.message}`
    if (this.#found.size > kProblemsMax || this.#found.has(key)) return
    if (this.#settled.has(details.path)) return
    if (this.#found.size === kProblemsMax) {
      const end = this.#text.text.length
      const message = `these are the first ${kProblemsMax} problems, and there are more`
      this.#insert(key, { code: details.code, message, path: '', start: end, end })
    } else this.#insert(key, details)
  }

  /** As add(); and nothing more is said of the same path. */
  settle(details: ProblemDetails): void {
    this.add(details)
    this.#settled.add(details.path)
  }

  #insert(key: string, details: ProblemDetails): void {
    const problem: Problem = {
      ...this.#text.locate(details.start, details.end),
      path: bounded(details.path),
      code: details.code,
      message: bounded(details.message),
      ...(details.hint === undefined ? {} : { hint: bounded(details.hint) }),
    }
    this.#found.set(key, { start: details.start, problem })
  }

  /** Whether something at this place or below it is wrong. */
  touches(start: number, end: number): boolean {
    return [...this.#found.values()].some((found) => found.start >= start && found.start < end)
  }

  throwIfAny(): void {
    if (this.#found.size === 0) return
    const sorted = [...this.#found.values()].sort((a, b) => a.start - b.start)
    throw new ConfigError(sorted.map((found) => found.problem))
  }
}

/** With its middle left out where it is too long: what is wrong is often said at the end. */
function bounded(text: string): string {
  if (text.length <= kTextMax) return text
  return `${text.slice(0, kTextMax - 200)} … ${text.slice(-200)}`
}
