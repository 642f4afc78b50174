// npm test: every suite, one summary. `npm test -- native unit` runs those two (and what they need
// built).
//
// A suite is a command whose last line is "N passed, N failed". It names the programs it needs;
// where one is missing the suite is left out and named, with the Debian package to install; with
// CI=true that is a failure. What a suite prints goes to build-cmake/logs/<suite>.log, and its end
// to the terminal when it failed.
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { countsIn, finish, has, root } from '../scripts/lib.mjs'

const NODE = process.execPath
const CI = process.env.CI === 'true'
const CORES = availableParallelism()
const SUITE_TIMEOUT_MS = 30 * 60_000 // three times the longest: a cold build with its tests
const LOG_TAIL_LINES = 80

const cmakeTools = { 'c++': 'g++', cmake: 'cmake', ninja: 'ninja-build' }
const doctest = { '/usr/include/doctest/doctest.h': 'doctest-dev' }
const addonTools = { 'c++': 'g++', make: 'make', python3: 'python3' }
const native = (...args) => [NODE, 'scripts/native_tests.mjs', ...args]
const vitest = (path) => [NODE, 'scripts/vitest.mjs', `test/${path}`]

/**
 * needs: program (or absolute path) → Debian package. after: suites that must have passed.
 * compiles: uses every CPU for most of its time; the others use about one, and wait for sockets and
 * the clock. behind: suites that build in the same folder, and come first where they run, too.
 * counted: false for a step that only others need. casesElsewhere: its cases are other projects'
 * and not in this repository; why it may find none.
 */
const suites = {
  build: {
    command: [NODE, 'scripts/build.mjs'],
    needs: addonTools,
    compiles: true,
    counted: false,
  },
  native: { command: native('dev'), needs: { ...cmakeTools, ...doctest }, compiles: true },
  asan: { command: native('asan'), needs: { ...cmakeTools, ...doctest }, compiles: true },
  'addon-asan': {
    command: [NODE, 'test/package/asan.mjs'],
    needs: cmakeTools,
    after: ['build'],
    behind: ['asan'],
  },
  tsan: { command: native('tsan'), needs: { ...cmakeTools, ...doctest }, compiles: true },
  kqueue: {
    command: native('kqueue', 'event', 'net'),
    needs: { ...cmakeTools, ...doctest },
    compiles: true,
  },
  arm64: {
    command: [NODE, 'test/package/arm64.mjs'],
    needs: {
      ...cmakeTools,
      ...doctest,
      ...addonTools,
      'aarch64-linux-gnu-g++': 'g++-aarch64-linux-gnu',
      'qemu-aarch64': 'qemu-user',
    },
    after: ['build'],
    compiles: true,
  },
  fuzz: {
    command: [NODE, 'scripts/fuzz.mjs', '--seconds', '10'],
    needs: { ...cmakeTools, 'clang++-14': 'clang-14 libclang-rt-14-dev' },
    compiles: true,
  },
  tidy: { command: vitest('tidy.test.ts') },
  lint: {
    command: [NODE, 'scripts/lint.mjs', '--no-tidy'],
    needs: { 'clang-format-19': 'clang-format-19' },
    after: ['build'],
  },
  unit: { command: vitest('unit'), after: ['build'] },
  integration: {
    command: vitest('integration'),
    needs: {
      curl: 'curl',
      dnsmasq: 'dnsmasq-base',
      iptables: 'iptables',
      ip: 'iproute2',
      unshare: 'util-linux',
    },
    after: ['build'],
  },
  package: {
    command: [NODE, 'test/package/run.mjs'],
    needs: addonTools,
    after: ['build'],
  },
  'odd-machines': {
    command: [NODE, 'scripts/odd_machines.mjs', '--short'],
    needs: {
      ...cmakeTools,
      ...doctest,
      curl: 'curl',
      ip: 'iproute2',
      sysctl: 'procps',
      unshare: 'util-linux',
    },
    after: ['build'],
    behind: ['native'],
  },
  conformance: {
    command: vitest('conformance'),
    after: ['build'],
    casesElsewhere: 'MILLRACE_H1_CASES and MILLRACE_ENVOY_CONFIGS name no folders',
  },
  spin: { command: ['bash', 'native/rcu/check_model.sh'], needs: { spin: 'spin', cc: 'gcc' } },
}

/** The suites asked for, with those they need, in the order above. */
function selected(names) {
  const unknown = names.filter((name) => suites[name] === undefined)
  if (unknown.length > 0) {
    console.error(`no suite ${unknown.join(', ')}; there are: ${Object.keys(suites).join(' ')}`)
    process.exit(2)
  }
  const wanted = new Set(names.length > 0 ? names : Object.keys(suites))
  for (const name of wanted) for (const need of suites[name].after ?? []) wanted.add(need)
  return Object.keys(suites).filter((name) => wanted.has(name))
}

/** The Debian packages of the programs that a suite needs and this machine does not have. */
function missing({ needs = {} }) {
  const absent = ([what]) => (what.startsWith('/') ? !existsSync(what) : !has(what))
  const packages = Object.entries(needs).filter(absent)
  return [...new Set(packages.map(([, name]) => name))]
}

const logs = join(root, 'build-cmake/logs')
const running = new Map()

/**
 * One line on a terminal that says what runs and for how long; nothing where the output is a file.
 */
function progress() {
  if (!process.stdout.isTTY) return
  const now = Date.now()
  const parts = [...running].map(([name, { started }]) => `${name} ${seconds(now - started)}`)
  process.stdout.write(`\r\x1b[K${parts.length > 0 ? `running: ${parts.join(', ')}` : ''}`)
}
const seconds = (ms) => `${Math.round(ms / 1000)} s`

