// The package as a user gets it: packed with a prebuilt binary, installed elsewhere with install
// scripts off, started on each supported line of Node. Its last line is "N passed, N failed".
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { bin, buildEnv, root } from '../../scripts/lib.mjs'
import { checkLibraries } from './libraries.mjs'
import { managers, runsNothing } from './managers.mjs'
import { runtimes } from './runtimes.mjs'
import { check, exec, expect, fails, LONG_OUTPUT, proxies, stage, suite } from './stage.mjs'

const OTHER_NODES = ['22', '24', '26']
const ONE_PLATFORM_BYTES_MAX = 5_000_000
const ALL_PLATFORMS_BYTES_MAX = 6_000_000 // what is published has all binaries
const PLATFORMS = 6 // linux glibc and musl, macOS; x64 and arm64 each

async function pack(dir) {
  await exec('npm', ['run', 'prebuilds'], { cwd: dir, env: buildEnv(), maxBuffer: 1 << 26 })
  const { stdout } = await exec('npm', ['pack', '--json', '--ignore-scripts'], { cwd: dir })
  const [report] = JSON.parse(stdout)
  const files = report.files.map(({ path }) => path)
  return { dir, tarball: join(dir, report.filename), files, size: report.size }
}

function checkContents(files) {
  const binary = files.filter((path) => path.endsWith('.node'))
  expect(binary.length === 1 && binary[0].startsWith(`prebuilds/`), `binaries: ${binary}`)
  for (const path of [
    'dist/cli/main.js',
    'dist/index.d.ts',
    'LICENSE',
    'README.md',
    'native/from_source/binding.gyp',
  ]) {
    expect(files.includes(path), `${path} is missing`)
  }
  const stray = files.filter(
    (path) => path === 'binding.gyp' || /^(test|bench|scripts|src|build)/.test(path),
  )
  expect(stray.length === 0, `should not be in the package: ${stray}`)
}

const binaryIn = (files) => files.find((path) => path.endsWith('.node'))

/** One platform's binary is in it here; what every binary more would add is added. */
function checkSize({ dir, files, size }) {
  const binary = gzipSync(readFileSync(join(dir, binaryIn(files)))).length
  const kB = (bytes) => `${Math.round(bytes / 1000)} kB`
  console.log(`the package: ${kB(size)}, of that the binary: ${kB(binary)}`)
  expect(size <= ONE_PLATFORM_BYTES_MAX, `with one platform's binary it has ${kB(size)}`)
  const all = size + (PLATFORMS - 1) * binary
  expect(
    all <= ALL_PLATFORMS_BYTES_MAX,
    `with the binaries of ${PLATFORMS} platforms it would have ${kB(all)}`,
  )
}

/** Installs the tarball as a user who allows no install scripts would. */
async function install(tarball, dir) {
  mkdirSync(dir)
  writeFileSync(
    join(dir, 'package.json'),
    '{ "name": "consumer", "type": "module", "private": true }\n',
  )
  const { stderr } = await exec('npm', ['install', '--ignore-scripts', tarball], { cwd: dir })
  expect(!/install-scripts|gyp/.test(stderr), `npm said: ${stderr}`)
  runsNothing(join(dir, 'node_modules'))
  return dir
}

/** Another line of Node, as the npm package `node` brings it. */
async function otherNode(dir, major) {
  mkdirSync(dir)
  writeFileSync(join(dir, 'package.json'), '{ "private": true }\n')
  await exec('npm', ['install', '--ignore-scripts=false', `node@${major}`], { cwd: dir })
  const node = join(dir, 'node_modules/node/bin/node')
  const { stdout } = await exec(node, ['--version'])
  expect(stdout.startsWith(`v${major}.`), `node@${major} is ${stdout}`)
  return { node, version: stdout.trim() }
}

const consumer = join(import.meta.dirname, 'consumer')

/** Programs that import, or require, every door, and use what they get. */
async function consumers(node, dir) {
  cpSync(consumer, dir, { recursive: true })
  const env = { ...process.env, PREBUILDS_ONLY: '1' }
  for (const program of ['esm.mjs', 'cjs.cjs']) {
    const { stdout } = await exec(node, ['--no-warnings', program], { cwd: dir, env })
    expect(stdout === 'used\n', `${program} printed: ${stdout}`)
  }
}

/** The same types for both kinds of module. */
async function typedConsumers(dir) {
  cpSync(join(consumer, 'types.mts'), join(dir, 'types.mts'))
  cpSync(join(consumer, 'types.mts'), join(dir, 'types.cts'))
  const strict = ['--strict', '--noEmit', '--target', 'es2023', '--module', 'nodenext']
  const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')]
  const files = ['types.mts', 'types.cts']
  await exec(process.execPath, [bin('tsc'), ...strict, ...types, ...files], { cwd: dir })
}

