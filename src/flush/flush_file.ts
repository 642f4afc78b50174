// A log file that never stalls who writes to it. The writing itself is native/flush/.

import { EventEmitter } from 'node:events'
import { isMainThread } from 'node:worker_threads'
import { MillraceError } from '../errors.ts'
import {
  FlushNotice,
  FlushWrite,
  loadNative,
  type NativeFlushFile,
  type NativeFlushStats,
} from '../native/index.ts'
import { after, type Timer } from '../timers.ts'
import { refuseUnknown } from './checks.ts'
import { endedError, errnoName, fileError, wrongArgument } from './errors.ts'
import {
  type CheckedOptions,
  checked,
  deadline,
  type FlushFileOptions,
  kDefaultDeadline,
} from './options.ts'

/** What `write` takes: one line of a log, with its line end. Strings are written as UTF-8. */
export type FlushLine = string | Uint8Array

/** Travels by `workerData` or `postMessage` to threads of the same process. */
export interface FlushFileHandle {
  readonly type: 'millrace.FlushFile'
  readonly pid: number
  readonly number: number
  readonly name: string
  readonly maxBytes: number
  readonly onFull: 'drop' | 'block'
}

/** Lines that were given up, and their bytes. */
export interface FlushLoss {
  readonly lines: number
  readonly bytes: number
}

/**
 * Of the file, over all threads. `lines` and `bytes` were taken: they are written, buffered or
 * lost. What was dropped was never taken.
 */
export interface FlushCounters {
  readonly lines: number
  readonly bytes: number
  readonly written: number
  readonly writtenBytes: number
  readonly buffered: number
  readonly bufferedBytes: number
  readonly dropped: number
  readonly droppedBytes: number
  readonly lost: number
  readonly lostBytes: number
  readonly writeErrors: number
  readonly reopens: number
  readonly rotations: number
  readonly rotateErrors: number
  /** The last failed write, reopening or rotation, e.g. `ENOSPC (no space left on device)`. */
  readonly lastError: string | undefined
  /** The last write failed: lines are kept and written again. */
  readonly failing: boolean
}

export interface FlushFileEvents {
  /** Lines that were buffered when `write` returned false are with the kernel. */
  drain: []
  /** Once in a turn of the loop: what `write` of this thread dropped since the last one. */
  drop: [FlushLoss]
  /**
   * Writing begins to fail, and lines are kept and tried again; or rotating does, and the file that
   * is open is written on. Never thrown when unheard.
   */
  error: [MillraceError]
  /** Writing works again after an error. */
  recovered: []
  /** The path leads to a new file. */
  rotate: []
  /** The file has ended, and nothing more will come of it. */
  close: []
}

interface Waiting {
  readonly ticket: number
  readonly done: () => void
  readonly failed: (error: Error) => void
}

/** Beyond the deadline of end(): for the flush thread to count what it leaves behind. */
const kEndGrace = 100

let watching = false

/** When the last listener of a signal goes, its default action is ours to precede again. */
function watchSignals(): void {
  if (watching || !isMainThread) return
  watching = true
  process.on('removeListener', (event: string | symbol) => {
    const signal = typeof event === 'string' && event.startsWith('SIG')
    if (signal && process.listenerCount(event) === 0) {
      loadNative().watchEndingSignals()
    }
  })
}

/** Bun ends a process without what native code has asked for at its end. */
const bunFiles: Set<FlushFile> = new Set()

function flushAtExitOfBun(file: FlushFile): void {
  if (process.versions.bun === undefined) return
  if (bunFiles.size === 0) {
    process.on('exit', () => {
      for (const each of bunFiles) each.flushSync()
    })
  }
  bunFiles.add(file)
  file.once('close', () => bunFiles.delete(file))
}

class Attaching {
  readonly handle: FlushFileHandle
  constructor(handle: FlushFileHandle) {
    this.handle = handle
  }
}

