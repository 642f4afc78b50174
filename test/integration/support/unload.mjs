// Worker threads load the native core and leave a core running when they end: by themselves, by
// process.exit(), by worker.terminate(). Then it is mapped no more. Prints one line of JSON.
import { readFileSync } from 'node:fs'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const mapped = () => readFileSync('/proc/self/maps', 'utf8').includes('millrace.node')

async function end(how) {
  const worker = new Worker(new URL(import.meta.url), { workerData: how })
  let wasMapped = false
  worker.on('message', () => {
    wasMapped = mapped()
    if (how === 'terminate') worker.terminate()
    else worker.postMessage('end')
  })
  await new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject))
  return wasMapped && !mapped()
}

if (isMainThread) {
  const ended = []
  for (const how of ['return', 'exit', 'terminate']) ended.push(await end(how))
  console.log(JSON.stringify({ ended, mapped: mapped() }))
} else {
  const { loadNative } = await import('../../../dist/native/index.js')
  const core = loadNative().createCore({ concurrency: 2 })
  core.start()
  core.openLog({ target: '/dev/null', flushInterval: 1, ringBytes: 4096 })
  parentPort.postMessage('running')
  parentPort.once('message', () => {
    if (workerData === 'exit') process.exit(0)
  })
}
