/**
 * One thread's part in a slot table: the native object, the memory it writes to, and who is to be
 * told of news. Everything in this folder stands on it; it is not for users.
 */

import { isMainThread, threadId } from 'node:worker_threads'
import { argumentError } from '../arguments.ts'
import { MillraceError } from '../errors.ts'
import type { NativeTable, SlotId } from '../native/index.ts'
import { Exchange } from '../native/index.ts'
import { decode } from './codec.ts'

/** Values of up to this size are copied out of native memory to be decoded, 64 KiB. */
const SCRATCH_BYTES = 65_536
const FIRST_WORDS = 64

/** What all tables of this thread share: a read uses it from its call to its decoding. */
const exchange: Float64Array = new Float64Array(Exchange.length)
const scratch: Uint8Array = new Uint8Array(SCRATCH_BYTES)

export interface Interest {
  /** Between two turns: something may have changed. */
  onNews(): void
}

/** What was set in one turn, published together. */
export interface Batch {
  /** Undefined until it is published. */
  generation: number | undefined
}

export function closedError(): MillraceError {
  return new MillraceError('ERR_MILLRACE_TABLE_CLOSED', 'the slot table is closed', {
    hint: 'Its owner closed it, or its owner’s thread ended; what was read stays valid.',
  })
}

/** Errors of the addon as ours; they have a code and a message. */
export function native<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
      throw new MillraceError(error.code, error.message, { cause: error })
    }
    throw error
  }
}

/** Who this thread is, for people: its number, and a name. */
export function identity(name: string | undefined): readonly [number, string] {
  if (name !== undefined && typeof name !== 'string') {
    throw argumentError('options.name', 'a string is wanted')
  }
  return [threadId, name ?? (isMainThread ? 'main' : `worker ${threadId}`)]
}

/** Tables that this thread owns: they live until they are closed, whoever holds them. */
const owned: Set<Part> = new Set()

export class Part {
  readonly native: NativeTable
  readonly owner: boolean
  /** The version of each slot; NaN everywhere while parked, and once a reader has closed it. */
  words: Float64Array
  closedHere = false
  #interests = new Set<Interest>()
  #waiting = 0
  #warnedAt = Number.NEGATIVE_INFINITY
  #batch: Batch | undefined

  constructor(table: NativeTable, owner: boolean) {
    this.native = table
    this.owner = owner
    this.words = this.#newWords(FIRST_WORDS)
    if (owner) owned.add(this)
  }

  get closed(): boolean {
    return this.closedHere || this.native.closed()
  }

  /** Whether the last warning of this table is `ms` ago, or there was none: this is the next. */
  mayWarn(ms: number): boolean {
    const now = performance.now()
    if (now - this.#warnedAt < ms) return false
    this.#warnedAt = now
    return true
  }

  /** Makes room for the slot's word. */
  admit(slot: SlotId): number {
    const index = slot & 0xffff
    if (index >= this.words.length)
      this.words = this.#newWords(2 ** Math.ceil(Math.log2(index + 1)))
    return index
  }

  /** Shared memory would do for other threads to write to; here only this thread's core does. */
  #newWords(count: number): Float64Array {
    const words = new Float64Array(new SharedArrayBuffer(count * Float64Array.BYTES_PER_ELEMENT))
    this.native.setBuffers(words, exchange, scratch)
    return words
  }

  /** The version of a slot, by its word. */
  version(index: number): number {
    this.unpark()
    return this.words[index] as number
  }

  /** Takes what is published now, in this turn. Whether there was news. */
  refresh(): boolean {
    if (this.closedHere) return false
    return native(() => this.native.refresh())
  }

  /** A parked thread, whose words are NaN, takes the news before it reads. */
  unpark(): void {
    if (Number.isNaN(this.words[0])) this.refresh()
  }

  park(): void {
    if (this.closedHere) return
    native(() => this.native.park())
  }

  /** How the last read went. */
  get outcome(): number {
    return exchange[Exchange.outcome] as number
  }
  get blob(): number {
    return exchange[Exchange.blob] as number
  }

  /** The value that a read has just found; `memory` is what the read returned. */
  decode(memory: ArrayBuffer | undefined): unknown {
    const bytes = exchange[Exchange.serialised] as number
    const partsOffset = exchange[Exchange.partsOffset] as number
    const source = memory === undefined ? scratch : new Uint8Array(memory)
    try {
      return decode(source.subarray(0, bytes), memory, partsOffset)
    } finally {
      // Without binary parts nothing refers to the memory once it is decoded.
      if (memory !== undefined && partsOffset >= memory.byteLength) this.native.forget(memory)
    }
  }

  /** To change something: this thread must own the table, and it must be open. */
  assertWritable(): void {
    if (!this.owner) {
      throw new MillraceError(
        'ERR_MILLRACE_SLOT_READ_ONLY',
        'only the thread that made a slot table changes it',
        { hint: 'Send the value to the owner, and let it call set().' },
      )
    }
    if (this.closed) throw closedError()
  }

  /** What is staged from here to the end of this turn's code is published together. */
  staged(): Batch {
    if (this.#batch === undefined) {
      this.#batch = { generation: undefined }
      queueMicrotask(() => this.commit())
    }
    return this.#batch
  }

  /** A number for a draft of a map. */
  nextDraft(): number {
    return ++this.#drafts
  }
  #drafts = 0

  commit(): void {
    const batch = this.#batch
    if (batch === undefined || this.closedHere) return
    this.#batch = undefined
    batch.generation = this.native.commit()
    if (this.#waiting > 0) this.#tell()
  }

  listen(interest: Interest): void {
    this.#interests.add(interest)
    if (this.#interests.size === 1) this.native.onNews(() => this.#tell())
  }

  unlisten(interest: Interest): void {
    if (this.#interests.delete(interest) && this.#interests.size === 0) {
      this.native.onNews(undefined)
    }
  }

  /** Someone waits for something that will come: the event loop is kept alive for it. */
  wait(): void {
    if (this.#waiting++ === 0) this.native.keepAlive(true)
  }
  waited(): void {
    if (--this.#waiting === 0) this.native.keepAlive(false)
  }

  /** What a listener throws is nobody's here: it becomes an uncaught exception of its own. */
  #tell(): void {
    for (const interest of [...this.#interests]) {
      try {
        interest.onNews()
      } catch (error) {
        process.nextTick(() => {
          throw error
        })
      }
    }
  }

  close(): void {
    if (this.closedHere) return
    this.commit()
    this.closedHere = true
    owned.delete(this)
    this.native.close()
    if (!this.owner) this.words.fill(Number.NaN)
    this.#tell()
    for (const interest of [...this.#interests]) this.unlisten(interest)
  }
}
