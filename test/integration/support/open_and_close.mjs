// Opens and closes so many of a kind, and says what is left: descriptors, threads, bytes of the
// JavaScript heap and of resident memory for each.
//   node --expose-gc open_and_close.mjs proxies|files|tables COUNT
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { FlushFile, SlotTable } from '../../../dist/core.js'
import { createProxy } from '../../../dist/index.js'

const [kind, count] = [process.argv[2], Number(process.argv[3])]
const actions = {
  proxies: async () => {
    const options = { concurrency: 2 }
    const config = { listen: '127.0.0.1:0', routes: { '/': 'http://127.0.0.1:1' } }
    const proxy = await createProxy(config, options)
    await proxy.close()
  },
  files: async () => {
    const file = new FlushFile({ path: 'file.log' })
    file.write('a line\n')
    await file.end()
  },
  tables: async () => {
    const table = new SlotTable()
    table
      .allocate('x')
      .set({ a: 1 })
      .catch(() => {})
    table.close()
  },
}

const resident = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1])
async function measure() {
  for (let i = 0; i < 8; i++) {
    globalThis.gc()
    await sleep(20)
  }
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    heap: process.memoryUsage().heapUsed,
    resident: resident() * 1024,
  }
}
let most = 0
async function run(times) {
  for (let i = 0; i < times; i++) {
    await actions[kind]()
    // The garbage collector's finalizers have their turn between two turns of the loop.
    await new Promise(setImmediate)
    most = Math.max(most, readdirSync('/proc/self/fd').length)
  }
}

// What is made once and kept is no leak: code, caches, the allocator's arenas.
await run(Math.ceil(count / 5))
const before = await measure()
most = 0
await run(count)
const after = await measure()
console.log(
  JSON.stringify({
    descriptors: after.descriptors - before.descriptors,
    mostDescriptors: most - before.descriptors,
    threads: after.threads - before.threads,
    heapEach: (after.heap - before.heap) / count,
    residentEach: (after.resident - before.resident) / count,
  }),
)
