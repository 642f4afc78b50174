/**
 * `millrace/core`: the native core alone. Importing it loads the addon; where no binary fits, the
 * error says how to build one.
 */

import { loadNative } from './native/index.ts'

const native = loadNative()

/** Of the native core; the same as the package's. */
export const version: string = native.version

/** Instruction sets that byte scanning uses on this machine, e.g. `['sse4.2', 'avx2']`. */
export const cpuFeatures: readonly string[] = native.cpuFeatures

export type { ErrorCode } from './error_codes.ts'
export { MillraceError, type MillraceErrorOptions } from './errors.ts'
export {
  type FlushCounters,
  FlushFile,
  type FlushFileEvents,
  type FlushFileHandle,
  type FlushLine,
  type FlushLoss,
} from './flush/flush_file.ts'
export type { FlushFileOptions } from './flush/options.ts'
export * from './slots/index.ts'
