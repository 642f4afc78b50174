/**
 * Reads whole files that may be anything: a FIFO whose writer is slow, a file of a mount that
 * hangs. The calling thread never waits; who reads waits no longer than the deadline.
 */

import {
  close,
  closeSync,
  constants,
  fstat,
  fstatSync,
  open,
  openSync,
  read,
  readFileSync,
  type Stats,
  stat,
} from 'node:fs'
import { Socket } from 'node:net'
import { promisify } from 'node:util'
import { unlessAborted } from './abort.ts'
import { after } from './timers.ts'

export interface ReadLimits {
  /** More than these are an error, `EFBIG`. */
  readonly bytesMax: number
  /** Until the last byte; then the error is `ETIMEDOUT`. */
  readonly deadlineMs: number
  /** It waits for no other files: what is wrong with those may be mended by this one. */
  readonly first?: boolean
}

/** `code`: of the system, or `EISDIR`, `EFBIG`, `ETIMEDOUT`. */
export class ReadError extends Error {
  readonly code: string
  /** Of a file that is too large, where that is known. */
  readonly size: number | undefined

  constructor(code: string, message: string, size?: number) {
    super(message)
    this.code = code
    this.size = size
  }
}

// Without a FileHandle: a socket is to own the descriptor of a FIFO.
const files = {
  open: promisify(open),
  stat: promisify(fstat) as (fd: number) => Promise<Stats>,
  statPath: promisify(stat) as (path: string) => Promise<Stats>,
  read: promisify(read),
  close: promisify(close),
}

const kChunkBytes = 64 * 1024
/**
 * Threads of libuv's pool that files may take which are not read {@link ReadLimits.first}. The pool
 * has four, for all that the process does with files and names: those that hang leave it one, and
 * one to what is read first.
 */
const kThreadsMax = 2

/** What threads of libuv's pool are at. */
let working = 0
/** Of them, those that {@link kThreadsMax} counts. */
let taken = 0
/** Who waits for one of those threads, in order. */
const queue = new Set<() => void>()
/** Files that they are at, though nobody waits for them any more. */
const late = new Set<string>()

/**
 * Whether a thread of libuv's pool works on a file. The end of the process waits for such a thread,
 * which may be for ever, and so it may have to end without.
 */
export function isReading(): boolean {
  return working > 0
}

/** Rejects with a {@link ReadError}, with the system's, or with the reason of `signal`. */
export function readWithin(
  path: string,
  { bytesMax, deadlineMs, first = false }: ReadLimits,
  signal?: AbortSignal,
): Promise<Buffer> {
  return within({ path, deadlineMs, first }, signal, (work) => readAll(work, bytesMax))
}

/** undefined: there is no such file. Else as {@link readWithin}. */
export function statWithin(path: string, deadlineMs: number): Promise<Stats | undefined> {
  return within({ path, deadlineMs, first: false }, undefined, (work) =>
    inPool(work, () =>
      files.statPath(path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error
        return undefined
      }),
    ),
  )
}

/** One file that somebody waits for. */
interface Work {
  readonly path: string
  readonly first: boolean
  readonly giveUp: AbortSignal
  /** It waits for other files. */
  queued: boolean
}

async function within<T>(
  { path, deadlineMs, first }: Pick<Work, 'path' | 'first'> & Pick<ReadLimits, 'deadlineMs'>,
  signal: AbortSignal | undefined,
  run: (work: Work) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted()
  if (late.has(path)) {
    // Another try would take another thread of the pool.
    throw new ReadError('ETIMEDOUT', 'an earlier try to read it waits still')
  }
  const giveUp = new AbortController()
  const work: Work = { path, first, giveUp: giveUp.signal, queued: false }
  const timer = after(deadlineMs, () => {
    const others = work.queued ? `: files before it hang (${[...late].join(', ')})` : ''
    const reason = `not within ${deadlineMs / 1000} s${others}`
    giveUp.abort(new ReadError('ETIMEDOUT', reason))
  })
  const onAbort = (): void => giveUp.abort(signal?.reason)
  signal?.addEventListener('abort', onAbort)
  try {
    return await unlessAborted(run(work), giveUp.signal)
  } finally {
    signal?.removeEventListener('abort', onAbort)
    timer.stop()
  }
}

