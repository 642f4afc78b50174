// The options of a FlushFile: checked, with defaults filled in.

import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { NativeFlushOptions } from '../native/index.ts'
import { integer, refuseUnknown } from './checks.ts'
import { wrongArgument } from './errors.ts'
import { checkedRotation, type RotateOptions } from './rotation.ts'

export interface FlushFileOptions {
  /** The file, created when it is not there. Either this or `fd`. */
  readonly path?: string | URL
  /** An open descriptor. It is duplicated: closing yours later changes nothing. */
  readonly fd?: number
  /**
   * Up to so many bytes are buffered for each thread that writes, 16 bytes more for each line than
   * its own. Default 16 MiB.
   */
  readonly maxBytes?: number
  /** What `write` does when they are: counts the line as dropped (default), or waits for room. */
  readonly onFull?: 'drop' | 'block'
  /** Lines are on their way to the kernel after so many milliseconds, or sooner. Default 100. */
  readonly flushInterval?: number
  /** Waits for the device after each pass, and before a flush is done. Default false. */
  readonly fsync?: boolean
  /**
   * Permissions of a file that is created, e.g. `0o640` or `'640'`, less the process's umask.
   * Default `0o666`, as in `node:fs`.
   */
  readonly mode?: number | string
  /** false empties a file that is there when it is opened. Default true. */
  readonly append?: boolean
  /** Creates missing folders. Default false. */
  readonly mkdir?: boolean
  /** When to go on in a new file, and how many old ones to keep. Default: never. */
  readonly rotate?: RotateOptions
  /**
   * How long the end of the process may wait for this file, milliseconds. Default 2000. 0: it does
   * not wait, and what is buffered then is lost in silence.
   */
  readonly exitDeadline?: number
}

export const kDefaultDeadline = 2000
const kDefaultMaxBytes = 16 * 1024 * 1024
const kDefaultInterval = 100
const kDefaultMode = 0o666
/** A buffer grows by so much: large beside a line, small beside what a process uses. */
const kSegmentBytes = 1024 * 1024
/** So much is worth a write of its own before the interval is over. */
const kFillMark = 64 * 1024
const kMinBytes = 4096
const kMaxBytes = 2 ** 30
const kMaxMs = 2 ** 31 - 1

export interface CheckedOptions extends NativeFlushOptions {
  readonly onFull: 'drop' | 'block'
}

function flag(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrongArgument(name, 'true or false', value)
  return value
}

/** Of `flushSync`, `end` and the end of the process. */
export function deadline(name: string, value: unknown): number {
  return integer(name, value, 0, kMaxMs)
}

function mode(value: unknown): number {
  const number =
    typeof value === 'string' && /^[0-7]{1,4}$/.test(value) ? parseInt(value, 8) : value
  return integer('mode', number, 0, 0o7777)
}

function target(path: unknown, fd: unknown): { path: string } | { fd: number } {
  if ((path === undefined) === (fd === undefined)) {
    throw wrongArgument('path', 'either path or fd', path === undefined ? 'neither' : 'both')
  }
  if (fd !== undefined) return { fd: integer('fd', fd, 0, kMaxMs) }
  const text = path instanceof URL ? urlPath(path) : path
  if (typeof text !== 'string' || text === '' || text.includes('\0')) {
    throw wrongArgument('path', 'the path of a file, without zero bytes', path)
  }
  // Absolute: the process may change its folder before the file is reopened.
  return { path: resolve(text) }
}

function urlPath(url: URL): string {
  if (url.protocol !== 'file:') throw wrongArgument('path', 'a file: URL', url.href)
  return fileURLToPath(url)
}

const kKnown = [
  'path',
  'fd',
  'maxBytes',
  'onFull',
  'flushInterval',
  'fsync',
  'mode',
  'append',
  'mkdir',
  'rotate',
  'exitDeadline',
] as const satisfies readonly (keyof FlushFileOptions)[]

/** `fillMark` is for destinations, whose minLength it is. */
export function checked(given: FlushFileOptions, fillMark: number = kFillMark): CheckedOptions {
  const options = refuseUnknown(given, kKnown, 'options') as FlushFileOptions
  const { onFull = 'drop', maxBytes = kDefaultMaxBytes } = options
  if (onFull !== 'drop' && onFull !== 'block') {
    throw wrongArgument('onFull', "'drop' or 'block'", onFull)
  }
  const bytes = integer('maxBytes', maxBytes, kMinBytes, kMaxBytes)
  const to = target(options.path, options.fd)
  const rotation = options.rotate === undefined ? undefined : checkedRotation(options.rotate)
  if (rotation !== undefined && 'fd' in to) {
    throw wrongArgument('rotate', 'a path, whose file can be renamed, and no descriptor', to.fd)
  }
  return {
    ...to,
    name: 'path' in to ? to.path : `descriptor ${to.fd}`,
    maxBytes: bytes,
    segmentBytes: Math.min(bytes, kSegmentBytes),
    fillMark: Math.min(fillMark, bytes >> 2),
    onFull,
    waits: onFull === 'block',
    flushInterval: integer('flushInterval', options.flushInterval ?? kDefaultInterval, 1, kMaxMs),
    fsync: flag('fsync', options.fsync ?? false),
    mode: mode(options.mode ?? kDefaultMode),
    append: flag('append', options.append ?? true),
    mkdir: flag('mkdir', options.mkdir ?? false),
    ...(rotation && { rotation }),
    endDeadline: deadline('exitDeadline', options.exitDeadline ?? kDefaultDeadline),
  }
}