export class FlushFile extends EventEmitter<FlushFileEvents> implements AsyncDisposable {
  /** The file's absolute path, or `descriptor N`. */
  readonly path: string
  /** For {@link FlushFile.attach} in other threads of this process. */
  readonly handle: FlushFileHandle
  readonly #native: NativeFlushFile
  readonly #write: (line: FlushLine) => number | undefined
  readonly #owner: boolean
  #flushes: Waiting[] = []
  #reopens: Waiting[] = []
  #ending: Promise<FlushLoss> | undefined
  #stopped: (() => void) | undefined
  #last: NativeFlushStats | undefined
  #needsDrain = false
  #wakeSoon = false
  #dropped: { lines: number; bytes: number } | undefined

  /**
   * Opens the file, in the calling thread, and starts its flush thread. Throws a MillraceError with
   * the option or the file as `path`. `fillMark` is for `millrace/pino`: bytes that are worth a
   * write before the interval is over.
   */
  constructor(options: FlushFileOptions, fillMark?: number) {
    super()
    const given: unknown = options
    const notice = (kind: number, ticket: number, errno: number): void =>
      this.#onNotice(kind, ticket, errno)
    if (given instanceof Attaching) {
      const { number, name, maxBytes, onFull } = given.handle
      const native = loadNative().attachFlushFile(number, maxBytes, onFull === 'block', notice)
      if (native === undefined) throw endedError(name)
      this.#native = native
      this.#owner = false
      this.handle = given.handle
    } else {
      const all = checked(options, fillMark)
      this.#native = open(all, notice)
      this.#owner = true
      this.handle = Object.freeze({
        type: 'millrace.FlushFile',
        pid: process.pid,
        number: this.#native.number,
        name: all.name,
        maxBytes: all.maxBytes,
        onFull: all.onFull,
      } as const)
    }
    this.path = this.handle.name
    this.#write = this.#native.write
    watchSignals()
    flushAtExitOfBun(this)
  }

  /** In another thread of the process: the file of this handle, with a buffer of its own. */
  static attach(handle: FlushFileHandle): FlushFile {
    return new FlushFile(new Attaching(checkedHandle(handle)) as unknown as FlushFileOptions)
  }

  /**
   * Copies a line, with its line end, into this thread's buffer; no system call is made. False when
   * more than half of the buffer is taken, or the line was dropped: a 'drain' will follow. Throws
   * after end(), and when `line` is neither a string nor bytes.
   */
  write(line: FlushLine): boolean {
    const how = this.#write(line)
    return how === undefined || this.#notable(how, line)
  }

