// One of the threads that a snapshot goes to. `way` says how; it reads nothing by itself, and says
// when it has seen what was sent.
import { BroadcastChannel, parentPort, workerData } from 'node:worker_threads'
import { SlotTable } from '../../dist/core.js'
import { ownTid } from './measure.mjs'

const { handle, flags, index, channel, shared } = workerData
let reads = false
let seen = 0

/** A new value has come: `read` decodes it and takes the marked field. */
function arrived(read) {
  if (reads) seen = read()
  Atomics.store(flags, index, reads ? seen : Atomics.load(flags, index) + 1)
  Atomics.notify(flags, index)
}

const ways = {
  SlotTable() {
    const slot = SlotTable.attach(handle).slot('config')
    // Without reading there is no listener either: the native side alone takes the news.
    if (reads) slot.on('change', () => arrived(() => slot.get().mark))
  },
  map() {
    const slot = SlotTable.attach(handle).slot('keyed')
    if (reads) slot.on('change', () => arrived(() => slot.map.get('mark')))
  },
  postMessage() {},
  BroadcastChannel() {
    new BroadcastChannel(channel).onmessage = ({ data }) => arrived(() => data.mark)
  },
  shared() {},
}

parentPort.on('message', (message) => {
  if (message.start !== undefined) {
    reads = message.reads
    ways[message.start]()
    parentPort.postMessage({ tid: ownTid() })
  } else if (message.json !== undefined) {
    arrived(() => JSON.parse(Buffer.from(new Uint8Array(shared, 0, message.json)).toString()).mark)
  } else {
    arrived(() => message.mark)
  }
})
