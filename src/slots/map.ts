/** A slot that holds a map: each key is published, decoded and cached by itself. */

import { argumentError } from '../arguments.ts'
import { MillraceError } from '../errors.ts'
import { Outcome, type SlotId } from '../native/index.ts'
import { inSlices, type Steps } from '../slices.ts'
import { Changes } from './changes.ts'
import { type Encoded, encode } from './codec.ts'
import { closedError, native, type Part } from './part.ts'
import type { DeepReadonly } from './readonly.ts'
import { checkOptions, Publication, type PublishOptions } from './taken.ts'

type Key<T> = keyof T & string

interface Cached {
  /** Of the slot, when this was last found to be so. */
  version: number
  /** Which bytes in native memory; they do not change with a version that leaves the key alone. */
  blob: number
  value: unknown
}

/** Decoded values of keys that are gone are swept out when there are more than this, and as many
 * again as the map has keys. */
const SWEEP_AT = 64

/** A map as any thread reads it: all keys as of one version, for the whole turn. */
export class ReadableSlotMap<T> implements AsyncIterable<ReadableSlotMap<T>> {
  readonly name: string
  protected readonly part: Part
  protected readonly id: SlotId
  protected readonly index: number
  readonly #cache = new Map<string, Cached>()
  #keys: readonly string[] = []
  #keysOf = 0

  /** Made by slots. */
  constructor(part: Part, id: SlotId, name: string) {
    this.part = part
    this.id = id
    this.index = part.admit(id)
    this.name = name
  }

  /** The key's value, frozen; undefined where there is none. Decoded when it is first asked for. */
  get<K extends Key<T>>(key: K): DeepReadonly<T[K]> | undefined {
    const cached = this.#cache.get(key)
    if (cached !== undefined && cached.version === this.part.words[this.index]) {
      return cached.value as DeepReadonly<T[K]>
    }
    return this.#refresh(key, cached) as DeepReadonly<T[K]> | undefined
  }

  #refresh(key: string, cached: Cached | undefined): unknown {
    if (typeof key !== 'string') throw argumentError('key', 'a string is wanted')
    this.part.unpark()
    const memory = native(() => this.part.native.readKey(this.id, key, cached?.blob ?? 0))
    const { outcome } = this.part
    if (outcome === Outcome.otherKind) throw this.#kindError()
    if (outcome === Outcome.nothing) {
      this.#cache.delete(key)
      return undefined
    }
    const version = this.part.words[this.index] as number
    if (cached !== undefined && outcome === Outcome.same) {
      cached.version = version
      return cached.value
    }
    const { blob } = this.part
    const value = this.part.decode(memory)
    this.#cache.set(key, { version, blob, value })
    if (this.#cache.size > SWEEP_AT && this.#cache.size > 2 * this.size) this.#sweep()
    return value
  }

  #sweep(): void {
    const present = new Set<string>(this.#list())
    for (const key of this.#cache.keys()) if (!present.has(key)) this.#cache.delete(key)
  }

  has(key: Key<T>): boolean {
    return this.get(key) !== undefined || this.#list().includes(key)
  }

  get size(): number {
    this.part.unpark()
    const size = native(() => this.part.native.size(this.id))
    if (this.part.outcome === Outcome.otherKind) throw this.#kindError()
    return size
  }

  /** Of the slot: one more with each change. */
  get version(): number {
    return this.part.version(this.index)
  }

  #list(): readonly string[] {
    const { version } = this
    if (this.#keysOf !== version) {
      this.#keys = native(() => this.part.native.keys(this.id)) ?? []
      if (this.part.outcome === Outcome.otherKind) throw this.#kindError()
      this.#keysOf = version
    }
    return this.#keys
  }

  /** In the order in which they were first set. */
  *keys(): IterableIterator<Key<T>> {
    for (const key of this.#list()) yield key as Key<T>
  }

  /** Decodes as it goes. */
  *entries(): IterableIterator<[Key<T>, DeepReadonly<T[Key<T>]>]> {
    for (const key of this.keys()) {
      const value = this.get(key)
      if (value !== undefined || this.#list().includes(key))
        yield [key, value as DeepReadonly<T[Key<T>]>]
    }
  }

  *values(): IterableIterator<DeepReadonly<T[Key<T>]>> {
    for (const [, value] of this.entries()) yield value
  }

  [Symbol.iterator](): IterableIterator<[Key<T>, DeepReadonly<T[Key<T>]>]> {
    return this.entries()
  }

  /** Yields this map after each change, or after several. */
  [Symbol.asyncIterator](): AsyncIterableIterator<this, undefined> {
    return new Changes(this.part, this.index, () => this)
  }

  #kindError(): MillraceError {
    return new MillraceError('ERR_MILLRACE_SLOT_KIND', `slot '${this.name}' holds a value`, {
      path: this.name,
      hint: 'A slot stays what it was first used as: use slot.get().',
    })
  }
}

/** A map as its owner has it. What is changed shows, here too, with the next turn. */
export class SlotMap<T> extends ReadableSlotMap<T> {
  readonly #claim: () => void

