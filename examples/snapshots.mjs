// Data that the main thread changes and worker_threads read: a value, a map, and feature flags.
//   node examples/snapshots.mjs
// Prints:
//   worker: 2 routes, example.com is served by a
//   worker: example.com is served by b
//   worker: user 7 sees the new page
//   every thread has taken every change
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { RuntimeFlags, SlotTable } from '../dist/core.js' // in a program of yours: 'millrace/core'

if (isMainThread) {
  const table = new SlotTable()
  const routes = table.allocate('routes').map
  const flags = new RuntimeFlags(table.allocate('flags'))
  await routes.assign({ 'example.com': { backend: 'a' }, 'example.org': { backend: 'c' } })

  const worker = new Worker(new URL(import.meta.url), { workerData: table.handle })
  worker.on('message', (line) => console.log(`worker: ${line}`))
  await once(worker, 'message')
  // Only this key is encoded and sent; the promise waits until the worker has it.
  let said = once(worker, 'message')
  await routes.set('example.com', { backend: 'b' }, { timeout: 5000 })
  await said
  said = once(worker, 'message')
  await flags.set({ newPage: 100 })
  await said
  const behind = table.readers.filter((reader) => reader.lag > 0)
  console.log(behind.length === 0 ? 'every thread has taken every change' : behind)
  table.close()
} else {
  const table = SlotTable.attach(workerData)
  const slot = table.slot('routes')
  const routes = slot.map
  const newPage = new RuntimeFlags(table.slot('flags')).percent('newPage')
  const say = (line) => parentPort.postMessage(line)
  table.ref() // this thread lives until the table is closed
  table.on('close', () => table.close())
  say(`${routes.size} routes, example.com is served by ${routes.get('example.com').backend}`)
  slot.on('change', () => say(`example.com is served by ${routes.get('example.com').backend}`))
  table.slot('flags').on('change', () => {
    if (newPage.enabled('user 7')) say('user 7 sees the new page')
  })
}
