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

/** What threads of libuv's pool are at. */
let working = 0
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
  { bytesMax, deadlineMs }: ReadLimits,
  signal?: AbortSignal,
): Promise<Buffer> {
  return within(path, deadlineMs, signal, (giveUp) => readAll(path, bytesMax, giveUp))
}

/** undefined: there is no such file. Else as {@link readWithin}. */
export function statWithin(path: string, deadlineMs: number): Promise<Stats | undefined> {
  return within(path, deadlineMs, undefined, (giveUp) =>
    inPool(path, giveUp, () =>
      files.statPath(path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error
        return undefined
      }),
    ),
  )
}

async function within<T>(
  path: string,
  deadlineMs: number,
  signal: AbortSignal | undefined,
  work: (giveUp: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted()
  if (late.has(path)) {
    // Another try would take another thread of the pool, which has four.
    throw new ReadError('ETIMEDOUT', 'an earlier try to read it waits still')
  }
  const giveUp = new AbortController()
  const reason = `not within ${deadlineMs / 1000} s`
  const timer = after(deadlineMs, () => giveUp.abort(new ReadError('ETIMEDOUT', reason)))
  const onAbort = (): void => giveUp.abort(signal?.reason)
  signal?.addEventListener('abort', onAbort)
  try {
    return await unlessAborted(work(giveUp.signal), giveUp.signal)
  } finally {
    signal?.removeEventListener('abort', onAbort)
    timer.stop()
  }
}

async function inPool<T>(path: string, giveUp: AbortSignal, work: () => Promise<T>): Promise<T> {
  const onAbort = (): void => void late.add(path)
  working++
  giveUp.addEventListener('abort', onAbort)
  try {
    return await work()
  } finally {
    giveUp.removeEventListener('abort', onAbort)
    late.delete(path)
    working--
  }
}

async function readAll(path: string, bytesMax: number, giveUp: AbortSignal): Promise<Buffer> {
  const found = await inPool(path, giveUp, async (): Promise<Buffer | Socket> => {
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
