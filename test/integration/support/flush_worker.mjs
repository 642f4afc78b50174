// A thread that writes lines `<name> <number> …` to a flush file of another thread, or to one of
// its own.
import { parentPort, workerData } from 'node:worker_threads'
import { FlushFile } from '../../../dist/core.js'

const { handle, open, name, lines, progress, exit } = workerData
const file = handle === undefined ? new FlushFile(open) : FlushFile.attach(handle)
const counts = progress === undefined ? undefined : new Int32Array(progress)

for (let i = 0; i < lines; i++) {
  file.write(`${name} ${i} ${'x'.repeat(i % 300)}\n`)
  if (counts !== undefined) Atomics.store(counts, 0, i + 1)
}
parentPort.postMessage({ wrote: lines, handle: file.handle })
if (exit) process.exit(0)
// Stays until it is told to go, which it does without ending the file.
parentPort.once('message', () => parentPort.close())