async function inPool<T>(work: Work, run: () => Promise<T>): Promise<T> {
  const { path, first, giveUp } = work
  if (!first) await turn(work)
  const onAbort = (): void => void late.add(path)
  working++
  giveUp.addEventListener('abort', onAbort)
  try {
    return await run()
  } finally {
    giveUp.removeEventListener('abort', onAbort)
    late.delete(path)
    working--
    if (!first) endTurn()
  }
}

/** Resolves when a thread may be taken, until {@link endTurn}; rejects when that is given up. */
function turn(work: Work): Promise<void> {
  if (taken < kThreadsMax) {
    taken++
    return Promise.resolve()
  }
  const { giveUp } = work
  return new Promise((resolve, reject) => {
    const go = (): void => {
      giveUp.removeEventListener('abort', leave)
      work.queued = false
      resolve()
    }
    const leave = (): void => {
      queue.delete(go)
      reject(giveUp.reason)
    }
    giveUp.addEventListener('abort', leave)
    queue.add(go)
    work.queued = true
  })
}

function endTurn(): void {
  const [next] = queue
  if (!next) {
    taken--
    return
  }
  queue.delete(next)
  next()
}

async function readAll(work: Work, bytesMax: number): Promise<Buffer> {
  const { path, giveUp } = work
  const found = await inPool(work, async (): Promise<Buffer | Socket> => {
    // O_NONBLOCK: opening a FIFO must not wait for a writer; it means nothing for regular files.
    const fd = await files.open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    let owned = true
    try {
      const status = await files.stat(fd)
      if (status.isDirectory()) throw new ReadError('EISDIR', 'is a directory')
      if (status.size > bytesMax) throw new ReadError('EFBIG', 'is too large', status.size)
      if (!status.isFIFO()) return await readRegular(fd, bytesMax, giveUp)
      owned = false
      return new Socket({ fd, readable: true, writable: false })
    } finally {
      if (owned) await files.close(fd)
    }
  })
  return Buffer.isBuffer(found) ? found : readStream(found, bytesMax, giveUp)
}

/**
 * For what has to be read in the middle of something else: a regular file, and nothing that could
 * be waited for.
 */
export function readRegularSync(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if (fstatSync(fd).isFile()) return readFileSync(fd)
  } finally {
    closeSync(fd)
  }
  throw new ReadError('it is no regular file', 'is no regular file')
}

/** To the end, which may come later than the size says, as of files in /proc. */
async function readRegular(fd: number, bytesMax: number, giveUp: AbortSignal): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let size = 0; ; ) {
    const chunk = Buffer.allocUnsafe(kChunkBytes)
    const { bytesRead } = await files.read(fd, chunk, 0, chunk.length, null)
    if (bytesRead === 0 || giveUp.aborted) return Buffer.concat(parts)
    parts.push(chunk.subarray(0, bytesRead))
    size += bytesRead
    if (size > bytesMax) throw new ReadError('EFBIG', 'is too large')
  }
}

/** A pipe, a terminal, or whatever else ends at some time. */
export async function readStream(
  stream: NodeJS.ReadStream | Socket,
  bytesMax: number,
  giveUp?: AbortSignal,
): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  if (giveUp?.aborted) stream.destroy()
  giveUp?.addEventListener('abort', () => stream.destroy(), { once: true })
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    parts.push(chunk)
    size += chunk.length
    if (size > bytesMax) throw new ReadError('EFBIG', 'is too large')
  }
  return Buffer.concat(parts)
}
