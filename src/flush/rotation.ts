// When a file is rotated, and what becomes of the old ones: checked, for the core.

import type { NativeRotation } from '../native/index.ts'
import { integer, refuseUnknown } from './checks.ts'
import { wrongArgument } from './errors.ts'

/** At least one of `size` and `interval`. */
export interface RotateOptions {
  /**
   * Bytes that a file does not grow beyond: a number, or a text such as `'100m'` (k, m and g are
   * powers of 1024). A longer line has a file of its own. At least 4096.
   */
  readonly size?: number | string
  /**
   * `'hourly'` and `'daily'` begin with the hour and at midnight, local time; milliseconds (1000 to
   * a year) at their multiples since 1970. A file that nothing was written to is not rotated.
   */
  readonly interval?: 'hourly' | 'daily' | number
  /** How many old files stay. All, when left out. */
  readonly keep?: number
  /** Old files are compressed. Default false. */
  readonly gzip?: boolean
}

const kLeastSize = 4096
const kMostKept = 1_000_000
const kLeastMs = 1000
const kMostMs = 366 * 86_400_000
const kUnits: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }
const kSizeWanted = "bytes, 4096 or more, as a number or a text such as '100m'"

/** Bytes of a number or of a text with a unit; undefined: it is neither, or out of range. */
export function bytesOf(size: unknown): number | undefined {
  const text = typeof size === 'string' ? /^(\d{1,16})\s*([kmg]?)b?$/i.exec(size) : null
  const bytes = text ? Number(text[1]) * (kUnits[text[2]?.toLowerCase() ?? ''] ?? 1) : size
  if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes)) return undefined
  return bytes < kLeastSize ? undefined : bytes
}

export function checkedRotation(given: unknown): NativeRotation {
  const known = ['size', 'interval', 'keep', 'gzip'] as const
  const options = refuseUnknown(given, known, 'rotate') as RotateOptions
  const { size, interval, keep, gzip = false } = options
  if (size === undefined && interval === undefined) {
    throw wrongArgument('rotate', 'size, interval, or both', given)
  }
  const maxBytes = size === undefined ? 0 : bytesOf(size)
  if (maxBytes === undefined) throw wrongArgument('size', kSizeWanted, size)
  if (typeof gzip !== 'boolean') throw wrongArgument('gzip', 'true or false', gzip)
  return {
    maxBytes,
    ...everyOf(interval),
    // 0 could be meant for none as well as for all.
    keep: keep === undefined ? 0 : integer('keep', keep, 1, kMostKept),
    gzip,
  }
}

function everyOf(interval: unknown): Pick<NativeRotation, 'every' | 'periodMs'> {
  if (interval === undefined) return { every: 'never', periodMs: 0 }
  if (interval === 'hourly') return { every: 'hour', periodMs: 0 }
  if (interval === 'daily') return { every: 'day', periodMs: 0 }
  if (typeof interval !== 'number') {
    throw wrongArgument('interval', "'hourly', 'daily' or milliseconds", interval)
  }
  return { every: 'period', periodMs: integer('interval', interval, kLeastMs, kMostMs) }
}
