// npm run lint: the formatters and linters of both languages, the type check, and the rules of the
// tree (test/tidy.test.ts). Where clang-format is missing its check is left out by name; with
// CI=true that is a failure.
import { cppFiles } from './cpp_files.mjs'
import { attempt, bin, finish, has } from './lib.mjs'

const CLANG_FORMAT = 'clang-format-19' // each version formats a little differently

const TIDY = 'rules of the tree (tidy)'

const checks = {
  'formatting and lint of TypeScript (Biome)': () =>
    attempt(process.execPath, [bin('biome'), 'ci', '--colors=off', '.']),
  'types of src/': () => attempt(process.execPath, [bin('tsc'), '--noEmit']),
  'types of the tests': () =>
    attempt(process.execPath, [bin('tsc'), '--project', 'tsconfig.test.json']),
  [`formatting of C++ (${CLANG_FORMAT})`]: () => {
    if (has(CLANG_FORMAT)) return attempt(CLANG_FORMAT, ['--dry-run', '-Werror', ...cppFiles()])
    console.log(`skipped: apt-get install ${CLANG_FORMAT}`)
    return process.env.CI === 'true' ? false : undefined
  },
  [TIDY]: () => attempt(process.execPath, [bin('vitest'), 'run', 'test/tidy.test.ts']),
}

let passed = 0
let failed = 0
// npm test counts its cases by themselves.
if (process.argv.includes('--no-tidy')) delete checks[TIDY]
for (const [name, check] of Object.entries(checks)) {
  console.log(`--- ${name}`)
  const ok = check()
  if (ok === true) passed++
  if (ok === false) {
    console.log(`FAILED: ${name}`)
    failed++
  }
}
finish(passed, failed)
