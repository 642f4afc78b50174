/** What can be wrong with a configuration, and the error that carries all of it at once. */

import { MillraceError } from '../errors.ts'

export type ProblemCode =
  /** The file cannot be read, is not text, or is too large. */
  | 'unreadable'
  /** Not YAML or JSON. */
  | 'syntax'
  /** A key that appears twice, a name or an address that is taken. */
  | 'duplicate'
  | 'unknown-field'
  | 'unknown-type'
  | 'wrong-type'
  /** Of the right type, but outside of what the field allows. */
  | 'bad-value'
  | 'missing'
  /** Two fields that exclude each other. */
  | 'conflict'
  /** A name that leads nowhere. */
  | 'bad-reference'
  /** Known to Envoy's API, and not built in this version of Millrace. */
  | 'not-supported'

/**
 * One thing that is wrong. Lines and columns count from 1; columns count UTF-16 units, as editors
 * do.
 */
export interface Problem {
  readonly file: string
  readonly line: number
  readonly column: number
  /** In the words of what the user wrote, e.g. `routes["/api"].timeout`; empty: the whole file. */
  readonly path: string
  readonly code: ProblemCode
  readonly message: string
  readonly hint?: string
  /**
   * The line that the position is in, and how many characters of it are meant; absent without a
   * file.
   */
  readonly source?: { readonly text: string; readonly length: number }
}

/** More than these are read in {@link ConfigError.problems}. */
const kProblemsToldMax = 100

/**
 * Every problem that was found, in the order of the file; the message tells the first hundred. The
 * exit code for it is 78 (EX_CONFIG).
 */
export class ConfigError extends MillraceError {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super('ERR_MILLRACE_CONFIG', formatProblems(problems), {
      ...(problems[0]?.path ? { path: problems[0].path } : {}),
      ...(problems[0]?.hint ? { hint: problems[0].hint } : {}),
    })
    this.problems = problems
  }

  /** The form of `--json`: one object for each problem. */
  toJSON(): readonly Omit<Problem, 'source'>[] {
    return this.problems.map(({ source: _source, ...problem }) => problem)
  }
}

function formatProblems(problems: readonly Problem[]): string {
  const told = problems.slice(0, kProblemsToldMax).map((problem) => formatProblem(problem))
  const more = problems.length - told.length
  return [...told, ...(more > 0 ? [`... and ${more} more`] : [])].join('\n')
}

/** `file:line:col: path: what is wrong (hint)`, and under it the line with a caret. */
export function formatProblem(problem: Problem): string {
  const place = `${problem.file}:${problem.line}:${problem.column}: `
  const path = problem.path === '' ? '' : `${problem.path}: `
  const hint = problem.hint === undefined ? '' : ` (${problem.hint})`
  const head = `${place}${path}${problem.message}${hint}`
  if (problem.source === undefined) return head
  return `${head}\n${formatSource(problem.source.text, problem.column, problem.source.length)}`
}

const kExcerptMax = 120

function formatSource(text: string, column: number, length: number): string {
  // A very long line (minified JSON) is shown only around the place that is meant.
  const from = column > kExcerptMax - 20 ? column - 40 : 0
  const excerpt = text.slice(from, from + kExcerptMax)
  const at = column - 1 - from
  // Tabs stay tabs, so that the caret lands under the character in any terminal.
  const indent = excerpt.slice(0, at).replace(/[^\t]/g, ' ')
  const carets = '^'.repeat(Math.max(1, Math.min(length, excerpt.length - at)))
  return `  ${excerpt}\n  ${indent}${carets}`
}
