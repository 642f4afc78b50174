/** The one place that loads the addon. */

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MillraceError } from '../errors.ts'
import { version } from '../version.ts'
import type { NativeCore, NativeCoreOptions } from './core.ts'
import type { NativeFlushFile, NativeFlushOptions, OnFlushNotice } from './flush.ts'

export interface NativeModule {
  readonly version: string
  /** E.g. `['sse4.2', 'avx2']`. */
  readonly cpuFeatures: readonly string[]
  createCore(options: NativeCoreOptions): NativeCore

  /** Opens the file and starts its flush thread. Throws with errno's number. */
  openFlushFile(options: NativeFlushOptions, onNotice: OnFlushNotice): NativeFlushFile
  /** undefined: there is no such file (any more). */
  attachFlushFile(
    number: number,
    maxBytes: number,
    waits: boolean,
    onNotice: OnFlushNotice,
  ): NativeFlushFile | undefined
  /** SIGTERM, SIGINT, SIGHUP, where left to their default, flush these files first. Repeatable. */
  watchEndingSignals(): void
}

/** The addon, and the file that it came from. */
export interface NativeBinary {
  readonly module: NativeModule
  readonly path: string
}

/** No binary of the native core fits this machine, or the one that is there cannot be loaded. */
export class NativeLoadError extends MillraceError {
  constructor(message: string) {
    super('ERR_MILLRACE_NATIVE_MISSING', message)
  }
}

/** Builds the addon inside an installed package; run it where `node_modules` is. */
export const buildCommand: string = 'npx millrace build-native'

/** The package's own folder. */
export const packageRoot: string = fileURLToPath(new URL('../..', import.meta.url))

/** Where {@link buildCommand} leaves the addon. */
export const builtHere: string = join(packageRoot, 'native/from_source/build/Release/millrace.node')

const require = createRequire(import.meta.url)
let loaded: NativeBinary | undefined

/** The addon: the one that was built on this machine, else this platform's published binary. */
export function loadNative(): NativeModule {
  return nativeBinary().module
}

/** As {@link loadNative}; loaded once in each thread. */
export function nativeBinary(): NativeBinary {
  loaded ??= load()
  return loaded
}

function load(): NativeBinary {
  const reasons: string[] = []
  const candidates = [
    ...(existsSync(builtHere) ? [(): string => builtHere] : []),
    (): string =>
      (require('node-gyp-build') as { resolve(root: string): string }).resolve(packageRoot),
  ]
  for (const candidate of candidates) {
    try {
      const path = candidate()
      const module = require(path) as NativeModule
      if (module.version === version()) return { module, path }
      reasons.push(`${path} is of version ${module.version}, the package of ${version()}`)
    } catch (error) {
      reasons.push(error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error))
    }
  }
  const platform = `${process.platform}-${process.arch}, Node ${process.versions.node}`
  throw new NativeLoadError(
    [
      `no native core for ${platform}:`,
      ...reasons.map((reason) => `  - ${reason}`),
      'Build it from source (needs a C++20 compiler, make and Python 3):',
      `  ${buildCommand}`,
    ].join('\n'),
  )
}
