/** Slots: one value each, written by the table's owner, read by every thread. */

import { EventEmitter } from 'node:events'
import { argumentError, kindOf } from '../arguments.ts'
import { MillraceError } from '../errors.ts'
import { Outcome, type SlotId } from '../native/index.ts'
import { Changes } from './changes.ts'
import { encode } from './codec.ts'
import { ReadableSlotMap, SlotMap } from './map.ts'
import { type Interest, native, type Part } from './part.ts'
import type { DeepReadonly } from './readonly.ts'
import { checkOptions, Publication, type PublishOptions } from './taken.ts'

export interface SlotEvents {
  /** Between two turns: the slot holds another version. `get()` has it. */
  change: [version: number]
}

/** A slot as any thread reads it. What it shows changes only between two turns of the thread. */
export class ReadableSlot<T> implements AsyncIterable<DeepReadonly<T>>, Interest {
  readonly name: string
  protected readonly part: Part
  protected readonly id: SlotId
  protected readonly index: number
  #seen = 0
  #value: DeepReadonly<T> | undefined
  #emitter: EventEmitter | undefined
  #told = 0
  #map: ReadableSlotMap<T> | undefined

  /** Made by tables. */
  constructor(part: Part, id: SlotId, name: string) {
    this.part = part
    this.id = id
    this.index = part.admit(id)
    this.name = name
  }

  /**
   * The value, frozen and the same one for the whole turn; undefined until the first is published.
   * It is decoded when it is first asked for.
   */
  get(): DeepReadonly<T> | undefined {
    return this.part.words[this.index] === this.#seen ? this.#value : this.#refresh()
  }

  /**
   * {@link TableView.refresh}, then `get()`: for threads that do not turn their event loop between
   * two pieces of work.
   */
  latest(): DeepReadonly<T> | undefined {
    this.part.refresh()
    return this.get()
  }

  #refresh(): DeepReadonly<T> | undefined {
    this.part.unpark()
    const memory = native(() => this.part.native.read(this.id))
    const { outcome } = this.part
    if (outcome === Outcome.otherKind) throw kindError(this.name, 'a map', 'slot.map')
    this.#value =
      outcome === Outcome.nothing ? undefined : (this.part.decode(memory) as DeepReadonly<T>)
    this.#seen = this.part.words[this.index] as number
    return this.#value
  }

  /** How often the slot was published, as this thread sees it; 0: never. NaN: its reader closed. */
  get version(): number {
    return this.part.version(this.index)
  }

  /** What the slot holds as a map, where its owner has made it one. */
  get map(): ReadableSlotMap<T> {
    this.#map ??= this.makeMap()
    return this.#map
  }

  protected makeMap(): ReadableSlotMap<T> {
    return new ReadableSlotMap<T>(this.part, this.id, this.name)
  }

  on<E extends keyof SlotEvents>(event: E, listener: (...args: SlotEvents[E]) => void): this {
    return this.#add('on', event, listener)
  }

  once<E extends keyof SlotEvents>(event: E, listener: (...args: SlotEvents[E]) => void): this {
    return this.#add('once', event, listener)
  }

  #add<E extends keyof SlotEvents>(
    how: 'on' | 'once',
    event: E,
    listener: (...args: SlotEvents[E]) => void,
  ): this {
    if (event !== 'change') {
      throw argumentError('event', `is 'change', not ${kindOf(event)}`)
    }
    if (typeof listener !== 'function') throw argumentError('listener', 'a function is wanted')
    this.#emitter ??= new EventEmitter()
    if (this.#emitter.listenerCount('change') === 0) {
      this.#told = this.version
      if (!this.part.closedHere) this.part.listen(this)
    }
    this.#emitter[how]('change', listener as (version: number) => void)
    return this
  }

  off<E extends keyof SlotEvents>(event: E, listener: (...args: SlotEvents[E]) => void): this {
    this.#emitter?.off(event, listener as (version: number) => void)
    if (event === 'change' && this.#emitter?.listenerCount('change') === 0) this.part.unlisten(this)
    return this
  }

  /** The table's call; not for users. */
  onNews(): void {
    const { version } = this
    if (version === this.#told || this.part.closedHere) return
    this.#told = version
    try {
      this.#emitter?.emit('change', version)
    } finally {
      if (this.#emitter?.listenerCount('change') === 0) this.part.unlisten(this)
    }
  }

  /**
   * The values that come from now on; where several came since the last, the newest. Ends when this
   * thread closes the table, throws when the table's owner does.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<DeepReadonly<T>, undefined> {
    return new Changes(this.part, this.index, () => this.get() as DeepReadonly<T>)
  }
}

/** A slot as its owner has it. */
export class Slot<T> extends ReadableSlot<T> {
  /**
   * Publishes a value. It is encoded here and now; with all else that is set before the code next
   * awaits, it becomes visible to each thread between two turns of that thread, this one included.
   */
  set(value: T, options?: PublishOptions): Publication {
    this.part.assertWritable()
    checkOptions(options)
    const { bytes, parts } = encode(value, () => `slot '${this.name}'`)
    if (this.#kind === 'map') throw kindError(this.name, 'a map', 'slot.map.set()')
    const version = native(() => this.part.native.set(this.id, bytes, parts))
    this.#kind = 'value'
    return new Publication(this.part, this.part.staged(), version, options)
  }

  #kind: 'value' | 'map' | undefined

  override get map(): SlotMap<T> {
    return super.map as SlotMap<T>
  }

  protected override makeMap(): SlotMap<T> {
    return new SlotMap<T>(this.part, this.id, this.name, () => {
      if (this.#kind === 'value') throw kindError(this.name, 'a value', 'slot.set()')
      this.#kind = 'map'
    })
  }
}

export function kindError(name: string, what: string, use: string): MillraceError {
  return new MillraceError('ERR_MILLRACE_SLOT_KIND', `slot '${name}' holds ${what}`, {
    path: name,
    hint: `A slot stays what it was first used as: use ${use}.`,
  })
}
