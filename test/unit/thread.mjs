// A worker thread that runs the functions it is sent, one after the other.
import { parentPort, workerData } from 'node:worker_threads'
import * as core from '../../dist/core.js'

const state = {}
parentPort.on('message', async ({ id, code, argument }) => {
  try {
    const run = new Function(`return (${code})`)()
    parentPort.postMessage({
      id,
      value: await run({ core, state, handle: workerData.handle }, argument),
    })
  } catch ({ code, message, name }) {
    parentPort.postMessage({ id, error: { code, message, name } })
  }
})
