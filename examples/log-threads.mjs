// Four threads write to one log file, each through a buffer of its own. One is ended in the middle
// of it; what it had written is there all the same.
//
// Prints:
//   a: 1000 lines, in order
//   b: 1000 lines, in order
//   c: 1000 lines, in order
//   d: terminated, and nothing is missing
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { FlushFile } from 'millrace/core'

if (isMainThread) await main()
else {
  const { handle, name, lines, wrote } = workerData
  const file = FlushFile.attach(handle)
  for (let i = 0; i < lines; i++) {
    file.write(`${name} ${i}\n`)
    Atomics.store(wrote, 0, i + 1)
  }
}

async function main() {
  const dir = mkdtempSync(join(tmpdir(), 'log-threads-'))
  const path = join(dir, 'app.log')
  const file = new FlushFile({ path, onFull: 'block' })
  const start = (name, lines) => {
    const wrote = new Int32Array(new SharedArrayBuffer(4))
    const data = { handle: file.handle, name, lines, wrote }
    return { wrote, worker: new Worker(fileURLToPath(import.meta.url), { workerData: data }) }
  }
  const whole = ['a', 'b', 'c'].map((name) => once(start(name, 1000).worker, 'exit'))
  const { worker, wrote } = start('d', Number.POSITIVE_INFINITY)
  await Promise.all(whole)
  while (Atomics.load(wrote, 0) === 0) await new Promise(setImmediate)
  await worker.terminate()
  await file.end()

  const numbers = grouped(readFileSync(path, 'utf8').trim().split('\n'))
  for (const [name, lines] of Object.entries(numbers).sort()) {
    const ordered = lines.every((line, i) => line === `${name} ${i}`)
    if (!ordered) throw new Error(`${name} is out of order`)
    if (name !== 'd') console.log(`${name}: ${lines.length} lines, in order`)
    else if (lines.length >= Atomics.load(wrote, 0)) {
      console.log('d: terminated, and nothing is missing')
    }
  }
  rmSync(dir, { recursive: true })
}

function grouped(lines) {
  const groups = {}
  for (const line of lines) {
    groups[line[0]] ??= []
    groups[line[0]].push(line)
  }
  return groups
}
