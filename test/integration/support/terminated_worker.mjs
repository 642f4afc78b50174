// A worker thread that the parent terminates while it does one thing over and over, so that the end
// comes at any moment of it. Loads the compiled addon only: starting must be fast.
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { FlushFile, SlotTable } from '../../../dist/core.js'
import { loadNative } from '../../../dist/native/index.js'

const { stage, calls, folder, seed } = workerData
const native = loadNative()
let onFirstEvent = () => {}
const options = {
  concurrency: 1 + (seed % 2),
  onEvent: (event) => {
    parentPort.postMessage({ event: event.kind })
    onFirstEvent()
    onFirstEvent = () => {}
  },
}
const ready = (message = {}) => parentPort.postMessage({ ready: true, ...message })

/** A core that proxies: what a server told its core, told to another one. */
function serving() {
  const core = native.createCore(options)
  let addresses = []
  for (const [name, args] of calls) {
    const result = core[name](...args)
    if (name === 'addListener') addresses = result
  }
  return { core, addresses }
}

const stages = {
  loaded: () => {
    ready()
    setInterval(() => native.cpuFeatures.join(), 1)
  },
  creating: () => {
    ready()
    for (;;) native.createCore(options)
  },
  stopping: async () => {
    ready()
    for (;;) {
      const { core } = serving()
      await core.stop(seed % 3)
    }
  },
  serving: () => {
    const { core, addresses } = serving()
    ready({ addresses })
    setInterval(() => core.workerStats(), 1)
  },
  blocked: () => {
    const { addresses } = serving()
    ready({ addresses })
    for (;;);
  },
  publishing: () => {
    const { core, addresses } = serving()
    const again = calls.filter(([name]) => /^publish/.test(name))
    ready({ addresses })
    const publish = () => {
      for (const [name, args] of again) core[name](...args)
      core.publishDate(new Date().toUTCString())
      setImmediate(publish)
    }
    publish()
  },
  reading: () => {
    const { core, addresses } = serving()
    ready({ addresses })
    for (;;) core.readStats([1, 10, 100])
  },
  refused: () => {
    const { core } = serving()
    ready()
    for (;;) {
      try {
        core.publishRoutes('no number', {})
      } catch {
        // that is what is asked for here
      }
    }
  },
  events: () => {
    const { core } = serving()
    const dir = join(folder, `${seed}-${process.hrtime.bigint()}`)
    onFirstEvent = () => ready()
    const turn = () => {
      mkdirSync(dir)
      const target = join(dir, 'log')
      const log = core.openLog({ target, flushInterval: 1, ringBytes: 4096 })
      rmSync(dir, { recursive: true })
      core.reopenLogs() // fails, and says so by an event
      core.closeLog(log)
      setImmediate(turn)
    }
    turn()
  },
  flushing: () => {
    const file = new FlushFile({ path: join(folder, 'shared'), flushInterval: 1 })
    ready()
    const turn = () => {
      for (let i = 0; i < 100; i++) file.write('a line of a log, of some length\n')
      file.flush().then(() => setImmediate(turn))
    }
    turn()
  },
  slots: () => {
    const table = new SlotTable()
    const slot = table.allocate('terminated')
    const attached = SlotTable.attach(table.handle).slot('terminated')
    ready()
    const turn = () => {
      slot.set({ at: process.hrtime.bigint(), list: Array(100).fill('text') }).catch(() => {})
      attached.get()
      setImmediate(turn)
    }
    turn()
  },
  exiting: () => {
    const { addresses } = serving()
    ready({ addresses })
    setTimeout(() => process.exit(0), seed % 5)
  },
}

// Not awaited: Node 20 aborts when a thread ends while a module with a top-level await runs.
stages[stage]()
