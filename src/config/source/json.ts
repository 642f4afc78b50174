/**
 * JSON to a source tree. YAML's parser takes JSON too, but a hundred times slower, and loading it
 * is a good part of the start; so what is JSON as it should be is read here, and everything else is
 * YAML's.
 */

import type { Steps } from '../../slices.ts'
import type { MapEntry, SourceNode } from './tree.ts'

/** As deep as YAML may be; what is deeper is left to YAML's parser, which says so. */
const kDepthMax = 100

/**
 * The tree, or undefined when the text is not plain JSON: its errors, and repeated keys, are YAML's
 * to say.
 */
export function* parseJson(text: string): Steps<SourceNode | undefined> {
  if (!/^\s*[{[]/.test(text)) return undefined
  return yield* new JsonReader(text).read()
}

const [kSpace, kTab, kLine, kReturn] = [32, 9, 10, 13]
// Parts of a string, taken one after another: one expression for all of it would try the ways to
// divide a long part when the end does not come. Control characters are left to YAML's parser too.
const kPlain = /[^"\\\p{Cc}]*/uy
const kEscape = /\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})/y
const kLiteral = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)/y

class JsonReader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  *read(): Steps<SourceNode | undefined> {
    const node = yield* this.#value(0)
    this.#skipSpace()
    return this.#at === this.#text.length ? node : undefined
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    if (!pattern.test(this.#text)) return undefined
    const found = this.#text.slice(this.#at, pattern.lastIndex)
    this.#at = pattern.lastIndex
    return found
  }

  /** A string as it is written, quotes included. */
  #takeString(): string | undefined {
    const start = this.#at
    if (this.#text[this.#at] !== '"') return undefined
    this.#at++
    do this.#take(kPlain)
    while (this.#take(kEscape) !== undefined)
    if (this.#text[this.#at] !== '"') {
      this.#at = start
      return undefined
    }
    this.#at++
    return this.#text.slice(start, this.#at)
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== kSpace && code !== kTab && code !== kLine && code !== kReturn) return
      this.#at++
    }
  }

  /** Whether the next character that is no space is this one; it is passed then. */
  #takeMark(mark: string): boolean {
    this.#skipSpace()
    if (this.#text[this.#at] !== mark) return false
    this.#at++
    return true
  }

  *#value(depth: number): Steps<SourceNode | undefined> {
    if (depth > kDepthMax) return undefined
    this.#skipSpace()
    const start = this.#at
    if (this.#takeMark('{')) return yield* this.#map(start, depth)
    if (this.#takeMark('[')) return yield* this.#list(start, depth)
    return this.#scalar(start)
  }

  #scalar(start: number): SourceNode | undefined {
    const string = this.#takeString()
    if (string !== undefined) {
      const value = JSON.parse(string) as string
      return { kind: 'scalar', value, text: value, quoted: true, start, end: this.#at }
    }
    const literal = this.#take(kLiteral)
    if (literal === undefined) return undefined
    const value = JSON.parse(literal) as number | boolean | null
    return { kind: 'scalar', value, text: literal, quoted: false, start, end: this.#at }
  }

  *#map(start: number, depth: number): Steps<SourceNode | undefined> {
    const entries: MapEntry[] = []
    const keys = new Set<string>()
    if (this.#takeMark('}')) return { kind: 'map', entries, start, end: this.#at }
    do {
      this.#skipSpace()
      const keyStart = this.#at
      const string = this.#takeString()
      if (string === undefined) return undefined
      const key = JSON.parse(string) as string
      const keyEnd = this.#at
      if (keys.has(key) || !this.#takeMark(':')) return undefined
      keys.add(key)
      const value = yield* this.#value(depth + 1)
      if (value === undefined) return undefined
      entries.push({ key, keyStart, keyEnd, value })
    } while (this.#takeMark(','))
    return this.#takeMark('}') ? { kind: 'map', entries, start, end: this.#at } : undefined
  }

  *#list(start: number, depth: number): Steps<SourceNode | undefined> {
    const items: SourceNode[] = []
    if (this.#takeMark(']')) return { kind: 'list', items, start, end: this.#at }
    do {
      const item = yield* this.#value(depth + 1)
      if (item === undefined) return undefined
      items.push(item)
      yield
    } while (this.#takeMark(','))
    return this.#takeMark(']') ? { kind: 'list', items, start, end: this.#at } : undefined
  }
}
