// The package where what a program needs is found without Node: by a tracer of files, which is what
// Next.js does for `output: 'standalone'`, and by jest's own loader.
import { execFile } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { nodeFileTrace } from '@vercel/nft'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const exec = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')

const kUse = "const table = new SlotTable()\nconsole.log('used')\ntable.close()\n"
const kPrograms = {
  'app.mjs': `import { SlotTable } from 'millrace/core'\n${kUse}`,
  'app.cjs': `const { SlotTable } = require('millrace/core')\n${kUse}`,
}

let base = ''
beforeAll(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-traced-')))
  const own = join(base, 'node_modules/millrace')
  mkdirSync(own, { recursive: true })
  for (const part of ['dist', 'package.json']) {
    cpSync(join(root, part), join(own, part), { recursive: true })
  }
  const libc = readFileSync('/proc/self/maps', 'utf8').includes('musl') ? 'musl' : 'glibc'
  const binary = `prebuilds/${process.platform}-${process.arch}/millrace.${libc}.node`
  cpSync(join(root, 'build/Release/millrace.node'), join(own, binary))
  for (const dependency of ['node-gyp-build', 'pino', 'yaml']) {
    const to = join(base, 'node_modules', dependency)
    cpSync(join(root, 'node_modules', dependency), to, { recursive: true })
  }
  writeFileSync(join(base, 'package.json'), '{ "private": true }\n')
  for (const [name, text] of Object.entries(kPrograms)) writeFileSync(join(base, name), text)
})
afterAll(() => rmSync(base, { recursive: true, force: true }))

describe('a tracer of files', () => {
  it.each(Object.keys(kPrograms))('finds the binary, and what it copies runs: %s', async (name) => {
    const { fileList } = await nodeFileTrace([join(base, name)], { base, processCwd: base })
    const binaries = [...fileList].filter((file) => file.endsWith('.node'))
    expect(binaries).toEqual([expect.stringMatching(/^node_modules\/millrace\/prebuilds\//)])
    const elsewhere = mkdtempSync(join(tmpdir(), 'millrace-copied-'))
    try {
      for (const file of fileList) {
        mkdirSync(dirname(join(elsewhere, file)), { recursive: true })
        cpSync(join(base, file), join(elsewhere, file))
      }
      const args = ['--no-warnings', join(elsewhere, name)]
      const { stdout } = await exec(process.execPath, args, { cwd: elsewhere })
      expect(stdout).toBe('used\n')
    } finally {
      rmSync(elsewhere, { recursive: true })
    }
  })
})

describe('a loader of CommonJS that is not Node’s', () => {
  // As jest makes modules: in a realm of its own, with a require of its own that takes the
  // condition "require" and evaluates what it finds itself.
  it.each(['index', 'core', 'pino'])('loads the door %s', async (door) => {
    const program = `
      const { createRequire } = require('node:module')
      const { readFileSync } = require('node:fs')
      const { dirname, join } = require('node:path')
      const vm = require('node:vm')
      const realm = vm.createContext({ process: { getBuiltinModule: () => undefined }, console })
      function load(file) {
        const text = readFileSync(file, 'utf8')
        const wrap = '(function (module, exports, require, __filename, __dirname) {' + text + '\\n})'
        const module = { exports: {} }
        const find = (name) => name.startsWith('node:') ? require(name) : load(join(dirname(file), name))
        vm.runInContext(wrap, realm)(module, module.exports, find, file, dirname(file))
        return module.exports
      }
      const own = process.argv[1]
      const exported = require(join(own, 'package.json')).exports
      const door = Object.values(exported).map((e) => e.require)
        .find((file) => file?.endsWith('/${door}.cjs'))
      const loaded = load(join(own, door))
      const byNode = createRequire(join(own, 'package.json'))(join(own, 'dist/${door}.js'))
      console.log(loaded === byNode && Object.keys(loaded).length > 0 ? 'same' : 'other')`
    const args = ['--no-warnings', '--eval', program, join(base, 'node_modules/millrace')]
    const { stdout } = await exec(process.execPath, args)
    expect(stdout).toBe('same\n')
  })
})
