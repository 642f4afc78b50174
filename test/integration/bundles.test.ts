// `millrace/pino` in programs of every kind: ESM, CJS, and in one file made by a bundler, with the
// two majors of pino. A bundle runs where there is no node_modules: what it needs is what
// docs/pino.md says.
import { execFile } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { rspack } from '@rspack/core'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import webpack from 'webpack'

const exec = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')

const kBody = `
  const to = destination({ dest: process.argv[2], mkdir: true })
  pino({ base: null, timestamp: false }, to).info({ a: 1 }, 'hello')
  // It ends without to.end(): nothing is lost.
`
const kTransport = `
  const log = pino({ base: null, timestamp: false }, pino.transport({
    target: 'millrace/pino', options: { dest: process.argv[2], mkdir: true } }))
  log.info({ a: 1 }, 'hello')
`
const kEsm =
  "import { pino } from 'pino'\nimport { destination } from 'millrace/pino'\nvoid destination\n"
const kCjs =
  "const { pino } = require('pino')\nconst { destination } = require('millrace/pino')\nvoid destination\n"
const kLine = '{"level":30,"a":1,"msg":"hello"}\n'
// What a CommonJS package (pino) needs in a bundle of ES modules, of esbuild's.
const kRequire =
  "import { createRequire as forPino } from 'node:module'; const require = forPino(import.meta.url)"

let work = ''
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'millrace-bundles-'))
  for (const pino of ['pino', 'pino-9']) app(pino)
})
afterAll(() => rmSync(work, { recursive: true, force: true }))

/** A project that has installed this package, as it is published, and a pino. */
function app(pino: string): void {
  const modules = join(work, pino, 'node_modules')
  const own = join(modules, 'millrace')
  mkdirSync(join(own, 'native'), { recursive: true })
  for (const part of ['dist', 'package.json', 'native/sources.mjs']) {
    cpSync(join(root, part), join(own, part), { recursive: true })
  }
  const libc = readFileSync('/proc/self/maps', 'utf8').includes('musl') ? 'musl' : 'glibc'
  const binary = `prebuilds/${process.platform}-${process.arch}/millrace.${libc}.node`
  mkdirSync(dirname(join(own, binary)), { recursive: true })
  cpSync(join(root, 'build/Release/millrace.node'), join(own, binary))
  symlinkSync(join(root, 'node_modules/node-gyp-build'), join(modules, 'node-gyp-build'))
  symlinkSync(join(root, 'node_modules', pino), join(modules, 'pino'))
  const write = (name: string, text: string): void => writeFileSync(join(work, pino, name), text)
  write('package.json', '{ "private": true }\n')
  write('app.mjs', kEsm + kBody)
  write('app.cjs', kCjs + kBody)
  write('transport.mjs', kEsm + kTransport)
  write('transport.cjs', kCjs + kTransport)
}

/** Runs a program of a project; what it logged. */
async function logged(pino: string, program: string): Promise<string> {
  const log = join(work, pino, 'logs', `${program.replaceAll('/', '-')}.log`)
  const args = [join(work, pino, program), log]
  const { stderr } = await exec(process.execPath, args, { cwd: join(work, pino) })
  expect(stderr).toBe('')
  return readFileSync(log, 'utf8')
}

/** The same, where node_modules is out of reach; the binary is beside the bundle. */
async function loggedAlone(pino: string, program: string): Promise<string> {
  const from = join(work, pino, 'node_modules')
  const beside = join(work, pino, dirname(program), 'prebuilds')
  cpSync(join(from, 'millrace/prebuilds'), beside, { recursive: true })
  const hidden = join(work, `${pino}-hidden`)
  renameSync(from, hidden)
  try {
    return await logged(pino, program)
  } finally {
    renameSync(hidden, from)
  }
}

/** What the two have in common, as far as it is used here. */
type Pack = (
  options: object,
  done: (error: Error | null, stats?: { hasErrors(): boolean; toString(): string }) => void,
) => unknown

function pack(by: Pack, pino: string, entry: string, folder: string, external: boolean) {
  const context = join(work, pino)
  return new Promise<void>((resolve, reject) => {
    const options = {
      context,
      mode: 'production',
      target: 'node20',
      entry: `./${entry}`,
      output: { path: join(context, folder), filename: 'bundle.cjs' },
      externals: external ? { 'millrace/pino': 'commonjs millrace/pino' } : {},
    }
    by(options, (error, stats) => {
      if (error !== null || stats?.hasErrors()) reject(error ?? new Error(stats?.toString()))
      else resolve()
    })
  })
}

describe.each(['pino', 'pino-9'])('%s', (pino) => {
  it.each(['app.mjs', 'app.cjs'])('as it is: %s', async (program) => {
    expect(await logged(pino, program)).toBe(kLine)
  })

  it.each(['transport.mjs', 'transport.cjs'])('as a transport: %s', async (program) => {
    expect(await logged(pino, program)).toBe(kLine)
  })

  it.each([
    ['esm', false],
    ['esm', true],
    ['cjs', false],
    ['cjs', true],
  ] as const)('bundled by esbuild: %s, external: %s', async (format, external) => {
    const folder = `esbuild-${format}-${external}`
    const outfile = `${folder}/bundle.${format === 'esm' ? 'mjs' : 'cjs'}`
    await build({
      absWorkingDir: join(work, pino),
      entryPoints: ['app.mjs'],
      bundle: true,
      platform: 'node',
      target: 'node20',
      format,
      outfile,
      logLevel: 'error',
      external: external ? ['millrace'] : [],
      banner: format === 'esm' ? { js: kRequire } : {},
    })
    const log = await (external ? logged(pino, outfile) : loggedAlone(pino, outfile))
    expect(log).toBe(kLine)
  })

  it.each([
    ['webpack', false],
    ['webpack', true],
    ['rspack', false],
    ['rspack', true],
  ] as const)('bundled by %s, external: %s', async (name, external) => {
    const folder = `${name}-${external}`
    const by = (name === 'webpack' ? webpack : rspack) as unknown as Pack
    await pack(by, pino, 'app.mjs', folder, external)
    const program = `${folder}/bundle.cjs`
    const log = await (external ? logged(pino, program) : loggedAlone(pino, program))
    expect(log).toBe(kLine)
  })

  it('says what is missing where a bundle has no binary beside it', async () => {
    const file = 'bare/bundle.cjs'
    await build({
      absWorkingDir: join(work, pino),
      entryPoints: ['app.mjs'],
      bundle: true,
      platform: 'node',
      format: 'cjs',
      outfile: file,
      logLevel: 'error',
    })
    const alone = mkdtempSync(join(tmpdir(), 'millrace-alone-'))
    cpSync(join(work, pino, file), join(alone, 'bundle.cjs'))
    const run = exec(process.execPath, [join(alone, 'bundle.cjs'), join(alone, 'a.log')])
    await expect(run).rejects.toThrow(/copy node_modules\/millrace\/prebuilds beside it/)
    rmSync(alone, { recursive: true })
  })
})