  /**
   * Resolves when what was written so far, by every thread, is with the kernel (with `fsync`: with
   * the device). Rejects when writing fails; the lines are kept and tried again.
   */
  flush(): Promise<void> {
    if (this.#ending !== undefined) return this.#ending.then(() => undefined)
    return this.#ask(this.#flushes, this.#native.flush())
  }

  /** As flush(), but waits, up to `timeout` milliseconds; false when that was too short. */
  flushSync(timeout: number = kDefaultDeadline): boolean {
    return this.#native.flushSync(deadline('timeout', timeout))
  }

  /**
   * For rotation: what was written so far goes to the file that is open now, what follows to the
   * one that the path then leads to. Rejects when that cannot be opened; the old file stays in use.
   */
  reopen(): Promise<void> {
    if (this.#ending !== undefined) return Promise.reject(endedError(this.path))
    return this.#ask(this.#reopens, this.#native.reopen())
  }

  /**
   * In the thread that opened the file: writes out everything, for at most `deadline` milliseconds,
   * and closes the file for all threads. Other threads should have stopped: what they write after
   * it is dropped. In a thread that attached: lets go of the file when what was written is out.
   * Resolves to what could not be written.
   */
  end(options: { readonly deadline?: number } = {}): Promise<FlushLoss> {
    if (this.#ending !== undefined) return this.#ending
    refuseUnknown(options, ['deadline'], 'options')
    const patience = deadline('deadline', options.deadline ?? kDefaultDeadline)
    this.#ending = this.#owner ? this.#endFile(patience) : this.#leave(patience)
    return this.#ending
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end().then(() => undefined)
  }

  get counters(): FlushCounters {
    const stats = this.#native.stats() ?? this.#last
    if (stats === undefined) throw endedError(this.path)
    const [name, text] = stats.lastErrno === 0 ? [] : errnoName(stats.lastErrno)
    return {
      lines: stats.lines,
      bytes: stats.bytes,
      written: stats.writtenLines,
      writtenBytes: stats.writtenBytes,
      buffered: stats.bufferedLines,
      bufferedBytes: stats.bufferedBytes,
      dropped: stats.droppedLines,
      droppedBytes: stats.droppedBytes,
      lost: stats.lostLines,
      lostBytes: stats.lostBytes,
      writeErrors: stats.writeErrors,
      reopens: stats.reopens,
      rotations: stats.rotations,
      rotateErrors: stats.rotateErrors,
      lastError: name === undefined ? undefined : `${name} (${text})`,
      failing: stats.failing,
    }
  }

  /** A line of this thread was dropped. */
  protected dropped(line: FlushLine): void {
    const bytes = typeof line === 'string' ? Buffer.byteLength(line) : line.length
    if (this.#dropped === undefined) {
      this.#dropped = { lines: 0, bytes: 0 }
      process.nextTick(() => {
        const loss = this.#dropped
        this.#dropped = undefined
        if (loss !== undefined) this.emit('drop', loss)
      })
    }
    this.#dropped.lines++
    this.#dropped.bytes += bytes
  }

  /** What `write` has to do beside the copying. */
  #notable(first: number, line: FlushLine): boolean {
    if (first === FlushWrite.wrongType)
      throw wrongArgument('line', 'a string or a Uint8Array', line)
    let how = first
    while ((how & FlushWrite.how) === FlushWrite.full) how = this.#again(line)
    if ((how & FlushWrite.how) === FlushWrite.ended) {
      if (this.#ending !== undefined) throw endedError(this.path)
      this.dropped(line)
      return false
    }
    if ((how & FlushWrite.wake) !== 0 && !this.#wakeSoon) {
      this.#wakeSoon = true
      process.nextTick(() => {
        this.#wakeSoon = false
        this.#native.wake()
      })
    }
    if ((how & FlushWrite.how) === FlushWrite.dropped) this.dropped(line)
    if ((how & FlushWrite.high) === 0) return true
    this.#needsDrain = true
    return false
  }

  /**
   * The native call waits for a moment only. That this is a function of JavaScript lets the engine
   * see, as it is entered, that the thread is to be terminated.
   */
  #again(line: FlushLine): number {
    return this.#write(line) ?? 0
  }

  #onNotice(kind: number, ticket: number, errno: number): void {
    if (kind === FlushNotice.flushed || kind === FlushNotice.reopened) {
      this.#settle(kind, ticket, errno)
    } else if (kind === FlushNotice.drained) {
      if (!this.#needsDrain) return
      this.#needsDrain = false
      this.emit('drain')
    } else if (kind === FlushNotice.failing) {
      this.#fail('ERR_MILLRACE_FLUSH_WRITE', 'cannot write to', errno)
    } else if (kind === FlushNotice.rotateFailed) {
      this.#fail('ERR_MILLRACE_FLUSH_ROTATE', 'cannot rotate', errno)
    } else if (kind === FlushNotice.rotated) {
      this.emit('rotate')
    } else if (kind === FlushNotice.recovered) {
      this.emit('recovered')
    } else if (kind === FlushNotice.stopped) {
      if (this.#stopped !== undefined) this.#stopped()
      else if (!this.#owner) this.#ending ??= Promise.resolve(this.#close({ lines: 0, bytes: 0 }))
    }
  }

  #fail(code: string, what: string, errno: number): void {
    if (this.listenerCount('error') === 0) return
    this.emit('error', fileError(code, what, this.path, errno))
  }

  #ask(waiting: Waiting[], ticket: number): Promise<void> {
    return new Promise((done, failed) => {
      waiting.push({ ticket, done, failed })
      this.#native.hold(true)
    })
  }

  #settle(kind: number, ticket: number, errno: number): void {
    const flushed = kind === FlushNotice.flushed
    const waiting = flushed ? this.#flushes : this.#reopens
    const later = waiting.filter((one) => one.ticket > ticket)
    if (flushed) this.#flushes = later
    else this.#reopens = later
    const code = flushed ? 'ERR_MILLRACE_FLUSH_WRITE' : 'ERR_MILLRACE_FLUSH_OPEN'
    const what = flushed ? 'cannot write to' : 'cannot reopen'
    for (const one of waiting) {
      if (one.ticket > ticket) continue
      if (errno === 0) one.done()
      else one.failed(fileError(code, what, this.path, errno))
    }
    this.#release()
  }

  /** The process may end by itself when nothing is awaited. */
  #release(): void {
    const awaited = this.#flushes.length + this.#reopens.length > 0 || this.#stopped !== undefined
    if (!awaited) this.#native.hold(false)
  }

