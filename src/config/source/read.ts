/** The bytes of a configuration file to text. */

import { ReadError, readStream, readWithin } from '../../read_file.ts'
import type { Problem } from '../problem.ts'
import { ConfigError } from '../problem.ts'

/**
 * Larger than any configuration that a person or a generator writes; parsing YAML takes about a
 * second for each 2 MiB.
 */
const kFileBytesMax = 8 * 1024 * 1024
/** A FIFO's writer may have to make it first: `-c <(helm template …)`. */
const kDeadlineMs = 30_000

/** Rejects with a ConfigError when there is no text to be had, or with the reason of `giveUp`. */
export async function readSource(path: string, giveUp?: AbortSignal): Promise<string> {
  const limits = { bytesMax: kFileBytesMax, deadlineMs: kDeadlineMs, first: true }
  return textOf(path, () => readWithin(path, limits, giveUp), giveUp)
}

/** As {@link readSource}, to the end of standard input, however long that takes. */
export async function readStandardInput(name: string): Promise<string> {
  return textOf(name, () => readStream(process.stdin, kFileBytesMax))
}

async function textOf(
  name: string,
  read: () => Promise<Buffer>,
  giveUp?: AbortSignal,
): Promise<string> {
  let bytes: Buffer
  try {
    bytes = await read()
  } catch (error) {
    giveUp?.throwIfAborted()
    throw readProblem(name, error)
  }
  const text = decode(bytes)
  if (text === undefined || text.includes('\0')) throw unreadable(name, 'is not text in UTF-8')
  return text
}

function readProblem(name: string, error: unknown): ConfigError {
  const { code = String(error), message } = error as NodeJS.ErrnoException
  switch (code) {
    case 'EISDIR':
      return unreadable(name, 'is a directory', 'name the file in it')
    case 'EFBIG': {
      const size = error instanceof ReadError ? error.size : undefined
      const limit = `${kFileBytesMax / 1024 / 1024} MiB`
      const has = size === undefined ? `more than ${limit}` : `${size} bytes`
      return unreadable(name, `has ${has}, and a configuration has at most ${limit}`)
    }
    case 'ETIMEDOUT':
      return unreadable(
        name,
        `cannot be read: ${message}`,
        'see whether its file system answers; a FIFO needs a writer that closes it',
      )
    case 'ENOENT':
      return unreadable(name, 'does not exist')
    case 'EACCES':
      return unreadable(name, 'may not be read by this user')
    default:
      return unreadable(name, `cannot be read: ${code}`)
  }
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

function unreadable(path: string, message: string, hint?: string): ConfigError {
  const problem: Problem = { file: path, line: 1, column: 1, path: '', code: 'unreadable', message }
  return new ConfigError([hint === undefined ? problem : { ...problem, hint }])
}
