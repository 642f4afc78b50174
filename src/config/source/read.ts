/** The bytes of a configuration file to text. */

import { readFileSync, statSync } from 'node:fs'
import type { Problem } from '../problem.ts'
import { ConfigError } from '../problem.ts'

/**
 * Larger than any configuration that a person or a generator writes; parsing YAML takes about a
 * second for each 2 MiB.
 */
const kFileBytesMax = 8 * 1024 * 1024

/** Throws a ConfigError when there is no text to be had. */
export function readSource(path: string): string {
  const bytes = readBytes(path)
  const text = decode(bytes)
  if (text === undefined || text.includes('\0')) {
    throw unreadable(path, 'is not text in UTF-8')
  }
  return text
}

function readBytes(path: string): Buffer {
  try {
    const status = statSync(path)
    if (status.isDirectory()) throw unreadable(path, 'is a directory', 'name the file in it')
    if (status.size > kFileBytesMax) {
      const limit = `${kFileBytesMax / 1024 / 1024} MiB`
      throw unreadable(path, `has ${status.size} bytes, and a configuration has at most ${limit}`)
    }
    return readFileSync(path)
  } catch (error) {
    if (error instanceof ConfigError) throw error
    const code = (error as NodeJS.ErrnoException).code ?? String(error)
    const words = { ENOENT: 'does not exist', EACCES: 'may not be read by this user' }[code]
    throw unreadable(path, words ?? `cannot be read: ${code}`)
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
