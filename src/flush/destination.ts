// A FlushFile with the surface that pino's users know from pino.destination() (sonic-boom).

import { EventEmitter } from 'node:events'
import { argumentError } from '../arguments.ts'
import { MillraceError } from '../errors.ts'
import { integer, refuseUnknown } from './checks.ts'
import { endedError, wrongArgument } from './errors.ts'
import { type FlushCounters, FlushFile, type FlushLine } from './flush_file.ts'
import type { FlushFileOptions } from './options.ts'

/** Options of a FlushFile, and the names that pino.destination() has for some of them. */
export interface DestinationOptions extends FlushFileOptions {
  /** A path, or a descriptor; default 1 (stdout). As `path` and `fd`. */
  readonly dest?: string | number | URL
  /** Bytes that are worth a write before the interval is over. Default 64 KiB. */
  readonly minLength?: number
  /** As `maxBytes`. */
  readonly maxLength?: number
  /** As `flushInterval`. */
  readonly periodicFlush?: number
  /** Only false: lines are never written by the thread that logs. */
  readonly sync?: false
}

export interface DestinationEvents {
  ready: []
  /** What was written is with the kernel, and nothing came after it. */
  drain: []
  /** The line that was dropped. */
  drop: [FlushLine]
  /** Never thrown when unheard. */
  error: [Error]
  /** After end(), when all was written. */
  finish: []
  close: []
}

const kKnown = [
  'dest',
  'path',
  'fd',
  'minLength',
  'maxLength',
  'maxBytes',
  'periodicFlush',
  'flushInterval',
  'sync',
  'onFull',
  'fsync',
  'mode',
  'append',
  'mkdir',
  'rotate',
  'exitDeadline',
] as const satisfies readonly (keyof DestinationOptions)[]

const kMaxLength = 2 ** 30
/** The least that a FlushFile buffers. A smaller maxLength of pino.destination() is this. */
const kLeastLength = 4096

class LoggedFile extends FlushFile {
  onDropped: ((line: FlushLine) => void) | undefined
  protected override dropped(line: FlushLine): void {
    this.onDropped?.(line)
  }
}

/** What `destination()` returns. */
export class Destination extends EventEmitter<DestinationEvents> implements AsyncDisposable {
  readonly #options: FlushFileOptions
  readonly #fillMark: number | undefined
  #file: LoggedFile
  #ending = false
  /** Somebody listens to 'drain'. */
  #heard = false
  /** Something was written since the last 'drain'. */
  #undrained = false
  #draining = false
  /** pino and others look at it as they do at a stream's. */
  readonly writable: boolean = true
  destroyed: boolean = false

