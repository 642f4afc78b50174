// node scripts/native_tests.mjs <preset> [layer...]: configures and builds a CMake preset
// (CMakePresets.json), runs the doctest program of each layer, and counts test cases.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { compilerEnv, finish, has, root, run } from './lib.mjs'

// for one layer; the longest, the slot table's torture under TSan, takes a fraction of it
const TIMEOUT_MS = 600_000

const [preset = 'dev', ...wanted] = process.argv.slice(2)
const jobs = String(availableParallelism())
const env = compilerEnv()
if (preset === 'arm64') {
  env.QEMU_LD_PREFIX = '/usr/aarch64-linux-gnu'
  env.MILLRACE_TEST_EMULATOR = 'qemu-aarch64' // for tests that start themselves
}
run('cmake', ['--preset', preset], { env, stdio: ['ignore', 'ignore', 'inherit'] })
const targets = wanted.length > 0 ? ['--target', ...wanted.map((layer) => `${layer}_test`)] : []
run('cmake', ['--build', '--preset', preset, '-j', jobs, ...targets], { env })

/**
 * What the programs run under: an emulator for another processor; and TSan's runtime cannot map its
 * shadow where the kernel randomises addresses with more bits than it expects.
 */
function launcher() {
  if (preset === 'arm64') return ['qemu-aarch64']
  if (preset !== 'tsan' || !has('setarch')) return []
  const bits = Number(readFileSync('/proc/sys/vm/mmap_rnd_bits', 'utf8'))
  return bits > 28 ? ['setarch', '-R'] : []
}

const dir = join(root, 'build-cmake', preset)
const programs = readdirSync(dir)
  .filter((name) => name.endsWith('_test'))
  .filter((name) => wanted.length === 0 || wanted.includes(name.slice(0, -'_test'.length)))
  .sort()

let passed = 0
let failed = 0
for (const program of programs) {
  console.log(`--- ${preset} ${program}`)
  const [command, ...args] = [...launcher(), join(dir, program), '--no-colors']
  const started = Date.now()
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    maxBuffer: 1 << 27,
    env,
  })
  process.stdout.write(result.stdout + result.stderr)
  const seconds = ((Date.now() - started) / 1000).toFixed(1)
  const counts = /\[doctest\] test cases:\s+\d+ \|\s+(\d+) passed \|\s+(\d+) failed/.exec(
    result.stdout,
  )
  const bad = Number(counts?.[2] ?? 0)
  passed += Number(counts?.[1] ?? 0)
  // A crash, a sanitizer's report, or a leak is one failure more than the assertions show.
  failed += result.status === 0 ? bad : Math.max(bad, 1)
  console.log(`${program}: ${seconds} s, exit ${result.status ?? result.signal}`)
}
finish(passed, failed)