function say(line) {
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K')
  console.log(line)
}

/** Ends a suite with all that it started: each is the leader of a process group of its own. */
function stop(child, signal) {
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    if (error.code !== 'ESRCH') throw error // it has ended by itself
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    for (const { child } of running.values()) stop(child, 'SIGKILL')
    process.exit(1)
  })
}

// Runs a command and writes to descriptor 3 how many seconds of CPU it took, with all that it
// started and waited for.
const TIMED = `TIMEFORMAT='%U %S'; exec 4>&2; { time "$@" 2>&4 3>&- 4>&-; } 2>&3`

/**
 * Runs a command into a log file. Resolves to its exit code, or to what ended it, and the seconds
 * of CPU that it took.
 */
function spawnInto(path, name, command) {
  const log = openSync(path, 'w')
  const { FORCE_COLOR: _, ...env } = { ...process.env, NO_COLOR: '1' }
  const options = { cwd: root, env, stdio: ['ignore', log, log, 'pipe'], detached: true }
  const child = spawn('bash', ['-c', TIMED, 'bash', ...command], options)
  closeSync(log)
  running.set(name, { started: Date.now(), child })
  const timer = setTimeout(() => stop(child, 'SIGKILL'), SUITE_TIMEOUT_MS)
  let times = ''
  child.stdio[3].setEncoding('utf8').on('data', (text) => {
    times += text
  })
  const cpuSeconds = () => times.split(/\s+/).reduce((sum, time) => sum + Number(time), 0)
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ exit: error.message, cpu: 0 }))
    child.on('close', (code, signal) => resolve({ exit: signal ?? code, cpu: cpuSeconds() }))
  }).finally(() => {
    clearTimeout(timer)
    running.delete(name)
  })
}

/** Runs a suite. Returns the counts of its last line, made to agree with its exit code. */
async function execute(name) {
  const { command, counted = true, casesElsewhere } = suites[name]
  const path = join(logs, `${name}.log`)
  const started = Date.now()
  const { exit, cpu } = await spawnInto(path, name, command)
  const output = readFileSync(path, 'utf8')
  const written = countsIn(output)
  const nothing = written !== undefined && written.passed + written.failed === 0
  if (nothing && casesElsewhere !== undefined) {
    say(`${name.padEnd(12)} left out: ${casesElsewhere}`)
    return written
  }
  const counts = (counted && written) || { passed: 0, failed: 0 }
  const ranNothing = counted && (written === undefined || nothing)
  if (exit !== 0 || ranNothing) counts.failed = Math.max(counts.failed, 1)
  const outcome = counted
    ? `${counts.passed} passed, ${counts.failed} failed`
    : (counts.failed > 0 && 'failed') || 'done'
  const leftOut = (output.match(/^left out: /gm) ?? []).length
  const note = leftOut > 0 ? `, ${leftOut} left out` : ''
  const times = `${seconds(Date.now() - started)}, ${Math.round(cpu)} s of CPU`
  say(`${name.padEnd(12)} ${outcome}${note} (${times})`)
  if (counts.failed > 0) {
    const tail = output.trimEnd().split('\n').slice(-LOG_TAIL_LINES)
    say([`--- the end of ${path} (exit: ${exit})`, ...tail, '---'].join('\n'))
  }
  return counts
}

const cpus = (name) => (suites[name].compiles ? CORES : 1)
// What compiles goes first, and beside it one suite that waits: no CPU is idle, and a test finds a
// machine no busier than odd_machines.mjs makes it.
const ROOM = CORES + 1

/** Runs the suites in their order, side by side where there is room. */
async function main() {
  const queue = selected(process.argv.slice(2))
  const results = new Map()
  mkdirSync(logs, { recursive: true })
  const ticker = setInterval(progress, 1000)

  const startable = () => {
    const load = [...running.keys()].reduce((sum, name) => sum + cpus(name), 0)
    return queue.findIndex((name) => {
      const { after = [], behind = [] } = suites[name]
      const ready = after.every((need) => results.has(need))
      const first = behind.some((other) => queue.includes(other) || running.has(other))
      return ready && !first && load + cpus(name) <= ROOM
    })
  }
  const begin = async (name) => {
    const { after = [], counted = true } = suites[name]
    const lacking = missing(suites[name])
    const broken = after.filter((need) => results.get(need).failed > 0)
    let counts
    if (lacking.length > 0) {
      counts = { passed: 0, failed: CI ? 1 : 0 }
      say(`${name.padEnd(12)} ${CI ? 'FAILED' : 'skipped'}: apt-get install ${lacking.join(' ')}`)
      if (!counted) counts.failed = 1
    } else if (broken.length > 0) {
      counts = { passed: 0, failed: 1 }
      say(`${name.padEnd(12)} not run: ${broken.join(', ')} failed`)
    } else counts = await execute(name)
    results.set(name, counts)
  }

  const active = new Set()
  while (queue.length > 0 || active.size > 0) {
    for (let i = startable(); i >= 0 && queue.length > 0; i = startable()) {
      const [name] = queue.splice(i, 1)
      const task = begin(name).finally(() => active.delete(task))
      active.add(task)
    }
    await Promise.race(active)
  }
  clearInterval(ticker)
  progress()
  const total = (key) => [...results.values()].reduce((sum, counts) => sum + counts[key], 0)
  finish(total('passed'), total('failed'))
}

await main()
