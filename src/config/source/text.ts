/** The text of a configuration, and where in it an offset is. */

import type { Problem } from '../problem.ts'

export class SourceText {
  /** What stands in front of line and column in errors. */
  readonly name: string
  readonly text: string
  #lineStarts: readonly number[] | undefined

  constructor(name: string, text: string) {
    this.name = name
    this.text = text
  }

  /**
   * Line, column and the line's text, as a problem carries them; `end` is behind the last character
   * that is meant.
   */
  locate(start: number, end: number): Pick<Problem, 'file' | 'line' | 'column' | 'source'> {
    const starts = this.#starts()
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((starts[middle] ?? 0) <= start) low = middle
      else high = middle - 1
    }
    const lineStart = starts[low] ?? 0
    const lineEnd = low + 1 < starts.length ? (starts[low + 1] ?? 0) - 1 : this.text.length
    const text = this.text.slice(lineStart, lineEnd).replace(/\r$/, '')
    return {
      file: this.name,
      line: low + 1,
      column: start - lineStart + 1,
      source: { text, length: Math.max(1, Math.min(end, lineEnd) - start) },
    }
  }

  #starts(): readonly number[] {
    if (this.#lineStarts === undefined) {
      const starts = [0]
      for (let at = this.text.indexOf('\n'); at >= 0; at = this.text.indexOf('\n', at + 1)) {
        starts.push(at + 1)
      }
      this.#lineStarts = starts
    }
    return this.#lineStarts
  }
}
