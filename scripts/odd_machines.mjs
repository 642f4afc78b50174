// node scripts/odd_machines.mjs [--short] [kind...]: the C++ tests and the integration tests as
// machines of other kinds would run them, so that no test depends on the one it was written on.
//   tiny, huge   socket buffers of TCP: of a page, and of 4 MiB that grow to 64 (in a network
//                namespace of its own, which has its own net.ipv4.tcp_rmem and tcp_wmem)
//   one-cpu      all that runs shares one CPU
//   busy         beside loops that never wait, one for each CPU
// --short: tiny and huge, the suites that move most bytes; what continuous integration runs.
// Wants the addon and dist/ built; builds the C++ tests itself. Its last line is "N passed, N
// failed".
import { spawn, spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { countsIn, finish, root } from './lib.mjs'

const buffers = (least, usual, most) => [
  'ip link set lo up',
  `sysctl -qw net.ipv4.tcp_rmem='${least} ${usual} ${most}'`,
  `sysctl -qw net.ipv4.tcp_wmem='${least} ${usual} ${most}'`,
  'exec "$@"',
]
const MIB = 1 << 20
// Without privileges the namespace is that of a user who is root there.
const own = process.getuid() === 0 ? ['--net'] : ['--net', '--map-root-user']
const inNamespace = (script) => ['unshare', ...own, 'sh', '-ec', script.join('\n'), 'sh']

/** What a command runs under. */
const kinds = {
  tiny: inNamespace(buffers(4096, 4096, 8192)),
  huge: inNamespace(buffers(4096, 4 * MIB, 64 * MIB)),
  'one-cpu': ['taskset', '--cpu-list', '0'],
  busy: ['nice', '-n', '0'],
}

const suites = {
  native: ['scripts/native_tests.mjs', 'dev'],
  integration: ['scripts/vitest.mjs', 'test/integration'],
}
const shortSuites = {
  native: ['scripts/native_tests.mjs', 'dev', 'net'],
  integration: [
    'scripts/vitest.mjs',
    'test/integration/http.test.ts',
    'test/integration/tcp_proxy.test.ts',
    'test/integration/upstream_faults.test.ts',
    'test/integration/client_faults.test.ts',
  ],
}

const args = process.argv.slice(2)
const short = args.includes('--short')
const named = args.filter((arg) => !arg.startsWith('--'))
const unknown = named.filter((kind) => kinds[kind] === undefined)
if (unknown.length > 0) {
  console.error(`no kind ${unknown.join(', ')}; there are: ${Object.keys(kinds).join(' ')}`)
  process.exit(2)
}
const everything = short ? ['tiny', 'huge'] : Object.keys(kinds)

/** Processes that use every CPU until they are stopped. */
function loops(count) {
  const children = Array.from({ length: count }, () =>
    spawn(process.execPath, ['--eval', 'for (;;) {}'], { stdio: 'ignore' }),
  )
  return () => {
    for (const child of children) child.kill('SIGKILL')
  }
}

let passed = 0
let failed = 0
for (const kind of named.length > 0 ? named : everything) {
  for (const [suite, command] of Object.entries(short ? shortSuites : suites)) {
    const stop = loops(kind === 'busy' ? availableParallelism() : 0)
    const started = Date.now()
    const [program, ...before] = kinds[kind]
    const result = spawnSync(program, [...before, process.execPath, ...command], {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    })
    stop()
    const output = `${result.error?.message ?? ''}${result.stdout ?? ''}${result.stderr ?? ''}`
    const counts = countsIn(output) ?? { passed: 0, failed: 0 }
    if (result.status !== 0) counts.failed = Math.max(counts.failed, 1)
    if (counts.failed > 0) console.log(output)
    passed += counts.passed
    failed += counts.failed
    const seconds = Math.round((Date.now() - started) / 1000)
    console.log(
      `${kind}, ${suite}: ${counts.passed} passed, ${counts.failed} failed (${seconds} s)`,
    )
  }
}
finish(passed, failed)
