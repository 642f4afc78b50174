// The end of the process.

import { loadNative } from '../native/index.ts'
import { isReading } from '../read_file.ts'

/** Whoever calls has written out what there was to write. */
export function leave(code: number): never {
  // process.exit() would wait for the file, too.
  if (isReading()) loadNative().endProcess(code)
  process.exit(code)
}
