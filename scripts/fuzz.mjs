// npm run fuzz [-- --seconds 60] [name...]: builds the fuzzers, replays the kept corpus
// (test/native/fuzz/corpus/<name>/), then looks for new inputs for so many seconds each. What
// crashes is written to build-cmake/fuzz/findings/.
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { attempt, compilerEnv, finish, root, run } from './lib.mjs'

const { values, positionals } = parseArgs({
  options: { seconds: { type: 'string', default: '60' } },
  allowPositionals: true,
})
const names = readdirSync(join(root, 'test/native/fuzz'))
  .filter((file) => file.endsWith('_fuzz.cc'))
  .map((file) => file.slice(0, -'_fuzz.cc'.length))
  .filter((name) => positionals.length === 0 || positionals.includes(name))

const env = compilerEnv()
run('cmake', ['--preset', 'fuzz'], { env, stdio: ['ignore', 'ignore', 'inherit'] })
const targets = names.map((name) => `${name}_fuzz`)
const jobs = String(availableParallelism())
run('cmake', ['--build', '--preset', 'fuzz', '-j', jobs, '--target', ...targets], { env })

const build = join(root, 'build-cmake/fuzz')
const findings = join(build, 'findings')
mkdirSync(findings, { recursive: true })

let passed = 0
let failed = 0
function check(title, ok) {
  console.log(`${ok ? 'ok' : 'FAILED'}: ${title}`)
  if (ok) passed++
  else failed++
}

for (const name of names) {
  const program = join(build, `${name}_fuzz`)
  const kept = join(root, 'test/native/fuzz/corpus', name)
  const found = join(build, 'corpus', name)
  mkdirSync(found, { recursive: true })
  const prefix = `-artifact_prefix=${findings}/${name}-`
  const limits = ['-timeout=10', '-rss_limit_mb=1024', '-print_final_stats=1']
  const seeds = existsSync(kept) ? readdirSync(kept).length : 0
  if (seeds > 0)
    check(`${name}: ${seeds} kept inputs`, attempt(program, ['-runs=0', prefix, ...limits, kept]))
  const folders = seeds > 0 ? [found, kept] : [found]
  const search = [`-max_total_time=${values.seconds}`, prefix, ...limits, ...folders]
  check(`${name}: ${values.seconds} s of search`, attempt(program, search))
}
finish(passed, failed)
