/** What `set()` returns: a promise that costs nothing until somebody waits for it. */

import { argumentError } from '../arguments.ts'
import { MillraceError } from '../errors.ts'
import { after, type Timer } from '../timers.ts'
import type { Batch, Interest, Part } from './part.ts'
import { closedError } from './part.ts'

export interface PublishOptions {
  /** Waiting ends with a {@link NotTakenError} after so many milliseconds. */
  readonly timeout?: number
  /** Waiting ends with a {@link NotTakenError} when it is aborted. */
  readonly signal?: AbortSignal
}

/** A thread that takes part in a table. */
export interface TableReader {
  readonly threadId: number
  readonly name: string
  /** Changes that it has not taken; a slot that was set in two turns counts twice. */
  readonly lag: number
  /** For how long it has been behind, in milliseconds; 0: it is not. */
  readonly behindMs: number
  /** It has said that it blocks ({@link TableView.park}): nobody waits for it. */
  readonly parked: boolean
}

/** Waiting for so long is said, as a warning of the process; of one table once in so long. */
const SLOW_MS = 5_000

/** Waiting for all threads was given up; `readers` are those that have not taken the value. */
export class NotTakenError extends MillraceError {
  readonly readers: readonly TableReader[]

  constructor(what: string, readers: readonly TableReader[], cause: unknown) {
    super('ERR_MILLRACE_NOT_TAKEN', `${what}; not taken by: ${named(readers)}`, {
      hint: `The value is published; ${HINT}`,
      ...(cause === undefined ? {} : { cause }),
    })
    this.readers = readers
  }
}

const HINT =
  'those threads take it when their event loops turn; one that blocks calls table.park() before, ' +
  'and table.refresh() after.'

const named = (readers: readonly TableReader[]): string =>
  readers.map(({ name, behindMs }) => `${name} (${Math.round(behindMs)} ms behind)`).join(', ') ||
  'nobody'

/**
 * Resolves once every thread that takes part has taken what was set (or something newer in its
 * place). The waiting, with its timeout, begins with the first `then`; a publication that nobody
 * awaits never rejects.
 */
export class Publication implements Promise<undefined> {
  readonly [Symbol.toStringTag] = 'Publication'
  /** Of the slot, with this value. */
  readonly version: number
  readonly #part: Part
  readonly #batch: Batch
  readonly #options: PublishOptions | undefined
  #promise: Promise<undefined> | undefined

  constructor(part: Part, batch: Batch, version: number, options: PublishOptions | undefined) {
    this.version = version
    this.#part = part
    this.#batch = batch
    this.#options = options
  }

  // biome-ignore lint/suspicious/noThenProperty: it is a promise
  then<A = undefined, B = never>(
    taken?: ((value: undefined) => A | PromiseLike<A>) | null,
    failed?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#promise ??= waitFor(this.#part, this.#batch, this.#options ?? {})
    return this.#promise.then(taken, failed)
  }

  catch<B = never>(
    failed?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<B | undefined> {
    return this.then(undefined, failed)
  }

  finally(done?: (() => void) | null): Promise<undefined> {
    return this.then().finally(done)
  }
}

export function checkOptions(options: PublishOptions | undefined): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null) {
    throw argumentError('options', 'an object is wanted')
  }
  const { timeout, signal } = options
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout >= 0)) {
    throw argumentError('options.timeout', 'a number of milliseconds is wanted')
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw argumentError('options.signal', 'an AbortSignal is wanted')
  }
}

/** Those that have not taken what was set. */
function lateReaders(part: Part, batch: Batch): readonly TableReader[] {
  const generation = batch.generation ?? Number.POSITIVE_INFINITY
  return part.native
    .readers()
    .filter(({ taken, parked }) => taken < generation && !parked)
    .map(({ taken: _, ...reader }) => reader)
}

function waitFor(
  part: Part,
  batch: Batch,
  { timeout, signal }: PublishOptions,
): Promise<undefined> {
  return new Promise((resolve, reject) => {
    let timer: Timer | undefined
    let slow: Timer | undefined
    const end = (error?: Error): void => {
      part.unlisten(interest)
      part.waited()
      timer?.stop()
      slow?.stop()
      signal?.removeEventListener('abort', onAbort)
      if (error === undefined) resolve(undefined)
      else reject(error)
    }
    const giveUp = (what: string, cause?: unknown): void => {
      if (part.closedHere) {
        end(closedError())
        return
      }
      end(new NotTakenError(what, lateReaders(part, batch), cause))
    }
    const onAbort = (): void => giveUp('waiting was aborted', signal?.reason)
    const interest: Interest = {
      onNews: () => {
        const { generation } = batch
        if (generation !== undefined && !part.closedHere && part.native.awaitTaken(generation)) {
          end()
        } else if (part.closed) end(closedError())
      },
    }
    part.listen(interest)
    part.wait()
    if (signal?.aborted) return onAbort()
    signal?.addEventListener('abort', onAbort)
    if (timeout !== undefined) {
      timer = after(timeout, () => giveUp(`not taken by every thread within ${timeout} ms`))
    }
    slow = after(SLOW_MS, () => {
      if (!part.mayWarn(SLOW_MS)) return
      const code = 'MILLRACE_SLOW_READERS'
      const what = `set() waits for ${named(lateReaders(part, batch))}`
      process.emitWarning(what, { type: 'MillraceWarning', code, detail: HINT })
    }).unref()
    interest.onNews()
  })
}
