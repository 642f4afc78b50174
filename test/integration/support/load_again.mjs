// The native core in every way that it can come into a process more than once; each of them runs a
// core. Prints one line of JSON.
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { nativeBinary } from '../../../dist/native/index.js'

const require = createRequire(import.meta.url)
const { path, module } = nativeBinary()

/** Whether a core of this module starts, publishes and stops. */
async function works(native) {
  const core = native.createCore({ concurrency: 2 })
  core.start()
  const slot = core.allocateSlot('test')
  core.publishDate('now')
  const versions = core.workerStats().length
  const report = await core.stop(100)
  return slot > 0 && versions === 2 && report.connectionsCut === 0
}

const inWorker = () =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url))
    worker.on('message', resolve)
    worker.on('error', reject)
  })

if (isMainThread) {
  const result = { first: await works(module) }
  delete require.cache[path]
  const again = require(path)
  result.uncached = again !== module && (await works(again))
  result.firstStill = await works(module)
  const folder = mkdtempSync(join(tmpdir(), 'millrace-load-'))
  const copy = join(folder, 'copy.node')
  copyFileSync(path, copy)
  const copied = require(copy)
  result.copy = await works(copied)
  result.workers = await Promise.all([inWorker(), inWorker(), inWorker()])
  // Both copies, and cores of every instance, at the same time.
  const all = await Promise.all([module, again, copied].map(works))
  result.together = all.every(Boolean)
  rmSync(folder, { recursive: true })
  // Cores that nobody stopped: what is left of them ends with the process.
  for (const native of [module, again, copied]) native.createCore({ concurrency: 1 }).start()
  console.log(JSON.stringify(result))
} else parentPort.postMessage(await works(module))
