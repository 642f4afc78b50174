/**
 * JSON to a source tree. YAML's parser takes JSON too, but a hundred times slower, and loading it
 * is a good part of the start; so what is JSON as it should be is read here, and everything else is
 * YAML's.
 */

import type { MapEntry, SourceNode } from './tree.ts'

/** As deep as YAML may be; what is deeper is left to YAML's parser, which says so. */
const kDepthMax = 100

/**
 * The tree, or undefined when the text is not plain JSON: its errors, and repeated keys, are YAML's
 * to say.
 */
export function parseJson(text: string): SourceNode | undefined {
  if (!/^\s*[{[]/.test(text)) return undefined
  return new JsonReader(text).read()
}

const kSpace = /[ \t\r\n]*/y
// Control characters are left to YAML's parser too.
const kString = /"(?:[^"\\\p{Cc}]+|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"/uy
const kLiteral = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)/y

class JsonReader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  read(): SourceNode | undefined {
    const node = this.#value(0)
    this.#take(kSpace)
    return this.#at === this.#text.length ? node : undefined
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    if (found !== undefined) this.#at += found.length
    return found
  }

  /** Whether the next character that is no space is this one; it is passed then. */
  #takeMark(mark: string): boolean {
    this.#take(kSpace)
    if (this.#text[this.#at] !== mark) return false
    this.#at++
    return true
  }

  #value(depth: number): SourceNode | undefined {
    if (depth > kDepthMax) return undefined
    this.#take(kSpace)
    const start = this.#at
    if (this.#takeMark('{')) return this.#map(start, depth)
    if (this.#takeMark('[')) return this.#list(start, depth)
    const string = this.#take(kString)
    if (string !== undefined) {
      const value = JSON.parse(string) as string
      return { kind: 'scalar', value, text: value, quoted: true, start, end: this.#at }
    }
    const literal = this.#take(kLiteral)
    if (literal === undefined) return undefined
    const value = JSON.parse(literal) as number | boolean | null
    return { kind: 'scalar', value, text: literal, quoted: false, start, end: this.#at }
  }

  #map(start: number, depth: number): SourceNode | undefined {
    const entries: MapEntry[] = []
    const keys = new Set<string>()
    if (this.#takeMark('}')) return { kind: 'map', entries, start, end: this.#at }
    do {
      this.#take(kSpace)
      const keyStart = this.#at
      const string = this.#take(kString)
      if (string === undefined) return undefined
      const key = JSON.parse(string) as string
      const keyEnd = this.#at
      if (keys.has(key) || !this.#takeMark(':')) return undefined
      keys.add(key)
      const value = this.#value(depth + 1)
      if (value === undefined) return undefined
      entries.push({ key, keyStart, keyEnd, value })
    } while (this.#takeMark(','))
    return this.#takeMark('}') ? { kind: 'map', entries, start, end: this.#at } : undefined
  }

  #list(start: number, depth: number): SourceNode | undefined {
    const items: SourceNode[] = []
    if (this.#takeMark(']')) return { kind: 'list', items, start, end: this.#at }
    do {
      const item = this.#value(depth + 1)
      if (item === undefined) return undefined
      items.push(item)
    } while (this.#takeMark(','))
    return this.#takeMark(']') ? { kind: 'list', items, start, end: this.#at } : undefined
  }
}