/** The doors in jest, whose require is its own, from a test in CommonJS. */
async function inJest(dir) {
  mkdirSync(dir)
  writeFileSync(join(dir, 'package.json'), '{ "private": true }\n')
  await exec('npm', ['install', '--ignore-scripts', 'jest@30'], { cwd: dir })
  const program = (door, name) =>
    `test('${door}', () => expect(typeof require('${door}').${name}).toBe('function'))\n`
  const tests = program('millrace', 'createProxy') + program('millrace/core', 'SlotTable')
  const at = join(dir, '../consumer/doors.test.js') // where the package is installed
  writeFileSync(at, tests + program('millrace/pino', 'destination'))
  const jest = [join(dir, 'node_modules/jest/bin/jest.js'), '--rootDir', dirname(at), at]
  await exec(process.execPath, jest, { cwd: dirname(at) })
}

/** Without a binary that fits: the error names one command, and that command helps. */
async function fromSource(dir) {
  const installed = join(dir, 'node_modules/millrace')
  rmSync(join(installed, 'prebuilds'), { recursive: true })
  const load = [
    process.execPath,
    ['--input-type=module', '--eval', "await import('millrace/core')"],
  ]
  const error = await fails(exec(...load, { cwd: dir }), 'it loaded without a binary')
  const platform = `platform=${process.platform} arch=${process.arch}`
  expect(error.includes(platform), `the error does not say what is missing: ${error}`)
  expect(/^ +npx millrace build-native$/m.test(error), `the error names no command: ${error}`)
  const wrong = await fails(
    exec('npx', ['millrace', 'doctor'], { cwd: dir }),
    'doctor exits with 0',
  )
  expect(/^WRONG +binary /m.test(wrong), `doctor said: ${wrong}`)
  const env = { ...buildEnv(), npm_config_loglevel: 'error' }
  const built = await exec('npx', ['millrace', 'build-native'], { cwd: dir, env, ...LONG_OUTPUT })
  expect(/^millrace [\d.]+ loads it$/m.test(built.stdout), `it printed: ${built.stdout}`)
  await proxies('npx', ['millrace'], dir)
}

/** A machine without tools: all that is missing is named at once, before anything is done. */
async function namesWhatIsMissing(dir) {
  const main = join(dir, 'node_modules/millrace/dist/cli/main.js')
  // npm_execpath: this suite may itself be run by npm, which would be found by it.
  const { CXX: _, npm_execpath: _npm, ...env } = { ...process.env, PATH: dir }
  const error = await fails(
    exec(process.execPath, [main, 'build-native'], { cwd: dir, env }),
    'it built without tools',
  )
  for (const what of ['C++ compiler', 'make', 'Python', 'npm']) {
    expect(error.includes(what), `${what} is not named in: ${error}`)
  }
  const broken = { ...process.env, CXX: 'false' }
  const said = await fails(
    exec(process.execPath, [main, 'build-native'], { cwd: dir, env: broken }),
    'it built with a compiler that cannot compile',
  )
  expect(/C\+\+20; false says/.test(said), `it said: ${said}`)
}

await suite(async (work) => {
  const staged = await stage(work)
  const packed = await check('npm run prebuilds and npm pack', () => pack(staged))
  if (packed !== undefined) {
    const { tarball, files } = packed
    await check('contents of the package', () => checkContents(files))
    await check('at most so much to download', () => checkSize(packed))
    if (process.platform === 'linux') {
      const binary = join(packed.dir, binaryIn(files))
      await check('the oldest libraries that are promised', () => checkLibraries(binary))
    }
    await check('publint', () =>
      exec(process.execPath, [bin('publint'), 'run', tarball, '--strict']),
    )
    // What require() gets, in jest too, is the ES module that the types describe: src/commonjs/.
    const rules = ['--profile', 'esm-only', '--ignore-rules', 'false-esm']
    const attw = [bin('attw'), tarball, ...rules, '--no-color']
    await check('types of every door', () => exec(process.execPath, attw))
    const dir = await check('npm install --ignore-scripts, in silence', () =>
      install(tarball, join(work, 'consumer')),
    )
    if (dir !== undefined) {
      await check('npx millrace --version', () =>
        exec('npx', ['millrace', '--version'], { cwd: dir }),
      )
      await check('npx millrace --to', () => proxies('npx', ['millrace'], dir))
      await check('every door, imported and required', () => consumers(process.execPath, dir))
      await check('types of every door, for both', () => typedConsumers(dir))
      const main = join(dir, 'node_modules/millrace/dist/cli/main.js')
      for (const major of OTHER_NODES) {
        const other = await check(`npm install node@${major}`, () =>
          otherNode(join(work, `node-${major}`), major),
        )
        if (other === undefined) continue
        const { node, version } = other
        await check(`the same binary on Node ${version}`, () => proxies(node, [main], dir))
        await check(`every door on Node ${version}`, () => consumers(node, dir))
      }
      const bun = await managers(work, tarball)
      if (bun !== undefined) await runtimes(work, dir, bun)
      await check('jest, a test in CommonJS', () => inJest(join(work, 'jest')))
      await check('build-native names what is missing', () => namesWhatIsMissing(dir))
      await check('built from source where no binary fits', () => fromSource(dir))
    }
  }
})
