/**
 * Where each message of a checked configuration was written, so that the compiler can point at it.
 */

import type { ProblemCode } from '../problem.ts'
import type { Problems } from '../problems.ts'
import type { MessageSchema } from '../schema/schema.ts'
import { childPath, entryOf, type MapEntry, type SourceNode } from '../source/tree.ts'

interface FieldOrigin {
  readonly entry: MapEntry
  readonly path: string
}

export interface Origin {
  readonly node: SourceNode
  readonly path: string
  /** Of the message; absent: it is JSON of any form. */
  readonly schema?: MessageSchema
}

/** Steps from a message: a field, and an index or a key of it. */
export type Place = readonly [field: string, item?: number]

interface Spot {
  readonly path: string
  readonly start: number
  readonly end: number
}

export class Origins {
  readonly #problems: Problems
  /** There are as many as there are messages: no more is kept of each than is needed to look. */
  readonly #origins = new Map<object, Origin>()

  constructor(problems: Problems) {
    this.#problems = problems
  }

  set(message: object, origin: Origin): void {
    this.#origins.set(message, origin)
  }

  get(message: object): Origin | undefined {
    return this.#origins.get(message)
  }

  /** Says that a field of a message (or the message itself) is wrong. */
  add(
    message: object,
    place: Place | undefined,
    code: ProblemCode,
    text: string,
    hint?: string,
  ): void {
    this.#problems.add({ code, message: text, hint, ...this.#spot(message, place) })
  }

  /** As `add`, for a part of a text: `from` to `to` count characters of the field's value. */
  addInText(
    message: object,
    place: Place,
    range: readonly [from: number, to: number],
    text: string,
    hint?: string,
  ): void {
    this.#addInNode(this.#spot(message, place), this.#node(message, place), range, text, hint)
  }

  /** As `addInText`, for a text within a JSON object that was read as it is. */
  addInStruct(
    struct: object,
    path: readonly (string | number)[],
    range: readonly [from: number, to: number],
    text: string,
    hint?: string,
  ): void {
    const { node, spot } = this.#inStruct(struct, path)
    this.#addInNode(spot, node, range, text, hint)
  }

  /** Says that a value within a JSON object that was read as it is is wrong. */
  addAtStruct(struct: object, path: readonly (string | number)[], text: string): void {
    this.#problems.add({ code: 'bad-value', message: text, ...this.#inStruct(struct, path).spot })
  }

  #inStruct(
    struct: object,
    path: readonly (string | number)[],
  ): { node: SourceNode | undefined; spot: Spot } {
    const origin = this.#origins.get(struct)
    let node = origin?.node
    let where = origin?.path ?? ''
    for (const step of path) {
      if (typeof step === 'number') node = node?.kind === 'list' ? node.items[step] : undefined
      else node = node?.kind === 'map' ? entryOf(node, step)?.value : undefined
      where = typeof step === 'number' ? `${where}[${step}]` : childPath(where, step)
    }
    return { node, spot: { path: where, start: node?.start ?? 0, end: node?.end ?? 1 } }
  }

  #addInNode(
    spot: Spot,
    node: SourceNode | undefined,
    range: readonly [from: number, to: number],
    text: string,
    hint: string | undefined,
  ): void {
    const quote = node?.kind === 'scalar' && node.quoted ? 1 : 0
    const length = node?.kind === 'scalar' ? node.text.length + 2 * quote : -1
    // Only where the text stands as it is (one line, no escapes) does an offset in it say where it
    // is.
    if (spot.end - spot.start !== length) {
      const message = `${text} (at character ${range[0] + 1})`
      this.#problems.add({ code: 'bad-value', message, hint, ...spot })
      return
    }
    const start = spot.start + quote + range[0]
    const end = start + Math.max(1, range[1] - range[0])
    this.#problems.add({ code: 'bad-value', message: text, hint, path: spot.path, start, end })
  }

  /**
   * Says that something is missing in a message, unless something in the message is wrong already.
   */
  addMissing(message: object, text: string, hint?: string): void {
    if (!this.isTouched(message)) this.add(message, undefined, 'missing', text, hint)
  }

  /** Whether a field was written, and could not be taken. */
  wasRefused(message: object, field: string): boolean {
    const written = this.#field(message, field) !== undefined
    return written && (message as Readonly<Record<string, unknown>>)[field] === undefined
  }

  /**
   * Whether something in a message is wrong, so that what would follow from it need not be said.
   */
  isTouched(message: object): boolean {
    const node = this.#origins.get(message)?.node
    return node !== undefined && this.#problems.touches(node.start, node.end)
  }

  /** Where a field was written; `name`: as in the `.proto` file. */
  #field(message: object, name: string): FieldOrigin | undefined {
    const { node, path, schema } = this.#origins.get(message) ?? {}
    if (node?.kind !== 'map' || schema === undefined) return undefined
    const entry = node.entries.find(({ key }) => schema.byName.get(key)?.name === name)
    return entry && { entry, path: entry.value.path ?? childPath(path ?? '', entry.key) }
  }

  #node(message: object, [field, item]: Place): SourceNode | undefined {
    const value = this.#field(message, field)?.entry.value
    return item !== undefined && value?.kind === 'list' ? value.items[item] : value
  }

  #spot(message: object, place: Place | undefined): Spot {
    const origin = this.#origins.get(message)
    if (origin === undefined) return { path: '', start: 0, end: 1 }
    const field = place === undefined ? undefined : this.#field(message, place[0])
    if (field === undefined || place === undefined) {
      const { start, end } = origin.node
      return { path: origin.path, start, end }
    }
    const item = place[1]
    const node = this.#node(message, place) ?? field.entry.value
    const path = node.path ?? (item === undefined ? field.path : `${field.path}[${item}]`)
    return { path, start: node.start, end: node.end }
  }
}
