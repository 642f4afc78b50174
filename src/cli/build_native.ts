// millrace build-native: builds the native core inside the installed package, where no published
// binary fits. Needs nothing of the core itself. What a fresh machine lacks is said before anything
// is fetched or compiled.

import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { MillraceError } from '../errors.ts'
import { builtHere, nativeBinary, packageRoot } from '../native/index.ts'

const kSource = join(packageRoot, 'native/from_source')
const kPythonOldest = [3, 8] as const
// What the sources use of C++20; an older compiler takes the flag and fails halfway.
const kProbe = `#include <bit>
#include <concepts>
#include <memory>
#include <span>
static_assert(__cplusplus >= 202002L);
struct Options { int first = 1, second = 2; };
constexpr Options options{.second = 3};
static_assert(std::has_single_bit(unsigned(options.second + 1)) && std::integral<int>);
int main() { return int(std::span<const Options>(&options, 1).size()); }
`

class BuildError extends MillraceError {
  constructor(message: string, hint?: string) {
    super('ERR_MILLRACE_BUILD', message, hint === undefined ? {} : { hint })
  }
}

export async function buildNative(): Promise<void> {
  if (existsSync(join(packageRoot, 'binding.gyp'))) {
    throw new BuildError(
      'this is a clone of the repository, not an installed package',
      'npm run build',
    )
  }
  checkPlatform()
  const compiler = checkTools()
  const scratch = mkdtempSync(join(tmpdir(), 'millrace-build-'))
  try {
    const modules = buildTools(scratch)
    compile(modules, compiler)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  const { path, module } = nativeBinary()
  if (path !== builtHere) throw new BuildError(`${builtHere} was built, but ${path} is loaded`)
  process.stdout.write(`built ${path}\nmillrace ${module.version} loads it\n`)
}

function checkPlatform(): void {
  if (process.platform !== 'linux' && process.platform !== 'darwin') {
    throw new BuildError(`Millrace does not run on ${process.platform}`, 'it needs Linux or macOS')
  }
  try {
    accessSync(kSource, constants.W_OK)
  } catch (cause) {
    throw new BuildError(
      `cannot write to ${kSource}: ${(cause as Error).message}`,
      'run it as the owner of node_modules',
    )
  }
}

/** The C++ compiler to use. Throws with everything that is missing at once. */
function checkTools(): string {
  const missing: string[] = []
  const compiler = findCompiler()
  if (compiler === undefined) missing.push('a C++ compiler (g++ or clang++)')
  else {
    const outdated = probe(compiler)
    if (outdated !== undefined) missing.push(outdated)
  }
  if (!runs('make', ['--version'])) missing.push('make')
  if (!findPython()) missing.push(`Python ${kPythonOldest.join('.')} or newer (python3)`)
  if (!runs(npm().command, [...npm().args, '--version'])) missing.push('npm')
  if (missing.length === 0 && compiler !== undefined) return compiler
  const list = missing.map((what) => `  - ${what}`).join('\n')
  throw new BuildError(
    `the native core cannot be built here; what is missing:\n${list}`,
    installHint(),
  )
}

function run(command: string, args: readonly string[], input?: string): SpawnSyncReturns<string> {
  const options = { encoding: 'utf8', ...(input === undefined ? {} : { input }) } as const
  return spawnSync(command, [...args], options)
}

const runs = (command: string, args: readonly string[]): boolean => run(command, args).status === 0

function findCompiler(): string | undefined {
  const { CXX } = process.env
  if (CXX) return CXX
  const names = process.platform === 'darwin' ? ['clang++', 'c++'] : ['g++', 'c++', 'clang++']
  return names.find((name) => runs(name, ['--version']))
}

/** What is wrong with a compiler, or undefined. CXX may hold arguments, or `ccache g++`. */
function probe(compiler: string): string | undefined {
  const [command = '', ...args] = compiler.split(/\s+/)
  const result = run(command, [...args, '-std=c++20', '-fsyntax-only', '-x', 'c++', '-'], kProbe)
  if (result.status === 0) return undefined
  const reason = result.error?.message ?? result.stderr.trim().split('\n')[0] ?? ''
  return `a compiler and library for C++20; ${compiler} says: ${reason}`
}

/** Those that node-gyp looks for. */
function findPython(): boolean {
  const { NODE_GYP_FORCE_PYTHON, npm_config_python, PYTHON } = process.env
  const named = NODE_GYP_FORCE_PYTHON ?? npm_config_python ?? PYTHON
  return (named ? [named] : ['python3', 'python']).some((python) => {
    const [, major = 0, minor = 0] =
      /^Python (\d+)\.(\d+)/.exec(run(python, ['--version']).stdout ?? '') ?? []
    return Number(major) === kPythonOldest[0] && Number(minor) >= kPythonOldest[1]
  })
}

function installHint(): string {
  const managers = [
    ['apt-get', 'apt-get install g++ make python3'],
    ['apk', 'apk add g++ make python3 linux-headers'],
    ['dnf', 'dnf install gcc-c++ make python3'],
    ['xcode-select', 'xcode-select --install'],
  ] as const
  const [, command] = managers.find(([manager]) => onPath(manager)) ?? []
  return command ?? 'install a C++20 compiler, make and Python 3'
}

function onPath(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((dir) => existsSync(join(dir, program)))
}

/** The npm that runs us (npx), else the one on PATH. */
function npm(): { readonly command: string; readonly args: readonly string[] } {
  const path = process.env.npm_execpath ?? ''
  return /npm-cli\.js$/.test(path) && existsSync(path)
    ? { command: process.execPath, args: [path] }
    : { command: 'npm', args: [] }
}

/** node_modules with node-gyp and node-addon-api of the versions that releases are built with. */
function buildTools(scratch: string): string {
  const text = readFileSync(join(packageRoot, 'package.json'), 'utf8')
  const { devDependencies } = JSON.parse(text) as { devDependencies: Record<string, string> }
  const wanted = ['node-gyp', 'node-addon-api'].map((name) => `${name}@${devDependencies[name]}`)
  process.stdout.write(`fetching ${wanted.join(' and ')}\n`)
  const { command, args } = npm()
  const install = [
    'install',
    '--prefix',
    scratch,
    '--ignore-scripts',
    '--no-save',
    '--loglevel',
    'error',
  ]
  const result = spawnSync(command, [...args, ...install, '--no-audit', '--no-fund', ...wanted], {
    cwd: scratch,
    stdio: 'inherit',
  })
  if (result.status !== 0) {
    throw new BuildError(`npm could not fetch ${wanted.join(' and ')}`, 'what npm said is above')
  }
  return join(scratch, 'node_modules')
}

function compile(modules: string, compiler: string): void {
  const gyp = createRequire(join(modules, 'node-gyp/package.json')).resolve('./bin/node-gyp.js')
  const steps = ['rebuild', '--directory', kSource, '--jobs', String(availableParallelism())]
  process.stdout.write(`compiling with ${compiler}; this takes minutes\n`)
  const result = spawnSync(process.execPath, [gyp, ...steps, '--loglevel', 'error'], {
    cwd: kSource,
    stdio: 'inherit',
    env: {
      ...process.env,
      ...headers(),
      CXX: compiler,
      NODE_PATH: modules, // where native/addon.gypi finds node-addon-api
      PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ''}`,
    },
  })
  if (result.status === 0) return
  throw new BuildError(
    `node-gyp ended with ${result.status ?? result.signal}; what it said is above`,
    'if the headers of Node could not be fetched: npm_config_nodedir=DIR, with DIR/include/node',
  )
}

/** The running Node's own headers where it has them beside it, so that nothing is downloaded. */
function headers(): { npm_config_nodedir?: string } {
  const prefix = resolve(dirname(process.execPath), '..')
  const beside = existsSync(join(prefix, 'include/node/common.gypi'))
  return process.env.npm_config_nodedir === undefined && beside
    ? { npm_config_nodedir: prefix }
    : {}
}
