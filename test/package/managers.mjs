// The package under other package managers, as they come: nothing that an installation brings runs
// anything. pnpm and npm 12 fail, and bun leaves out, where a dependency has an install script.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { check, exec, expect } from './stage.mjs'

const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall']
// Those that npm itself can bring, each a program without a script of its own.
const BUN = `@oven/bun-${process.platform}-${process.arch === 'arm64' ? 'aarch64' : process.arch}`
const TOOLS = ['pnpm@12', 'yarn@1', `${BUN}@1`]

const program = `
  import { createProxy } from 'millrace'
  import { SlotTable } from 'millrace/core'
  new SlotTable().close()
  console.log(typeof createProxy === 'function' && 'used')`

async function bring(dir) {
  mkdirSync(dir)
  writeFileSync(join(dir, 'package.json'), '{ "private": true }\n')
  await exec('npm', ['install', '--ignore-scripts', ...TOOLS], { cwd: dir })
  return join(dir, 'node_modules')
}

/** package.json of everything that was installed below a folder, links followed once. */
function* installed(modules) {
  for (const entry of readdirSync(modules, { withFileTypes: true })) {
    const path = join(modules, entry.name)
    if (entry.name === '.pnpm') {
      for (const name of readdirSync(path)) {
        if (name !== 'node_modules' && !name.endsWith('.yaml')) {
          yield* installed(join(path, name, 'node_modules'))
        }
      }
    }
    if (entry.name.startsWith('.') || !entry.isDirectory()) continue
    if (entry.name.startsWith('@')) yield* installed(path)
    else {
      yield [path, JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'))]
      const nested = join(path, 'node_modules')
      if (readdirSync(path).includes('node_modules')) yield* installed(nested)
    }
  }
}

/** Fails for a package that has something to run when it is installed. */
export function runsNothing(modules) {
  let count = 0
  for (const [path, { name, scripts = {}, gypfile }] of installed(modules)) {
    count++
    const own = INSTALL_SCRIPTS.filter((script) => scripts[script] !== undefined)
    expect(own.length === 0, `${name} has ${own} (${path})`)
    // npm makes an install script of its own where there is a binding.gyp.
    const gyp = gypfile !== false && readdirSync(path).includes('binding.gyp')
    expect(!gyp, `${name} is built on installation (${path})`)
  }
  expect(count >= 4, `${modules} has only ${count} packages`)
}

async function add(dir, command, args) {
  mkdirSync(dir)
  writeFileSync(
    join(dir, 'package.json'),
    '{ "name": "consumer", "type": "module", "private": true }\n',
  )
  await exec(command, args, { cwd: dir, env: { ...process.env, CI: 'true' } })
  runsNothing(join(dir, 'node_modules'))
  const options = { cwd: dir, env: { ...process.env, PREBUILDS_ONLY: '1' } }
  const { stdout } = await exec(process.execPath, ['--eval', program], options)
  expect(stdout === 'used\n', `it printed: ${stdout}`)
}

/** Checks of installing `tarball` with pnpm, yarn and bun. Returns the program of bun. */
export async function managers(work, tarball) {
  const tools = await check('npm install pnpm yarn bun', () => bring(join(work, 'managers')))
  if (tools === undefined) return
  const file = `file:${tarball}`
  for (const [name, command, args] of [
    ['pnpm', join(tools, '.bin/pnpm'), ['add', file]],
    ['yarn', join(tools, '.bin/yarn'), ['add', '--non-interactive', file]],
    ['bun', join(tools, BUN, 'bin/bun'), ['add', file]],
  ]) {
    await check(`${name} add millrace runs nothing`, () => add(join(work, name), command, args))
  }
  return join(tools, BUN, 'bin/bun')
}
