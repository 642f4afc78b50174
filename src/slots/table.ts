/** Slot tables: made by one thread, attached to by others through a handle. */

import { EventEmitter } from 'node:events'
import { argumentError, kindOf } from '../arguments.ts'
import { MillraceError } from '../errors.ts'
import { loadNative, type NativeTableStats } from '../native/index.ts'
import { closedError, type Interest, identity, native, Part } from './part.ts'
import { ReadableSlot, Slot } from './slot.ts'
import type { TableReader } from './taken.ts'

/** Names a table of this process. Plain data: it travels by `workerData` and `postMessage`. */
export interface TableHandle {
  readonly kind: 'millrace.SlotTable'
  readonly id: number
  /** Known only to those who were given the handle. */
  readonly key: number
}

export interface TableOptions {
  /** This thread in {@link TableView.readers} and in errors; `main` or `worker <id>` otherwise. */
  readonly name?: string
}

export interface TableEvents {
  /** The table takes no more changes: its owner closed it, or its owner's thread has ended. */
  close: []
}

const KIND = 'millrace.SlotTable'

/** Values are written by V8's Serializer, with binary data beside them. */
function checkRuntime(): void {
  const { bun } = process.versions
  if (bun === undefined) return
  throw new MillraceError(
    'ERR_MILLRACE_RUNTIME',
    `slot tables need the Serializer of node:v8, which Bun ${bun} does not have`,
    { hint: 'Run the program in Node or Deno; FlushFile and createProxy work in Bun, too.' },
  )
}

/** A table as any thread sees it; each attach is a part of its own, ended by its own `close()`. */
export class TableView implements Interest {
  readonly handle: TableHandle
  protected readonly part: Part
  readonly #slots = new Map<string, ReadableSlot<unknown>>()
  #emitter: EventEmitter | undefined
  #toldClose = false
  #kept = false

  /** Made by {@link SlotTable}. */
  constructor(part: Part) {
    this.part = part
    this.handle = Object.freeze({ kind: KIND, ...part.native.handle() })
  }

  /** The owner's slot of that name, to read. The same object for the same name. */
  slot<T>(name: string): ReadableSlot<T> {
    let slot = this.#slots.get(checkName(name))
    if (slot === undefined) {
      const id = native(() => this.part.native.find(name))
      if (id === 0) {
        throw new MillraceError('ERR_MILLRACE_SLOT_UNKNOWN', `the table has no slot '${name}'`, {
          path: name,
          hint: 'Its owner calls allocate() first; then the handle is sent.',
        })
      }
      slot = this.makeSlot(id, name)
      this.#slots.set(name, slot)
    }
    return slot as ReadableSlot<T>
  }

  protected makeSlot(id: number, name: string): ReadableSlot<unknown> {
    return new ReadableSlot(this.part, id, name)
  }

  /** Every thread that takes part, the owner's first, and how far behind it is. */
  get readers(): TableReader[] {
    return native(() => this.part.native.readers()).map(({ taken: _, ...reader }) => reader)
  }

  /**
   * Takes what is published now, without waiting for the event loop to turn: `get()` of each slot
   * of this table may give another value from here on. For threads that block between two pieces of
   * work (`Atomics.wait`, worker pools that use it). Whether there was news; `'change'` and loops
   * learn of it between two turns as ever.
   */
  refresh(): boolean {
    return this.part.refresh()
  }

  /**
   * Says that this thread is about to block. Until it reads again, which takes the news first, or
   * until its event loop turns, `set()` does not wait for it.
   */
  park(): void {
    this.part.park()
  }

  /** Counts of published versions: those that are current, replaced but still held, and freed. */
  get stats(): NativeTableStats {
    return native(() => this.part.native.stats())
  }

  /** Whether the table takes no more changes, or was closed in this thread. */
  get closed(): boolean {
    return this.part.closed
  }

  on<E extends keyof TableEvents>(event: E, listener: (...args: TableEvents[E]) => void): this {
    if (event !== 'close') {
      throw argumentError('event', `is 'close', not ${kindOf(event)}`)
    }
    if (typeof listener !== 'function') throw argumentError('listener', 'a function is wanted')
    this.#emitter ??= new EventEmitter()
    this.#emitter.on(event, listener as () => void)
    if (!this.part.closedHere) this.part.listen(this)
    return this
  }

  off<E extends keyof TableEvents>(event: E, listener: (...args: TableEvents[E]) => void): this {
    this.#emitter?.off(event, listener as () => void)
    if (this.#emitter?.listenerCount('close') === 0) this.part.unlisten(this)
    return this
  }

  /** The table's call; not for users. */
  onNews(): void {
    if (this.#toldClose || !this.closed) return
    this.#toldClose = true
    this.part.unlisten(this)
    this.#emitter?.emit('close')
  }

  /** Keeps this thread's event loop alive until {@link unref} or {@link close}. */
  ref(): this {
    if (!this.#kept && !this.part.closedHere) this.part.wait()
    this.#kept = true
    return this
  }
  unref(): this {
    if (this.#kept && !this.part.closedHere) this.part.waited()
    this.#kept = false
    return this
  }

  /**
   * Ends this thread's part. The owner's ends the table: what was set before is published, waiting
   * ends with an error, other threads keep their last values.
   */
  close(): void {
    this.part.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** A table as its owner, the thread that made it, has it. */
export class SlotTable extends TableView {
  constructor(options: TableOptions = {}) {
    checkRuntime()
    if (typeof options !== 'object' || options === null) {
      throw argumentError('options', 'an object is wanted')
    }
    const who = identity(options.name)
    super(new Part(loadNative().createSlotTable(...who), true))
  }

  /** A new, empty slot. The name is free in this table, and how other threads find it. */
  allocate<T>(name: string): Slot<T> {
    checkName(name)
    this.part.assertWritable()
    native(() => this.part.native.allocate(name))
    return this.slot<T>(name)
  }

  override slot<T>(name: string): Slot<T> {
    return super.slot<T>(name) as Slot<T>
  }

  protected override makeSlot(id: number, name: string): Slot<unknown> {
    return new Slot(this.part, id, name)
  }

  /** A table of this process, in this thread; it shows what is published now. */
  static attach(handle: TableHandle, options: TableOptions = {}): TableView {
    checkRuntime()
    const { id, key } = checkHandle(handle)
    if (typeof options !== 'object' || options === null) {
      throw argumentError('options', 'an object is wanted')
    }
    const who = identity(options.name)
    try {
      return new TableView(
        new Part(
          native(() => loadNative().attachSlotTable(id, key, ...who)),
          false,
        ),
      )
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      if (error.code === 'ERR_MILLRACE_TABLE_CLOSED') throw closedError()
      if (error.code === 'ERR_MILLRACE_HANDLE_INVALID') throw handleError()
      throw error
    }
  }
}

function checkName(name: string): string {
  if (typeof name === 'string' && name !== '') return name
  throw argumentError('name', 'a string that is not empty is wanted')
}

function handleError(): MillraceError {
  return new MillraceError('ERR_MILLRACE_HANDLE_INVALID', 'not the handle of a slot table', {
    path: 'handle',
    hint: 'Pass what table.handle gave, in the same process; it is plain data and can be posted.',
  })
}

function checkHandle(handle: TableHandle): TableHandle {
  const whole = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
  if (
    typeof handle !== 'object' ||
    handle === null ||
    handle.kind !== KIND ||
    !whole(handle.id) ||
    !whole(handle.key)
  ) {
    throw handleError()
  }
  return handle
}
