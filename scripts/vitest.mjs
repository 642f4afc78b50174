// node scripts/vitest.mjs <folder or file>...: runs tests by Vitest and counts them. A file that
// cannot be loaded is a failure of its own; a test that was left out is named.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { attempt, bin, finish, root } from './lib.mjs'

const folders = process.argv.slice(2)
const reports = join(root, 'build-cmake/reports')
// A file's name may be as long as 255 bytes; that of many files together is cut.
const name = folders.join('+').replaceAll('/', '-')
const digest = createHash('sha256').update(name).digest('hex').slice(0, 16)
const report = join(reports, `${name.length > 100 ? `${name.slice(0, 80)}-${digest}` : name}.json`)
mkdirSync(reports, { recursive: true })
rmSync(report, { force: true })
const outputs = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
const ok = attempt(process.execPath, [bin('vitest'), 'run', ...outputs, ...folders])

const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'))
let failed = numFailedTests
for (const { name: file, status, assertionResults } of testResults) {
  const bad = assertionResults.filter((test) => test.status === 'failed')
  if (status === 'failed' && bad.length === 0) failed++
  for (const test of assertionResults) {
    if (test.status === 'skipped' || test.status === 'pending')
      console.log(`left out: ${file}: ${test.fullName}`)
  }
}
if (!ok && failed === 0) failed = 1
finish(numPassedTests, failed)
