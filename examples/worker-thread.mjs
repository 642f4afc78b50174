// A proxy in a worker_thread: a main thread that is blocked, by a long computation say, delays
// nothing of it. It ends with its thread.
//
// Prints:
//   answered while the main thread was blocked: yes
//   ended

import { once } from 'node:events'
import { createServer } from 'node:http'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { createProxy } from 'millrace'

if (isMainThread) {
  const shared = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(new URL(import.meta.url), { workerData: shared })
  await once(worker, 'message') // it serves
  worker.postMessage('ask')
  const woken = Atomics.wait(shared, 0, 0, 10_000) // nothing runs on this thread meanwhile
  console.log('answered while the main thread was blocked:', woken === 'timed-out' ? 'no' : 'yes')
  await worker.terminate()
  console.log('ended')
} else {
  const service = createServer((_, response) => response.end('x')).listen(0, '127.0.0.1')
  await once(service, 'listening')
  const proxy = await createProxy({
    listen: '127.0.0.1:0',
    routes: { '/': `http://127.0.0.1:${service.address().port}` },
  })
  parentPort.once('message', async () => {
    await (await fetch(`http://${proxy.addresses[0].text}/`)).text()
    Atomics.store(workerData, 0, 1)
    Atomics.notify(workerData, 0)
  })
  parentPort.postMessage('serves')
}
