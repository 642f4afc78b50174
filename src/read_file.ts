/**
 * Reads whole files that may be anything: a FIFO whose writer is slow, a file of a mount that
 * hangs. The calling thread never waits; who reads waits no longer than the deadline.
 */

import { close, constants, fstat, open, read, type Stats } from 'node:fs'
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
  read: promisify(read),
  close: promisify(close),
}

const kChunkBytes = 64 * 1024

/** Files that threads of libuv's pool work on; true: their reader has given up. */
const reading = new Map<string, boolean>()

/**
 * Whether a thread of libuv's pool works on a file. The end of the process waits for such a thread,
 * which may be for ever, and so it may have to end without.
 */
export function isReading(): boolean {
  return reading.size > 0
}

/** Rejects with a {@link ReadError}, with the system's, or with the reason of `signal`. */
export async function readWithin(
  path: string,
  limits: ReadLimits,
  signal?: AbortSignal,
): Promise<Buffer> {
  signal?.throwIfAborted()
  if (reading.get(path)) {
    // Another try would take another thread of the pool, which has four.
    throw new ReadError('ETIMEDOUT', 'an earlier try to read it waits still')
  }
  const giveUp = new AbortController()
  const work = readAll(path, limits.bytesMax, giveUp.signal)
  const stop = (reason: Error): void => {
    giveUp.abort(reason)
    if (reading.has(path)) reading.set(path, true)
  }
  const late = `not within ${limits.deadlineMs / 1000} s`
  const timer = after(limits.deadlineMs, () => stop(new ReadError('ETIMEDOUT', late)))
  const onAbort = (): void => stop(signal?.reason as Error)
  signal?.addEventListener('abort', onAbort)
  try {
    return await unlessAborted(work, giveUp.signal)
  } finally {
    signal?.removeEventListener('abort', onAbort)
    timer.stop()
  }
}

async function readAll(path: string, bytesMax: number, giveUp: AbortSignal): Promise<Buffer> {
  reading.set(path, false)
  let fifo: Socket
  try {
    // O_NONBLOCK: opening a FIFO must not wait for a writer; it means nothing for regular files.
    const fd = await files.open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    let owned = true
    try {
      const status = await files.stat(fd)
      if (status.isDirectory()) throw new ReadError('EISDIR', 'is a directory')
      if (status.size > bytesMax) throw new ReadError('EFBIG', 'is too large', status.size)
      if (!status.isFIFO()) return await readRegular(fd, bytesMax, giveUp)
      fifo = new Socket({ fd, readable: true, writable: false })
      owned = false
    } finally {
      if (owned) await files.close(fd)
    }
  } finally {
    reading.delete(path)
  }
  return readStream(fifo, bytesMax, giveUp)
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
  giveUp?.addEventListener('abort', () => stream.destroy(), { once: true })
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    parts.push(chunk)
    size += chunk.length
    if (size > bytesMax) throw new ReadError('EFBIG', 'is too large')
  }
  return Buffer.concat(parts)
}
