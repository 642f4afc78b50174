/**
 * Values as bytes: V8's serialisation of everything but binary data, which stays as it is beside
 * those bytes, aligned, so that a reader gets views of the memory that holds it.
 */

import { types } from 'node:util'
import { Deserializer, Serializer } from 'node:v8'
import { kindOf } from '../arguments.ts'
import { MillraceError } from '../errors.ts'
import { PART_ALIGNMENT } from '../native/index.ts'

export interface Encoded {
  readonly bytes: Buffer
  readonly parts: readonly Uint8Array[]
}

type ViewMaker = (buffer: ArrayBuffer, offset: number, bytes: number) => ArrayBufferView
interface TypedArrayMaker {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBuffer, offset: number, length: number): ArrayBufferView
}

/** A kind of view by its name; its number in the bytes is its place here. */
const VIEWS: readonly (readonly [string, ViewMaker])[] = [
  ['Buffer', (buffer, offset, bytes): Buffer => Buffer.from(buffer, offset, bytes)],
  ['DataView', (buffer, offset, bytes): DataView => new DataView(buffer, offset, bytes)],
  ...[
    'Uint8Array',
    'Int8Array',
    'Uint8ClampedArray',
    'Uint16Array',
    'Int16Array',
    'Uint32Array',
    'Int32Array',
    'Float32Array',
    'Float64Array',
    'BigUint64Array',
    'BigInt64Array',
    'Float16Array',
  ].map((name): readonly [string, ViewMaker] => {
    const Made = (globalThis as unknown as Record<string, TypedArrayMaker | undefined>)[name]
    return [
      name,
      (buffer, offset, bytes): ArrayBufferView => {
        if (Made === undefined) throw new TypeError(`this version of Node has no ${name}`)
        return new Made(buffer, offset, bytes / Made.BYTES_PER_ELEMENT)
      },
    ]
  }),
]
const KINDS: ReadonlyMap<string, number> = new Map(VIEWS.map(([name], i) => [name, i]))

const SHARED =
  'a view of a SharedArrayBuffer could not be cloned: it would be a copy that is shared no more; ' +
  'publish view.slice().'

const align = (size: number): number => Math.ceil(size / PART_ALIGNMENT) * PART_ALIGNMENT

class Encoder extends Serializer {
  readonly parts: Uint8Array[] = []
  #offset = 0

  constructor() {
    super()
    const self = this as unknown as { _setTreatArrayBufferViewsAsHostObjects(on: boolean): void }
    self._setTreatArrayBufferViewsAsHostObjects(true)
  }

  /** Called by V8 for views and for what it cannot write itself. */
  _writeHostObject(object: object): void {
    if (!ArrayBuffer.isView(object)) throw new TypeError(`${nameOf(object)} could not be cloned.`)
    const kind = KINDS.get(Buffer.isBuffer(object) ? 'Buffer' : nameOf(object))
    if (kind === undefined) throw new TypeError(`${nameOf(object)} could not be cloned.`)
    const { buffer, byteOffset, byteLength } = object
    if (types.isSharedArrayBuffer(buffer)) throw new TypeError(SHARED)
    const bytes = new Uint8Array(buffer, byteOffset, byteLength)
    this.writeUint32(kind)
    this.writeDouble(this.#offset)
    this.writeDouble(byteLength)
    this.parts.push(bytes)
    this.#offset += align(byteLength)
  }
}

class Decoder extends Deserializer {
  #memory: ArrayBuffer | undefined
  #partsOffset: number

  constructor(bytes: Uint8Array, memory: ArrayBuffer | undefined, partsOffset: number) {
    super(bytes as Buffer)
    this.#memory = memory
    this.#partsOffset = partsOffset
  }

