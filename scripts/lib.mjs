// What the development scripts share: running a tool, finding one, and where things are.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')

/** Runs a command in the project's root, its output ours. Returns whether it exited with 0. */
export function attempt(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options })
  if (result.error) console.error(`${command}: ${result.error.message}`)
  return result.status === 0
}

/** As attempt(), for steps without which it makes no sense to go on. */
export function run(command, args, options = {}) {
  if (!attempt(command, args, options)) process.exit(1)
}

/** The path of a program on PATH, or undefined. */
export function which(program) {
  for (const dir of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(dir, program)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // not in this folder
    }
  }
  return undefined
}

export const has = (program) => which(program) !== undefined

/** The script behind a command of an installed development dependency. */
export function bin(command) {
  const owners = { tsc: 'typescript', biome: '@biomejs/biome', attw: '@arethetypeswrong/cli' }
  const dir = join(root, 'node_modules', owners[command] ?? command)
  const { bin: entry } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'))
  return join(dir, typeof entry === 'string' ? entry : entry[command])
}

/**
 * The environment for compilers: what ccache holds serves builds in other folders too, those of
 * another preset and those of another clone.
 */
export const compilerEnv = () => ({
  ...process.env,
  CCACHE_NOHASHDIR: 'true',
  CCACHE_BASEDIR: root,
})

/**
 * The environment for node-gyp and cmake-js: the headers of the running Node where it has them
 * beside it, so that nothing is downloaded, ccache where there is one, and every CPU.
 */
export function buildEnv() {
  const env = compilerEnv()
  const prefix = resolve(dirname(process.execPath), '..')
  if (!env.npm_config_nodedir && existsSync(join(prefix, 'include/node/node_api.h'))) {
    env.npm_config_nodedir = prefix
  }
  if (env.CXX === undefined && has('ccache')) env.CXX = 'ccache c++'
  env.JOBS ??= String(availableParallelism()) // node-gyp's; prebuildify has no option for it
  return env
}

/**
 * Configures and builds a CMake preset (CMakePresets.json). Where the files that are compiled as
 * one do not go together, each is compiled by itself: that costs time, and no suite.
 */
export function buildPreset(preset, { settings = [], targets = [], env = compilerEnv() } = {}) {
  const wanted = targets.length > 0 ? ['--target', ...targets] : []
  const jobs = String(availableParallelism())
  const configure = (more = []) =>
    run('cmake', ['--preset', preset, ...settings, ...more], {
      env,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  const build = ['--build', '--preset', preset, '-j', jobs, ...wanted]
  configure()
  if (attempt('cmake', build, { env })) return
  console.log('once more, each file by itself (MILLRACE_UNITY=OFF)')
  configure(['-DMILLRACE_UNITY=OFF'])
  run('cmake', build, { env })
}

/** The last line of every suite; the exit code says the same. */
export function finish(passed, failed) {
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0
}

/** The counts in the last line that finish() wrote, or undefined. */
export function countsIn(output) {
  const lines = [...output.matchAll(/^(\d+) passed, (\d+) failed\s*$/gm)]
  const last = lines.at(-1)
  return last && { passed: Number(last[1]), failed: Number(last[2]) }
}
