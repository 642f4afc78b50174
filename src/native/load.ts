/** The one place that loads the addon. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MillraceError } from '../errors.ts'
import { version } from '../version.ts'
import type { NativeCore, NativeCoreOptions } from './core.ts'
import type { NativeFlushFile, NativeFlushOptions, OnFlushNotice } from './flush.ts'
import type { NativeTable } from './slots.ts'

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
  /** Ends the process at once, without waiting for threads that read from a mount that hangs. */
  endProcess(code: number): never
  /** A new table, owned by this thread. */
  createSlotTable(thread: number, name: string): NativeTable
  /** A table of another thread, by its handle. */
  attachSlotTable(id: number, key: number, thread: number, name: string): NativeTable
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

/** The package's own folder. In a bundle: the folder of the bundle. */
export const packageRoot: string = ownFolder()

/** Where {@link buildCommand} leaves the addon. */
export const builtHere: string = join(packageRoot, 'native/from_source/build/Release/millrace.node')

// Not by an import, in which webpack would recognise it, and put its own in its place.
const { createRequire } = process.getBuiltinModule('node:module')
const require = createRequire(join(packageRoot, 'package.json'))
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
    ...besideBundle().map((path) => (): string => path),
  ]
  for (const candidate of candidates) {
    try {
      const path = candidate()
      const module = require(path) as NativeModule
      if (module.version === version()) return { module, path }
      reasons.push(`${path} is of version ${module.version}, the package of ${version()}`)
    } catch (error) {
      if ((error as NodeJS.ErrnoException)?.code === 'ERR_DLOPEN_DISABLED') throw disabledError()
      reasons.push(error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error))
    }
  }
  const platform = `${process.platform}-${process.arch}, Node ${process.versions.node}`
  throw new NativeLoadError(
    [
      `no native core for ${platform}:`,
      ...reasons.map((reason) => `  - ${reason}`),
      'In a bundle: keep millrace external, or copy node_modules/millrace/prebuilds beside it.',
      'Build it from source (needs a C++20 compiler, make and Python 3):',
      `  ${buildCommand}`,
    ].join('\n'),
  )
}

function disabledError(): NativeLoadError {
  return new NativeLoadError(
    'this process may load no native addons, and Millrace is one: start Node without ' +
      '--no-addons; under its permission model, with --allow-addons',
  )
}

// A bundler may leave nothing of import.meta.url, or make it the name of a file of the machine that
// it ran on. (It takes `new URL(…, import.meta.url)` for a file to copy.)
function ownFolder(): string {
  const url: string | undefined = import.meta.url
  if (url?.startsWith('file:')) {
    const folder = dirname(fileURLToPath(url))
    const root = join(folder, '../..')
    // Here this file is in dist/native/ or src/native/.
    if (isOwnPackage(root)) return root
    if (existsSync(folder)) return folder
  }
  // In a bundle of CommonJS.
  return typeof __dirname === 'string' ? __dirname : programFolder()
}

function isOwnPackage(folder: string): boolean {
  const file = join(folder, 'package.json')
  if (!existsSync(file)) return false
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { name?: unknown }).name === 'millrace'
  } catch {
    return false // somebody else's, around a bundle
  }
}

/**
 * The published binaries, by a path that file tracers (@vercel/nft, and so Next.js's standalone
 * output) can follow: they copy the folder that an expression without variables names.
 */
function tracedPrebuilds(): readonly string[] {
  const url: string | undefined = import.meta.url
  if (!url?.startsWith('file:')) return []
  return [join(dirname(fileURLToPath(import.meta.url)), '../../prebuilds')]
}

function programFolder(): string {
  return dirname(process.argv[1] ?? process.execPath)
}

/** Published binaries for this platform, where a bundle may have them beside it. */
function besideBundle(): readonly string[] {
  const beside = [packageRoot, programFolder()].map((folder) => join(folder, 'prebuilds'))
  const platform = `${process.platform}-${process.arch}`
  const libc = existsSync('/etc/alpine-release') ? 'musl' : 'glibc'
  return [...new Set([...tracedPrebuilds(), ...beside])].flatMap((folder) => {
    const prebuilds = join(folder, platform)
    if (!existsSync(prebuilds)) return []
    // millrace.glibc.node, millrace.musl.node; without a tag where there is one libc.
    return readdirSync(prebuilds)
      .filter((name) => name === `millrace.${libc}.node` || name === 'millrace.node')
      .map((name) => join(prebuilds, name))
  })
}
