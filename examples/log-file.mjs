// A log file that never stalls its program: rotation, a full disk, and figures.
//
// Prints:
//   before the rotation: one, two
//   after it: three
//   4 lines taken, 3 written, 1 lost
//   what failed: ENOSPC
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FlushFile } from 'millrace/core'

const dir = mkdtempSync(join(tmpdir(), 'log-file-'))
const path = join(dir, 'app.log')
const linesOf = (name) => readFileSync(name, 'utf8').trim().split('\n').join(', ')

const file = new FlushFile({ path })
file.write('one\n')
file.write('two\n')
renameSync(path, `${path}.1`)
await file.reopen()
file.write('three\n')
await file.end()
console.log('before the rotation:', linesOf(`${path}.1`))
console.log('after it:', linesOf(path))

// A disk without room. Nothing is thrown; lines are kept until there is room, or the end.
const full = new FlushFile({ path: '/dev/full' })
full.write('four\n')
await full.flush().catch(() => {})
const lost = await full.end({ deadline: 100 })
const taken = file.counters.lines + full.counters.lines
console.log(`${taken} lines taken, ${file.counters.written} written, ${lost.lines} lost`)
console.log('what failed:', full.counters.lastError.split(' ')[0])
rmSync(dir, { recursive: true })
