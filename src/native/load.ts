/** The one place that loads the addon. */

import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MillraceError } from '../errors.ts'
import type { NativeCore, NativeCoreOptions } from './core.ts'

export interface NativeModule {
  readonly version: string
  /** E.g. `['sse4.2', 'avx2']`. */
  readonly cpuFeatures: readonly string[]
  createCore(options: NativeCoreOptions): NativeCore
}

/** No binary of the native core fits this machine, or the one that is there cannot be loaded. */
export class NativeLoadError extends MillraceError {
  constructor(message: string) {
    super('ERR_MILLRACE_NATIVE_MISSING', message)
  }
}

/** Builds the addon inside an installed package; run it where `node_modules` is. */
export const buildFromSource: string =
  'npm install --no-save node-addon-api@8 node-gyp@12 && ' +
  'npx node-gyp rebuild --directory=node_modules/millrace/native/from_source'

let loaded: NativeModule | undefined

/** The addon: this platform's published binary, or one that was built here. Loaded once. */
export function loadNative(): NativeModule {
  loaded ??= load()
  return loaded
}

function load(): NativeModule {
  const require = createRequire(import.meta.url)
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const reasons: string[] = []
  const candidates = [
    (): unknown => require('node-gyp-build')(root),
    (): unknown => require(join(root, 'native/from_source/build/Release/millrace.node')),
  ]
  for (const candidate of candidates) {
    try {
      return candidate() as NativeModule
    } catch (error) {
      reasons.push(error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error))
    }
  }
  throw new NativeLoadError(
    [
      `no native core for ${process.platform}-${process.arch}, Node ${process.versions.node}:`,
      ...reasons.map((reason) => `  - ${reason}`),
      'Build it from source (needs a C++20 compiler, make and Python 3):',
      `  ${buildFromSource}`,
    ].join('\n'),
  )
}