  #endFile(patience: number): Promise<FlushLoss> {
    return new Promise((resolve) => {
      const finish = (): void => {
        timer.stop()
        this.#stopped = undefined
        resolve(this.#close(this.#native.finish()))
      }
      // A thread that hangs in the kernel never tells that it has stopped.
      const timer = after(patience + kEndGrace, finish)
      this.#stopped = finish
      this.#native.hold(true)
      this.#native.end(patience)
    })
  }

  async #leave(patience: number): Promise<FlushLoss> {
    let timer: Timer | undefined
    const late = new Promise<void>((resolve) => {
      timer = after(patience, resolve)
    })
    // What cannot be written now stays with the flush thread, which reports it.
    const flushed = this.#ask(this.#flushes, this.#native.flush()).catch(() => undefined)
    await Promise.race([flushed, late])
    timer?.stop()
    return this.#close({ lines: 0, bytes: 0 })
  }

  #close(loss: FlushLoss): FlushLoss {
    this.#last = this.#native.stats()
    for (const one of [...this.#flushes, ...this.#reopens]) one.failed(endedError(this.path))
    this.#flushes = []
    this.#reopens = []
    this.#native.detach()
    process.nextTick(() => this.emit('close'))
    return loss
  }
}

function open(
  options: CheckedOptions,
  notice: (kind: number, ticket: number, errno: number) => void,
): NativeFlushFile {
  try {
    return loadNative().openFlushFile(options, notice)
  } catch (error) {
    const { errno, code, message } = error as { errno?: number; code?: string; message: string }
    if (typeof errno === 'number') {
      throw fileError(code ?? 'ERR_MILLRACE_FLUSH_OPEN', 'cannot open', options.name, errno)
    }
    if (code?.startsWith('ERR_MILLRACE_FLUSH') !== true) throw error
    throw new MillraceError(code, message, { path: options.name, cause: error })
  }
}

function checkedHandle(handle: unknown): FlushFileHandle {
  const given = handle as Partial<FlushFileHandle> | null | undefined
  if (given?.type !== 'millrace.FlushFile' || typeof given.number !== 'number') {
    throw wrongArgument('handle', "the handle of a FlushFile ('file.handle')", handle)
  }
  if (given.pid !== process.pid) {
    throw new MillraceError(
      'ERR_MILLRACE_FLUSH_HANDLE',
      `${given.name} is open in process ${given.pid}; this is process ${process.pid}`,
      { path: 'handle', hint: 'a handle is for threads of one process; open the path here' },
    )
  }
  return given as FlushFileHandle
}