  /** Called by V8 where {@link Encoder._writeHostObject} was. */
  _readHostObject(): ArrayBufferView {
    const make = VIEWS[this.readUint32()]?.[1]
    const offset = this.#partsOffset + this.readDouble()
    const bytes = this.readDouble()
    if (make === undefined) throw new TypeError('an unknown kind of binary data')
    // All parts may be empty: then there is no memory behind the bytes.
    return make(
      bytes === 0 ? new ArrayBuffer(0) : (this.#memory as ArrayBuffer),
      bytes === 0 ? 0 : offset,
      bytes,
    )
  }
}

function nameOf(object: object): string {
  return Object.prototype.toString.call(object).slice('[object '.length, -1)
}

/** `where`: how messages name the value, e.g. `slot 'rules'`. */
export function encode(value: unknown, where: () => string): Encoded {
  const encoder = new Encoder()
  try {
    encoder.writeHeader()
    encoder.writeValue(value)
    return { bytes: encoder.releaseBuffer(), parts: encoder.parts }
  } catch (cause) {
    const path = culprit(value)
    const what = cause instanceof Error ? cause.message : kindOf(cause)
    throw new MillraceError(
      'ERR_MILLRACE_VALUE_NOT_CLONEABLE',
      `${where()}: ${path === undefined || path === '' ? 'the value' : path}: ${what}`,
      {
        ...(path === undefined ? {} : { path }),
        hint: 'Publish data: no functions, symbols, proxies, nor objects that belong to a thread.',
        cause,
      },
    )
  }
}

export function decode(
  bytes: Uint8Array,
  memory: ArrayBuffer | undefined,
  partsOffset: number,
): unknown {
  const decoder = new Decoder(bytes, memory, partsOffset)
  decoder.readHeader()
  return freeze(decoder.readValue())
}

/**
 * Freezes objects and arrays all the way down. What the language cannot freeze stays as it is:
 * binary views, and the contents of Map, Set and Date.
 */
function freeze(root: unknown): unknown {
  if (typeof root !== 'object' || root === null) return root
  const todo: object[] = [root]
  const add = (value: unknown): void => {
    if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) todo.push(value)
  }
  for (let object = todo.pop(); object !== undefined; object = todo.pop()) {
    if (ArrayBuffer.isView(object)) continue
    Object.freeze(object)
    if (Array.isArray(object)) object.forEach(add)
    else if (object instanceof Map) {
      for (const [key, value] of object) {
        add(key)
        add(value)
      }
    } else if (object instanceof Set) object.forEach(add)
    else for (const key of Object.keys(object)) add((object as Record<string, unknown>)[key])
    if (object instanceof Error) add(object.cause)
  }
  return root
}

/** Where in a value the first thing is that cannot be cloned; undefined: not found. */
function culprit(root: unknown): string | undefined {
  const seen = new Set<object>()
  const todo: (readonly [unknown, string])[] = [[root, '']]
  const alone: (readonly [object, string])[] = []
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const [value, path] = next
    if (typeof value === 'function' || typeof value === 'symbol' || types.isProxy(value))
      return path
    if (typeof value !== 'object' || value === null || seen.has(value)) continue
    seen.add(value)
    if (ArrayBuffer.isView(value)) {
      if (types.isSharedArrayBuffer(value.buffer)) return path
      continue
    }
    try {
      const inner = children(value, path)
      if (inner.length === 0) alone.push([value, path])
      todo.push(...inner.reverse())
    } catch {
      return path // a getter that throws
    }
  }
  return alone.find(([value]) => !cloneable(value))?.[1]
}

function children(value: object, path: string): (readonly [unknown, string])[] {
  if (Array.isArray(value)) return value.map((item, i) => [item, `${path}[${i}]`])
  if (value instanceof Map) {
    return [...value].flatMap(([key, item], i) => [
      [key, `${path}.keys()[${i}]`],
      [item, `${path}.get(${typeof key === 'string' ? JSON.stringify(key) : String(key)})`],
    ])
  }
  if (value instanceof Set) return [...value].map((item, i) => [item, `${path}.values()[${i}]`])
  return Object.keys(value).map((key) => {
    const step = /^[\w$]+$/.test(key)
      ? `${path === '' ? '' : '.'}${key}`
      : `[${JSON.stringify(key)}]`
    return [(value as Record<string, unknown>)[key], `${path}${step}`]
  })
}

function cloneable(value: object): boolean {
  try {
    const encoder = new Encoder()
    encoder.writeValue(value)
    return true
  } catch {
    return false
  }
}