  constructor(given: DestinationOptions) {
    super()
    const { dest, minLength, maxLength, periodicFlush, sync, ...rest } = refuseUnknown(
      given,
      kKnown,
      'options',
    ) as DestinationOptions
    if (sync !== undefined && sync !== false) {
      throw argumentError(
        'sync',
        'true is not built: lines are always written by a thread of their own',
        'leave it out, or use pino.destination({ sync: true })',
      )
    }
    this.#fillMark = minLength === undefined || minLength === 0 ? undefined : mark(minLength)
    this.#options = {
      ...rest,
      ...target(dest, rest),
      ...(maxLength === undefined || maxLength === 0 ? {} : { maxBytes: bound(maxLength) }),
      ...(periodicFlush === undefined || periodicFlush === 0
        ? {}
        : { flushInterval: periodicFlush }),
    }
    this.#file = this.#open(this.#options)
    const plain = this as unknown as EventEmitter
    plain.on('newListener', (event: string | symbol) => {
      if (event !== 'drain') return
      this.#heard = true
      this.#awaitDrain()
    })
    process.nextTick(() => this.emit('ready'))
  }

  /** The file's path; undefined for a descriptor. */
  get file(): string | undefined {
    return this.#options.fd === undefined ? this.#file.path : undefined
  }

  /** Figures of the file that is written now; see FlushFile. */
  get counters(): FlushCounters {
    return this.#file.counters
  }

  /**
   * Never waits for the file. False: slow down until 'drain'. Anything but a string or bytes is
   * written as String() makes it.
   */
  write(line: FlushLine): boolean {
    if (this.destroyed || this.#ending) throw endedError(this.#file.path)
    const wellTaken = this.#file.write(
      typeof line === 'string' || line instanceof Uint8Array ? line : textOf(line),
    )
    this.#undrained = true
    if (this.#heard) this.#awaitDrain()
    return wellTaken
  }

  /** Calls back when what was written so far is with the kernel, or with an error. */
  flush(callback?: ((error?: Error) => void) | null): void {
    if (callback != null && typeof callback !== 'function') {
      throw wrongArgument('callback', 'a function', callback)
    }
    if (this.destroyed) {
      if (callback == null) throw endedError(this.#file.path)
      callback(endedError(this.#file.path))
      return
    }
    const told = callback ?? ((error?: Error): void => this.#fail(error))
    this.#file.flush().then(() => told(), told)
  }

  /** Waits until what was written so far is with the kernel; throws when that takes 2 s. */
  flushSync(): void {
    if (this.destroyed) throw endedError(this.#file.path)
    if (this.#file.flushSync()) return
    throw new MillraceError(
      'ERR_MILLRACE_FLUSH_TIMEOUT',
      `${this.#file.path} takes nothing: ${this.#file.counters.lastError ?? 'it has stalled'}`,
      { path: this.#file.path, hint: 'lines are kept, up to maxBytes, and written when it does' },
    )
  }

  /** For rotation; 'ready' follows, or 'error'. With `file`, goes on in another one. */
  reopen(file?: string): void {
    if (this.destroyed) throw endedError(this.#file.path)
    if (this.#ending) return
    if (this.#options.fd !== undefined) {
      throw argumentError('fd', 'a descriptor cannot be reopened', 'give a path')
    }
    if (file === undefined || file === this.#file.path) {
      this.#file.reopen().then(
        () => this.emit('ready'),
        (error: Error) => this.#fail(error),
      )
      return
    }
    const old = this.#file
    try {
      this.#file = this.#open({ ...this.#options, path: file })
    } catch (error) {
      process.nextTick(() => this.#fail(error as Error))
      return
    }
    old.removeAllListeners()
    void old.end().then(({ lines, bytes }) => this.#lost(old.path, lines, bytes))
    process.nextTick(() => this.emit('ready'))
  }

  /** Writes out everything; then 'finish' and 'close' follow. */
  end(): void {
    if (this.destroyed) throw endedError(this.#file.path)
    if (this.#ending) return
    this.#ending = true
    void this.#file.end().then(({ lines, bytes }) => {
      this.destroyed = true
      if (lines + bytes === 0) this.emit('finish')
      else this.#lost(this.#file.path, lines, bytes)
      this.emit('close')
    })
  }

  /** Closes at once: what is buffered may be lost, which is said as by `end()`. 'close' follows. */
  destroy(): void {
    if (this.destroyed) return
    this.destroyed = true
    void this.#file.end({ deadline: 0 }).then(({ lines, bytes }) => {
      this.#lost(this.#file.path, lines, bytes)
      this.emit('close')
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ending && !this.destroyed) this.end()
    await this.#file.end()
  }

  #open(options: FlushFileOptions): LoggedFile {
    const file = new LoggedFile(options, this.#fillMark)
    file.onDropped = (line): void => {
      this.emit('drop', line)
    }
    file.on('drain', () => {
      if (!this.#draining) this.emit('drain')
    })
    file.on('recovered', () => this.#awaitDrain())
    file.on('error', (error) => this.#fail(error))
    return file
  }

  /** As sonic-boom, which says each time that it is empty; only for who listens. */
  #awaitDrain(): void {
    if (!this.#heard || this.#draining || !this.#undrained || this.#ending || this.destroyed) return
    this.#draining = true
    this.#undrained = false
    this.#file.flush().then(
      () => {
        this.#draining = false
        this.#heard = this.listenerCount('drain') > 0
        if (this.#undrained) this.#awaitDrain()
        else if (!this.#ending && !this.destroyed) this.emit('drain')
      },
      () => {
        // Again when writing works.
        this.#draining = false
        this.#undrained = true
      },
    )
  }

  #fail(error?: Error): void {
    if (error !== undefined && this.listenerCount('error') > 0) this.emit('error', error)
  }

  /** Loud even when nobody listens: the file is closed, and no counter is left to look at. */
  #lost(path: string, lines: number, bytes: number): void {
    if (lines + bytes === 0) return
    const error = new MillraceError(
      'ERR_MILLRACE_FLUSH_LOST',
      `${lines} ${lines === 1 ? 'line' : 'lines'} (${bytes} bytes) not written to ${path}`,
      { path, hint: 'see why it takes nothing: a full disk, or a reader that has stalled' },
    )
    if (this.listenerCount('error') > 0) this.emit('error', error)
    else process.emitWarning(error)
  }
}

function bound(maxLength: unknown): number {
  return Math.max(integer('maxLength', maxLength, 1, kMaxLength), kLeastLength)
}

function mark(minLength: unknown): number {
  return integer('minLength', minLength, 1, kMaxLength)
}

function target(
  dest: DestinationOptions['dest'],
  { path, fd }: FlushFileOptions,
): { readonly path?: string | URL; readonly fd?: number } {
  if (dest === undefined) return path === undefined && fd === undefined ? { fd: 1 } : {}
  if (path !== undefined || fd !== undefined) {
    throw wrongArgument('dest', 'one of dest, path and fd', dest)
  }
  return typeof dest === 'number' ? { fd: dest } : { path: dest }
}

/**
 * A destination for pino: `pino(destination({ dest: '/var/log/app.log' }))`. Logging never waits
 * for the file, and never uses libuv's threads.
 */
export function destination(to: DestinationOptions | string | number | URL = {}): Destination {
  const plain = typeof to === 'string' || typeof to === 'number' || to instanceof URL
  return new Destination(plain ? { dest: to } : withoutPinos(to))
}

/** Without what pino adds to a transport's options: for `export default (o) => destination(o)`. */
function withoutPinos(options: DestinationOptions): DestinationOptions {
  if (typeof options !== 'object' || options === null) return options
  const { $context, pinoWillSendConfig, ...own } = options as DestinationOptions & {
    readonly $context?: unknown
    readonly pinoWillSendConfig?: unknown
  }
  return own
}

function textOf(line: unknown): string {
  try {
    return String(line)
  } catch {
    throw wrongArgument('line', 'what String() can make a text of', line)
  }
}