  constructor(part: Part, id: SlotId, name: string, claim: () => void) {
    super(part, id, name)
    this.#claim = claim
  }

  /** Publishes one key; the others are neither encoded nor copied. */
  set<K extends Key<T>>(key: K, value: T[K], options?: PublishOptions): Publication {
    this.#check(key, options)
    const { bytes, parts } = this.#encode(key, value)
    this.#claim()
    const version = native(() => this.part.native.setKey(this.id, bytes, parts, key))
    return new Publication(this.part, this.part.staged(), version, options)
  }

  #encode(key: string, value: unknown): Encoded {
    return encode(value, () => `slot '${this.name}', key ${JSON.stringify(key)}`)
  }

  /**
   * Sets each property as a key; what is not named stays. All in one turn: for many thousands of
   * keys there is {@link load}.
   */
  assign(values: Partial<T>, options?: PublishOptions): Publication {
    if (typeof values !== 'object' || values === null) {
      throw argumentError('values', 'an object is wanted')
    }
    if (Symbol.iterator in values || Symbol.asyncIterator in values) {
      throw argumentError('values', 'an object is wanted: load() takes [key, value] pairs')
    }
    this.#check('', options)
    const encoded = Object.entries(values).map(
      ([key, value]) => [key, this.#encode(key, value)] as const,
    )
    this.#claim()
    let version = this.version
    for (const [key, { bytes, parts }] of encoded) {
      version = native(() => this.part.native.setKey(this.id, bytes, parts, key))
    }
    return new Publication(this.part, this.part.staged(), version, options)
  }

  /**
   * As {@link assign}, of an object or of `[key, value]` pairs, in slices of a few milliseconds
   * between which the event loop turns; then all keys are published together. Where encoding or the
   * signal ends it before that, nothing was set; a `timeout` only ends the waiting for threads.
   */
  async load(
    values: Partial<T> | Iterable<readonly [Key<T>, T[Key<T>]]>,
    options?: PublishOptions,
  ): Promise<void> {
    if (typeof values !== 'object' || values === null) {
      throw argumentError('values', 'an object, or an iterable of pairs, is wanted')
    }
    if (Symbol.asyncIterator in values && !(Symbol.iterator in values)) {
      throw argumentError(
        'values',
        'pairs are wanted that are there at once, not an async iterable',
      )
    }
    this.#check('', options)
    const pairs = Symbol.iterator in values ? values : Object.entries(values)
    const draft = this.part.nextDraft()
    const signal = options?.signal
    const steps = this.#draft(draft, pairs as Iterable<readonly [string, unknown]>)
    try {
      await inSlices(steps, () => {
        if (this.part.closed) return closedError()
        return signal?.aborted ? (signal.reason as Error) : undefined
      })
      this.#claim()
    } catch (error) {
      this.part.native.dropDraft(draft)
      steps.return() // lets the iterable end, where it was left
      throw error
    }
    const version = native(() => this.part.native.stageDraft(this.id, draft))
    await new Publication(this.part, this.part.staged(), version, options)
  }

  *#draft(draft: number, pairs: Iterable<readonly [string, unknown]>): Steps<void> {
    for (const [key, value] of pairs) {
      if (typeof key !== 'string') throw argumentError('values', 'a key that is a string is wanted')
      const { bytes, parts } = this.#encode(key, value)
      native(() => this.part.native.draftKey(draft, bytes, parts, key))
      yield
    }
  }

  /** No key, no change. */
  delete(key: Key<T>, options?: PublishOptions): Publication {
    this.#check(key, options)
    this.#claim()
    const version = native(() => this.part.native.deleteKey(this.id, key)) || this.version
    return new Publication(this.part, this.part.staged(), version, options)
  }

  clear(options?: PublishOptions): Publication {
    this.#check('', options)
    this.#claim()
    const version = native(() => this.part.native.clearMap(this.id))
    return new Publication(this.part, this.part.staged(), version, options)
  }

  #check(key: string, options: PublishOptions | undefined): void {
    this.part.assertWritable()
    if (typeof key !== 'string') throw argumentError('key', 'a string is wanted')
    checkOptions(options)
  }
}
