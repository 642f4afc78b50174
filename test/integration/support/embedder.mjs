// A program that embeds the server, as the tests need one: its main thread can be blocked, and
// clusters published, on request. node embedder.mjs CONFIG CONCURRENCY; speaks by IPC.
import { pino } from 'pino'
import { loadConfiguration } from '../../../dist/config/index.js'
import { Server } from '../../../dist/server/server.js'

const [path, concurrency] = process.argv.slice(2)
const server = new Server({
  concurrency: Number(concurrency),
  fileFlushIntervalMs: 10_000,
  drainTimeMs: 1_000,
  log: pino({ level: 'warn' }, pino.destination({ dest: 2, sync: true })),
})
await server.start(await loadConfiguration({ kind: 'file', path }))

/** Keeps the main thread busy: nothing else runs on it meanwhile. */
function block(ms) {
  const end = Date.now() + ms
  while (Date.now() < end);
}

/** Publishes a cluster that differs each time, some in every turn of the event loop. */
async function publish(times) {
  const name = server.clusters.list()[0].name
  for (let i = 0; i < times; i++) {
    const { cluster } = server.clusters.get(name)
    server.clusters.publish({ ...cluster, connectTimeout: 1_000 + (i % 1_000) })
    if (i % 10 === 9) await new Promise((resolve) => setImmediate(resolve))
  }
  return server.clusters.get(name).version
}

process.on('message', async ({ ask, amount }) => {
  process.send({ begun: ask })
  let result
  if (ask === 'block') result = block(amount)
  if (ask === 'publish') result = await publish(amount)
  if (ask === 'stop') result = await server.stop()
  process.send({ done: ask, result })
  if (ask === 'stop') process.disconnect()
})
process.send({ addresses: [...server.listenerAddresses().values()].flat() })
