/** Feature flags over one slot: read millions of times, changed now and then. */

import { argumentError } from '../arguments.ts'
import { MillraceError } from '../errors.ts'
import { ReadableSlot, Slot } from './slot.ts'
import type { Publication, PublishOptions } from './taken.ts'

/** A percentage is a number from 0 to 100, of any fineness. */
export type FlagValue = boolean | number
export type FlagValues = Readonly<Record<string, FlagValue>>

/** 2^32: hashes are below. */
const HASH_RANGE = 0x1_0000_0000

/**
 * The flags of one slot. Ask for a flag once and keep what is returned: reading that is what is
 * fast. A flag that is not set, or is set to a value of another type, is its fallback.
 */
export class RuntimeFlags {
  readonly slot: ReadableSlot<FlagValues>
  #set: Record<string, FlagValue> | undefined

  /** The owner passes what `table.allocate()` gave, others what `table.slot()` gives. */
  constructor(slot: ReadableSlot<FlagValues>) {
    if (!(slot instanceof ReadableSlot)) throw argumentError('slot', 'a slot is wanted')
    this.slot = slot
  }

  /** The owner: sets these, leaves the others. */
  set(values: FlagValues, options?: PublishOptions): Publication {
    if (typeof values !== 'object' || values === null) {
      throw argumentError('values', 'an object is wanted')
    }
    const entries = Object.entries(values)
    for (const [name, value] of entries) {
      if (typeof value === 'boolean' || Number.isFinite(value)) continue
      throw argumentError(`values.${name}`, 'a boolean or a finite number is wanted')
    }
    return this.#publish({ ...this.#all(), ...Object.fromEntries(entries) }, options)
  }

  /** The owner: the flag is its fallback again. */
  delete(name: string, options?: PublishOptions): Publication {
    const { [name]: _, ...rest } = this.#all()
    return this.#publish(rest, options)
  }

  /** What is set, as this thread sees it. */
  get values(): FlagValues {
    return this.slot.get() ?? {}
  }

  /** What was set last, shown already or not. */
  #all(): FlagValues {
    return this.#set ?? this.values
  }

  #publish(values: Record<string, FlagValue>, options: PublishOptions | undefined): Publication {
    if (!(this.slot instanceof Slot)) {
      throw new MillraceError('ERR_MILLRACE_SLOT_READ_ONLY', 'only the owner sets flags', {
        hint: 'Make RuntimeFlags from table.allocate() in the thread that made the table.',
      })
    }
    const publication = this.slot.set(values, options)
    this.#set = values
    return publication
  }

  boolean(name: string, fallback = false): RuntimeFlag<boolean> {
    if (typeof fallback !== 'boolean') throw argumentError('fallback', 'a boolean is wanted')
    return new RuntimeFlag(this.slot, name, fallback)
  }

  number(name: string, fallback = 0): RuntimeFlag<number> {
    if (!Number.isFinite(fallback)) throw argumentError('fallback', 'a finite number is wanted')
    return new RuntimeFlag(this.slot, name, fallback)
  }

  /** A part of all keys: users, requests, hosts. */
  percent(name: string, fallback = 0): PercentFlag {
    if (!Number.isFinite(fallback)) throw argumentError('fallback', 'a finite number is wanted')
    return new PercentFlag(this.slot, name, fallback)
  }
}

/** One flag: its value, and the version of the slot that it was taken from. */
export class RuntimeFlag<V extends FlagValue> {
  readonly name: string
  readonly #slot: ReadableSlot<FlagValues>
  readonly #fallback: V
  #version = -1
  #value: V

  constructor(slot: ReadableSlot<FlagValues>, name: string, fallback: V) {
    if (typeof name !== 'string' || name === '') throw argumentError('name', 'a string is wanted')
    this.name = name
    this.#slot = slot
    this.#fallback = fallback
    this.#value = fallback
  }

  get value(): V {
    return this.#slot.version === this.#version ? this.#value : this.#refresh()
  }

  #refresh(): V {
    const values = this.#slot.get() ?? {}
    const value = Object.hasOwn(values, this.name) ? values[this.name] : undefined
    this.#value = typeof value === typeof this.#fallback ? (value as V) : this.#fallback
    this.#version = this.#slot.version
    return this.#value
  }
}

/** Has a flag rather than being one: V8 reads objects of one shape faster than those of two. */
export class PercentFlag {
  readonly name: string
  readonly #flag: RuntimeFlag<number>
  /** The hash of the name and a separator, from which each key's goes on. */
  readonly #seed: number
  #lastKey: string | number = ''
  #lastHash: number

  constructor(slot: ReadableSlot<FlagValues>, name: string, fallback: number) {
    this.name = name
    this.#flag = new RuntimeFlag(slot, name, fallback)
    this.#seed = fnv1a(`${name}:`, FNV_OFFSET)
    this.#lastHash = stableHash('', this.#seed)
  }

  /** The percentage. */
  get value(): number {
    return this.#flag.value
  }

  /**
   * Whether the key is in. The same for the same flag, percentage and key, in every thread and
   * process; with a higher percentage, whoever was in stays in. A number counts as its text.
   */
  enabled(key: string | number): boolean {
    const percent = this.#flag.value
    if (percent <= 0) return false
    if (percent >= 100) return true
    if (key !== this.#lastKey) {
      if (typeof key !== 'string' && typeof key !== 'number') {
        throw argumentError('key', 'a string or a number is wanted')
      }
      this.#lastHash = stableHash(String(key), this.#seed)
      this.#lastKey = key
    }
    return this.#lastHash < (percent / 100) * HASH_RANGE
  }
}

const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193

/** FNV-1a over UTF-16 code units: a whole unit is one step. */
function fnv1a(text: string, seed: number): number {
  let hash = seed
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME)
  return hash
}

/** FNV-1a, then MurmurHash3's last mixing, so that all bits count: 0 ≤ hash < 2^32. */
function stableHash(text: string, seed: number): number {
  let hash = fnv1a(text, seed)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
