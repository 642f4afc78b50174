// The package as a user gets it: packed with a prebuilt binary, installed elsewhere with install
// scripts off, started on each supported line of Node. Its last line is "N passed, N failed".
import { execFile, spawn } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { bin, buildEnv, finish, root } from '../../scripts/lib.mjs'
import { checkLibraries } from './libraries.mjs'

const OTHER_NODES = ['22', '24', '26']
const START_PATIENCE_MS = 10_000
const STOP_PATIENCE_MS = 10_000
const MOST_BYTES = 5_000_000
const PLATFORMS = 6 // linux glibc and musl, macOS; x64 and arm64 each

const exec = promisify(execFile)
const work = mkdtempSync(join(tmpdir(), 'millrace-package-'))
let passed = 0
let failed = 0

/** Runs one check; what it returns goes to those after it, undefined when it failed. */
async function check(title, run) {
  try {
    const result = (await run()) ?? true
    console.log(`ok: ${title}`)
    passed++
    return result
  } catch (error) {
    console.log(`FAILED: ${title}\n${error.stack}\n${error.stdout ?? ''}${error.stderr ?? ''}`)
    failed++
    return undefined
  }
}

function expect(condition, message) {
  if (!condition) throw new Error(message)
}

/**
 * A copy of what git knows, with the compiled TypeScript: the release is built there, not among our
 * own build files.
 */
async function stage() {
  const dir = join(work, 'stage')
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate']
  const { stdout } = await exec('git', args, { cwd: root })
  for (const path of stdout.split('\0').filter(Boolean)) {
    mkdirSync(join(dir, dirname(path)), { recursive: true })
    cpSync(join(root, path), join(dir, path))
  }
  cpSync(join(root, 'dist'), join(dir, 'dist'), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'))
  return dir
}

async function pack(dir) {
  await exec('npm', ['run', 'prebuild'], { cwd: dir, env: buildEnv(), maxBuffer: 1 << 26 })
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
  expect(size <= MOST_BYTES, `with one platform's binary it has ${kB(size)}`)
  const all = size + (PLATFORMS - 1) * binary
  expect(all <= MOST_BYTES, `with the binaries of ${PLATFORMS} platforms it would have ${kB(all)}`)
}

/** Installs the tarball as a user who allows no install scripts would. */
async function install(tarball, name) {
  const dir = join(work, name)
  mkdirSync(dir)
  writeFileSync(
    join(dir, 'package.json'),
    '{ "name": "consumer", "type": "module", "private": true }\n',
  )
  const { stderr } = await exec('npm', ['install', '--ignore-scripts', tarball], { cwd: dir })
  expect(!/install-scripts|gyp/.test(stderr), `npm said: ${stderr}`)
  return dir
}

/** A service to proxy to; answers with the request's path. */
async function origin() {
  const server = createServer((request, response) => response.end(`origin saw ${request.url}`))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() }
}

async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Starts a proxy in front of a service, asks it something, and stops it by SIGTERM. */
async function proxies(command, args, cwd) {
  const service = await origin()
  const port = await freePort()
  const env = { ...process.env, PREBUILDS_ONLY: '1' }
  const all = [...args, '--to', service.url, '--listen', String(port)]
  // A process group of its own, as a terminal makes one: npx is not the process that listens.
  const child = spawn(command, all, { cwd, env, detached: true })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      printed += data
    })
  }
  const ended = new Promise((resolve) =>
    child.on('close', (code, signal) => resolve(code ?? signal)),
  )
  try {
    const answer = await ask(`http://127.0.0.1:${port}/hello?x=1`, child, () => printed)
    expect(answer === 'origin saw /hello?x=1', `it answered: ${answer}`)
    signalGroup(child, 'SIGTERM')
    const code = await Promise.race([
      ended,
      sleep(STOP_PATIENCE_MS, 'still running', { ref: false }),
    ])
    // npx is itself ended by the signal; the proxy ends by its own decision.
    const expected = command === 'npx' ? [0, 143, 'SIGTERM'] : [0]
    expect(expected.includes(code), `after SIGTERM: ${code}\n${printed}`)
    // Its streams are closed; the process itself is gone a moment later.
    const patience = Date.now() + STOP_PATIENCE_MS
    while (signalGroup(child, 0) && Date.now() < patience) await sleep(20)
    expect(!signalGroup(child, 0), 'something that was started is still running')
  } finally {
    signalGroup(child, 'SIGKILL')
    service.close()
  }
}

