// npm run fuzz [-- --seconds 60] [name...]: builds the fuzzers, replays the kept corpus
// (test/native/fuzz/corpus/<name>/), then looks for new inputs for so many seconds each. What
// crashes is written to build-cmake/fuzz/findings/.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildPreset, finish, root } from './lib.mjs'

const { values, positionals } = parseArgs({
  options: { seconds: { type: 'string', default: '60' } },
  allowPositionals: true,
})
const names = readdirSync(join(root, 'test/native/fuzz'))
  .filter((file) => file.endsWith('_fuzz.cc'))
  .map((file) => file.slice(0, -'_fuzz.cc'.length))
  .filter((name) => positionals.length === 0 || positionals.includes(name))

buildPreset('fuzz', { targets: names.map((name) => `${name}_fuzz`) })

const build = join(root, 'build-cmake/fuzz')
const findings = join(build, 'findings')
mkdirSync(findings, { recursive: true })

let passed = 0
let failed = 0

/** Runs a fuzzer. What it prints comes when it has ended, not among what others print. */
function check(title, program, args) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text
      })
    }
    child.on('error', (error) => {
      output += error.message
    })
    child.on('close', (code) => {
      console.log(`${output}${code === 0 ? 'ok' : 'FAILED'}: ${title}`)
      if (code === 0) passed++
      else failed++
      resolve()
    })
  })
}

async function fuzz(name) {
  const program = join(build, `${name}_fuzz`)
  const kept = join(root, 'test/native/fuzz/corpus', name)
  const found = join(build, 'corpus', name)
  mkdirSync(found, { recursive: true })
  const prefix = `-artifact_prefix=${findings}/${name}-`
  const limits = ['-timeout=10', '-rss_limit_mb=1024', '-print_final_stats=1']
  const seeds = existsSync(kept) ? readdirSync(kept).length : 0
  if (seeds > 0)
    await check(`${name}: ${seeds} kept inputs`, program, ['-runs=0', prefix, ...limits, kept])
  const folders = seeds > 0 ? [found, kept] : [found]
  const search = [`-max_total_time=${values.seconds}`, prefix, ...limits, ...folders]
  await check(`${name}: ${values.seconds} s of search`, program, search)
}

/** One fuzzer after the other, beside as many others as there are CPUs. */
async function work() {
  for (let name = names.shift(); name !== undefined; name = names.shift()) await fuzz(name)
}
await Promise.all(Array.from({ length: availableParallelism() }, work))
finish(passed, failed)
