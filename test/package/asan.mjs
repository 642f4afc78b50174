// The addon under AddressSanitizer and UBSan, in a Node that knows nothing of them: loaded again,
// unloaded, ended by worker.terminate(), serving while everything upstream comes and goes; and what
// it leaked when the process ends. Its last line is "N passed, N failed".
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { buildPreset, root } from '../../scripts/lib.mjs'
import { check, expect, suite } from './stage.mjs'

const TERMINATIONS = '120'
const SEED = process.env.MILLRACE_SEED ?? '20'
const CHAOS_ROUNDS = '40' // under a minute of CPU
const PATIENCE_MS = 300_000
// Node frees only promises that were settled, and settles none in an environment that ends.
const SUPPRESSIONS = 'leak:napi_create_promise\n'

/** A folder as node-gyp leaves it, with the addon of the asan preset. */
function build(dir) {
  const headers = createRequire(import.meta.url)('node-api-headers').include_dir
  buildPreset('asan', { settings: [`-DCMAKE_JS_INC=${headers}`], targets: ['millrace'] })
  mkdirSync(join(dir, 'build/Release'), { recursive: true })
  cpSync(join(root, 'build-cmake/asan/millrace.node'), join(dir, 'build/Release/millrace.node'))
  writeFileSync(join(dir, 'suppressions'), SUPPRESSIONS)
}

/** Runs a script of the integration tests; any report of a sanitizer is a failure. */
const clean = (dir, script, ...args) => underSanitizer(dir, script, args, true)

/** As {@link clean}, for a script that ends with process.exit(), which leaves all to the system. */
const cleanButForLeaks = (dir, script, ...args) => underSanitizer(dir, script, args, false)

function underSanitizer(dir, script, args, leaks) {
  const runtime = execFileSync('c++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim()
  const path = join(root, 'test/integration/support', script)
  const result = spawnSync(process.execPath, [path, ...args], {
    encoding: 'utf8',
    timeout: PATIENCE_MS,
    env: {
      ...process.env,
      MILLRACE_PREBUILD: dir, // where node-gyp-build looks
      LD_PRELOAD: runtime,
      ASAN_OPTIONS: `detect_leaks=${Number(leaks)}:abort_on_error=0:exitcode=99`,
      UBSAN_OPTIONS: 'print_stacktrace=1',
      LSAN_OPTIONS: `suppressions=${join(dir, 'suppressions')}:print_suppressions=0`,
    },
  })
  const report = /ERROR: \w*Sanitizer|runtime error:/.test(result.stderr)
  const exit = result.status ?? result.signal
  expect(exit === 0 && !report, `exit ${exit}\n${result.stdout}\n${result.stderr}`)
  return JSON.parse(result.stdout)
}

await suite(async (dir) => {
  if (!(await check('the addon of the asan preset', () => build(dir)))) return
  await check('loading again', () => {
    const result = clean(dir, 'load_again.mjs')
    expect(!JSON.stringify(result).includes('false'), JSON.stringify(result))
  })
  await check('unloading', () => {
    const { ended, mapped } = clean(dir, 'unload.mjs')
    expect(ended.every(Boolean) && !mapped, 'it stays mapped')
  })
  for (const atOnce of ['1', '4']) {
    await check(`worker.terminate(), ${atOnce} at once`, () => {
      const { ready } = clean(dir, 'terminate_workers.mjs', TERMINATIONS, SEED, atOnce)
      expect(ready > TERMINATIONS / 2, `only ${ready} workers were ready`)
    })
  }
  await check(`pools of all kinds, hosts that leave, connections that end, seed ${SEED}`, () => {
    const ended = cleanButForLeaks(dir, 'pool_chaos.mjs', SEED, CHAOS_ROUNDS)
    const { answered, wrong, left } = ended
    expect(answered > 0, 'nothing was answered')
    expect(wrong === 0, `${wrong} answers went to another request`)
    expect(Object.keys(left).length === 0, `left: ${JSON.stringify(left)}`)
  })
})
