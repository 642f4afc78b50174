// npm run bench: Millrace beside nginx, HAProxy, and the least that a relay can do. bench/README.md
// says how and why.
//   --scenarios h1-1k,close      which (default: all)
//   --proxies nginx,millrace     which (default: floor,nginx,haproxy,millrace)
//   --before ../millrace-1.0      also another build, the folder of which is named
//   --rounds 3                   each of them measures everything
//   --secs 5                     of load for each measurement
//   --idle 9500                  idle connections
//   --out bench/results/NAME     writes NAME.json and NAME.md
//   --quiet 0.1 --wait 10        waits, so many seconds at most, until others use less of a CPU
//   --no-spinner                 lets idle CPUs halt
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { has, root } from '../scripts/lib.mjs'
import { describe, quiet } from './machine.mjs'
import { LOAD_CPU, measure, PROXY_CPU, serves } from './measure.mjs'
import { killAll, output, start } from './processes.mjs'
import { BUILD, compareWith, freePorts, PROXIES } from './proxies.mjs'
import { markdown } from './report.mjs'
import { SCENARIOS } from './scenarios.mjs'

const STEAL_MAX = 0.15 // CPUs; a run from which the host took more is repeated
const REPEATS_MAX = 3
const TOOLS = {
  wrk: 'wrk',
  nginx: 'nginx libnginx-mod-stream',
  haproxy: 'haproxy',
  strace: 'strace',
  taskset: 'util-linux',
  'c++': 'g++',
}

function options() {
  const text = (value) => ({ type: 'string', default: String(value) })
  const { values } = parseArgs({
    options: {
      scenarios: text(Object.keys(SCENARIOS)),
      proxies: text(Object.keys(PROXIES)),
      before: { type: 'string' },
      rounds: text(3),
      secs: text(5),
      idle: text(9500),
      quiet: text(0.1),
      wait: text(10),
      out: text(join('bench/results', new Date().toISOString().slice(0, 10))),
      'no-spinner': { type: 'boolean', default: false },
    },
  })
  const list = (names, known) => {
    const wanted = names.split(',')
    const unknown = wanted.filter((name) => known[name] === undefined)
    if (unknown.length === 0) return wanted
    throw new Error(`unknown: ${unknown.join(', ')}; there are ${Object.keys(known).join(', ')}`)
  }
  if (values.before !== undefined) {
    compareWith(values.before)
    values.proxies += ',before'
  }
  return {
    scenarios: list(values.scenarios, SCENARIOS),
    proxies: list(values.proxies, PROXIES),
    rounds: Number(values.rounds),
    seconds: Math.max(1, Math.round(Number(values.secs))),
    idleConnections: Number(values.idle),
    quiet: Number(values.quiet),
    wait: Number(values.wait),
    out: values.out,
    spinner: !values['no-spinner'],
  }
}

/** Our own programs; the slot benchmark, with the layers it needs, only for its scenario. */
function buildPrograms({ scenarios }) {
  mkdirSync(BUILD, { recursive: true })
  const compile = (name, ...more) => {
    const flags = ['-std=c++20', '-O2', '-DNDEBUG', '-pthread', '-fno-exceptions', '-fno-rtti']
    const args = [...flags, '-o', join(BUILD, name), `bench/native/${name}.cc`, ...more]
    execFileSync('c++', args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  }
  for (const name of ['origin', 'relay', 'yardstick', 'spinner']) compile(name)
  if (!scenarios.includes('slots')) return
  const sources = execFileSync(process.execPath, ['native/sources.mjs', 'core'], { cwd: root })
  const layers = /^native\/(base|rcu|event)\//
  const core = sources
    .toString()
    .split('\n')
    .filter((path) => layers.test(path))
  compile('slots', '-Inative', ...core)
}

async function versions(names) {
  const found = {}
  for (const name of names) {
    const command = PROXIES[name].version
    if (command === undefined) continue
    const [first] = (await output(command)).split('\n')
    found[name] = first
      .replace(/^nginx version: /, '')
      .replace(/ -? ?https?:.*/, '')
      .slice(0, 60)
  }
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root })
    .toString()
    .trim()
  return { ...found, commit: `commit ${commit}` }
}

async function one(scenario, proxy, round, context, settings) {
  for (let repeat = 0; ; repeat++) {
    await quiet(settings.quiet, settings.wait)
    let run
    try {
      run = await measure(proxy, SCENARIOS[scenario], context)
    } catch (error) {
      run = { error: error.message }
    }
    if ((run.steal ?? 0) <= STEAL_MAX || repeat === REPEATS_MAX) {
      return { scenario, proxy, round, ...run }
    }
  }
}

function print({ scenario, proxy, round, error, ...figures }) {
  const short = (value) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value)
  const entries = Object.entries(figures).map(([key, value]) => [key, short(value)])
  const text = error ?? JSON.stringify(Object.fromEntries(entries))
  console.log(`${round + 1} ${scenario.padEnd(10)} ${proxy.padEnd(8)} ${text}`)
}

async function main() {
  const settings = options()
  const missing = Object.entries(TOOLS).filter(
    ([tool]) => !has(tool) && (PROXIES[tool] === undefined || settings.proxies.includes(tool)),
  )
  if (missing.length > 0) {
    throw new Error(`apt-get install ${missing.map(([, name]) => name).join(' ')}`)
  }
  const built = ['dist/cli/main.js', 'build/Release/millrace.node'].map((path) => join(root, path))
  if (settings.proxies.includes('millrace') && !built.every((path) => existsSync(path))) {
    throw new Error('Millrace is not built: npm run build')
  }
  buildPrograms(settings)
  rmSync(join(BUILD, 'run'), { recursive: true, force: true })
  // This process reads /proc and opens connections: it must not disturb the proxy.
  execFileSync('taskset', ['-acp', String(LOAD_CPU), String(process.pid)])

  const ports = await freePorts()
  const origin = start([`${BUILD}/origin`, String(ports.origin)], { cpu: LOAD_CPU })
  if (settings.spinner)
    for (const cpu of [PROXY_CPU, LOAD_CPU]) start([`${BUILD}/spinner`], { cpu })
  const context = {
    ports,
    origin,
    seconds: settings.seconds,
    idleConnections: settings.idleConnections,
  }
  const runs = []
  for (let round = 0; round < settings.rounds; round++) {
    for (const scenario of settings.scenarios) {
      if (SCENARIOS[scenario].special !== undefined && round > 0) continue
      for (const proxy of settings.proxies) {
        if (!serves(PROXIES[proxy], proxy, SCENARIOS[scenario])) continue
        const run = await one(scenario, proxy, round, context, settings)
        runs.push(run)
        print(run)
      }
    }
  }

  const date = new Date().toISOString().slice(0, 10)
  const machine = { ...describe(), versions: await versions(settings.proxies) }
  const result = { date, machine, options: settings, runs }
  const text = markdown(result)
  const out = join(root, settings.out)
  mkdirSync(dirname(out), { recursive: true })
  writeFileSync(`${out}.json`, `${JSON.stringify(result, undefined, 1)}\n`)
  writeFileSync(`${out}.md`, text)
  console.log(`\n${text}\nwritten: ${settings.out}.md and .json`)
}

process.on('exit', killAll)
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))
try {
  await main()
} catch (error) {
  console.error(`bench: ${error.message}`)
  process.exitCode = 1
}
process.exit()
