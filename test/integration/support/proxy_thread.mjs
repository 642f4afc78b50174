// A worker_thread with a proxy of its own: says where it listens; 'apply' keeps it applying, and
// 'close' closes it.
import { parentPort, workerData } from 'node:worker_threads'
import { createProxy } from '../../../dist/index.js'

const configuration = (i) => ({
  listen: '127.0.0.1:0',
  routes: { '/': 'app', [`/${i}`]: { respond: 'x' } },
  upstreams: { app: workerData.port },
  access_log: workerData.log,
})
const proxy = await createProxy(configuration(0), { concurrency: 2, admin: 0 })
parentPort.postMessage(proxy.addresses[0].port)
parentPort.on('message', async (message) => {
  if (message === 'apply') for (let i = 1; ; i++) await proxy.apply(configuration(i))
  if (message === 'close') {
    await proxy.close()
    parentPort.close()
  }
})
