// node scripts/native_tests.mjs <preset> [layer...]: configures and builds a CMake preset
// (CMakePresets.json), runs the doctest program of each layer, several at a time, and counts test
// cases.
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { buildPreset, compilerEnv, finish, has, root } from './lib.mjs'

// for one layer; the longest, the slot table's torture under TSan, takes a fraction of it
const TIMEOUT_MS = 600_000
const CASE_TIMEOUT_MS = 120_000 // for one case alone

const [preset = 'dev', ...wanted] = process.argv.slice(2)
const env = compilerEnv()
if (preset === 'arm64') {
  env.QEMU_LD_PREFIX = '/usr/aarch64-linux-gnu'
  env.MILLRACE_TEST_EMULATOR = 'qemu-aarch64' // for tests that start themselves
}
// `dev` is compiled file by file for those who change them; where all is compiled once, units are
// quicker.
const settings =
  preset === 'dev' ? [`-DMILLRACE_UNITY=${process.env.CI === 'true' ? 'ON' : 'OFF'}`] : []
buildPreset(preset, { settings, targets: wanted.map((layer) => `${layer}_test`), env })

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

/** The layers asked for, or those that the preset builds: none that an older build has left. */
function layers() {
  if (wanted.length > 0) return wanted
  const presets = JSON.parse(readFileSync(join(root, 'CMakePresets.json'), 'utf8'))
  const { cacheVariables } = presets.configurePresets.find(({ name }) => name === preset)
  const chosen = cacheVariables.MILLRACE_LAYERS?.split(';')
  return chosen ?? readdirSync(join(root, 'test/native'))
}

const dir = join(root, 'build-cmake', preset)
const built = new Set(readdirSync(dir))
const programs = layers()
  .map((layer) => `${layer}_test`)
  .filter((name) => built.has(name))
  .sort()

/** Runs a doctest program; never throws. Its output, and how it ended. */
function execute(program, args, timeout) {
  const [command, ...rest] = [...launcher(), join(dir, program), '--no-colors', ...args]
  return new Promise((resolve) => {
    const child = spawn(command, rest, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const timer = setTimeout(() => child.kill('SIGKILL'), timeout)
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8')
      stream.on('data', (text) => {
        output += text
      })
    }
    child.on('error', (error) => resolve({ output: error.message, exit: 'not started' }))
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ output, exit: signal ?? code })
    })
  })
}

/** The counts that a doctest program ends with; undefined where it did not get so far. */
function countsOf({ output, exit }) {
  const line = /\[doctest\] test cases:\s+\d+ \|\s+(\d+) passed \|\s+(\d+) failed/.exec(output)
  if (line === null || /test case CRASHED/.test(output)) return undefined
  const [passed, bad] = [Number(line[1]), Number(line[2])]
  // A sanitizer's report at the end, or a leak, is one failure more than the assertions show.
  return { passed, failed: exit === 0 ? bad : Math.max(bad, 1) }
}

/**
 * All cases of a program, or those that fit a filter. Where it ends before its last one, each case
 * runs again in a process of its own: one that crashes takes no other with it.
 */
async function cases(program, filter) {
  const [args, timeout] = filter === undefined ? [[], TIMEOUT_MS] : [[filter], CASE_TIMEOUT_MS]
  const result = await execute(program, args, timeout)
  const counts = countsOf(result)
  if (counts !== undefined) return { ...counts, ...result }
  if (filter !== undefined) return { ...result, passed: 0, failed: 1 }
  return each(program, result)
}

/** The names of a program's cases. */
async function namesOf(program) {
  const { output } = await execute(program, ['--list-test-cases'], TIMEOUT_MS)
  const lines = output.split('\n').filter((line) => !/^(\[doctest\]|=+$|$)/.test(line))
  return [...new Set(lines.map((line) => line.trim()))]
}

async function each(program, first) {
  const names = await namesOf(program)
  let output = `${first.output}\n${program} ended before its last case (${first.exit}): `
  output += `each of its ${names.length} cases once more, in a process of its own\n`
  // Where they cannot even be listed, or each of them passes alone, the program has failed.
  let [passed, failed] = [0, 0]
  for (const name of names) {
    // doctest reads , as the end of a name, and * and ? as any characters
    const filter = `--test-case=${name.replace(/[,"\\]/g, '?')}`
    const result = await cases(program, filter)
    if (result.failed > 0) output += `${result.output}\nFAILED (${result.exit}): ${name}\n`
    passed += result.failed > 0 ? 0 : 1
    failed += result.failed > 0 ? 1 : 0
  }
  return { output, exit: first.exit, passed, failed: Math.max(failed, 1) }
}

let passed = 0
let failed = 0
const queue = [...programs]

/** One program after the other, beside as many others as there are CPUs. */
async function work() {
  for (let program = queue.shift(); program !== undefined; program = queue.shift()) {
    const started = Date.now()
    const result = await cases(program)
    const seconds = ((Date.now() - started) / 1000).toFixed(1)
    passed += result.passed
    failed += result.failed
    console.log(`--- ${preset} ${program}\n${result.output}`)
    console.log(`${program}: ${seconds} s, exit ${result.exit}`)
  }
}
await Promise.all(Array.from({ length: availableParallelism() }, work))
finish(passed, failed)