/** Whether there was anyone to signal. */
function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal)
    return true
  } catch (error) {
    if (error.code === 'ESRCH') return false
    throw error
  }
}

async function ask(url, child, printed) {
  const until = Date.now() + START_PATIENCE_MS
  for (;;) {
    try {
      const response = await fetch(url, { headers: { connection: 'close' } })
      return await response.text()
    } catch (error) {
      const gone = child.exitCode !== null
      if (gone || Date.now() > until) throw new Error(`${error.message}; it printed:\n${printed()}`)
      await sleep(20)
    }
  }
}

/** Another line of Node, as the npm package `node` brings it. */
async function otherNode(major) {
  const dir = join(work, `node-${major}`)
  mkdirSync(dir)
  writeFileSync(join(dir, 'package.json'), '{ "private": true }\n')
  await exec('npm', ['install', '--ignore-scripts=false', `node@${major}`], { cwd: dir })
  const node = join(dir, 'node_modules/node/bin/node')
  const { stdout } = await exec(node, ['--version'])
  expect(stdout.startsWith(`v${major}.`), `node@${major} is ${stdout}`)
  return { node, version: stdout.trim() }
}

const importAll = `
  for (const door of ['millrace', 'millrace/core', 'millrace/pino']) {
    const names = Object.keys(await import(door))
    if (names.length === 0) throw new Error(door + ' exports nothing')
  }`

async function imports(node, dir) {
  const env = { ...process.env, PREBUILDS_ONLY: '1' }
  await exec(node, ['--input-type=module', '--eval', importAll], { cwd: dir, env })
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
  const { CXX: _, ...env } = { ...process.env, PATH: dir }
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

const LONG_OUTPUT = { maxBuffer: 1 << 26 }

/** What a command that must fail wrote. */
function fails(run, message) {
  return run.then(
    () => expect(false, message),
    (error) => `${error.stdout}${error.stderr}`,
  )
}

try {
  const staged = await stage()
  const packed = await check('npm run prebuild and npm pack', () => pack(staged))
  if (packed !== undefined) {
    const { tarball, files } = packed
    await check('contents of the package', () => checkContents(files))
    await check('at most 5 MB to download', () => checkSize(packed))
    if (process.platform === 'linux') {
      const binary = join(packed.dir, binaryIn(files))
      await check('the oldest libraries that are promised', () => checkLibraries(binary))
    }
    await check('publint', () =>
      exec(process.execPath, [bin('publint'), 'run', tarball, '--strict']),
    )
    const attw = [bin('attw'), tarball, '--profile', 'esm-only', '--no-color']
    await check('types of every door', () => exec(process.execPath, attw))
    const dir = await check('npm install --ignore-scripts, in silence', () =>
      install(tarball, 'consumer'),
    )
    if (dir !== undefined) {
      await check('npx millrace --version', () =>
        exec('npx', ['millrace', '--version'], { cwd: dir }),
      )
      await check('npx millrace --to', () => proxies('npx', ['millrace'], dir))
      await check('import of every door', () => imports(process.execPath, dir))
      const main = join(dir, 'node_modules/millrace/dist/cli/main.js')
      for (const major of OTHER_NODES) {
        const other = await check(`npm install node@${major}`, () => otherNode(major))
        if (other === undefined) continue
        const { node, version } = other
        await check(`the same binary on Node ${version}`, () => proxies(node, [main], dir))
        await check(`import of every door on Node ${version}`, () => imports(node, dir))
      }
      await check('build-native names what is missing', () => namesWhatIsMissing(dir))
      await check('built from source where no binary fits', () => fromSource(dir))
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true })
}
finish(passed, failed)
