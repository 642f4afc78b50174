// node scripts/vitest.mjs <folder or file>...: runs tests by Vitest and counts them. A file that
// cannot be loaded is a failure of its own; a test that was left out is named.
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { attempt, bin, finish, root } from './lib.mjs'

const folders = process.argv.slice(2)
const reports = join(root, 'build-cmake/reports')
const report = join(reports, `${folders.join('+').replaceAll('/', '-')}.json`)
mkdirSync(reports, { recursive: true })
rmSync(report, { force: true })
const outputs = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
const ok = attempt(process.execPath, [bin('vitest'), 'run', ...outputs, ...folders])

const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'))
let failed = numFailedTests
for (const { name, status, assertionResults } of testResults) {
  const bad = assertionResults.filter((test) => test.status === 'failed')
  if (status === 'failed' && bad.length === 0) failed++
  for (const test of assertionResults) {
    if (test.status === 'skipped' || test.status === 'pending')
      console.log(`left out: ${name}: ${test.fullName}`)
  }
}
if (!ok && failed === 0) failed = 1
finish(numPassedTests, failed)
