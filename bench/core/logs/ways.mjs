// The ways to write a log from Node that are compared. Each opens `to` (a path) and returns what
// pino writes to, and how to wait until all is written.
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { pino } from 'pino'
import { destination } from '../../../dist/pino.js'

async function sonic(options) {
  const boom = pino.destination(options)
  if (!options.sync) await once(boom, 'ready')
  return {
    stream: boom,
    end: async () => {
      const closed = once(boom, 'close')
      boom.end()
      await closed
    },
  }
}

export const ways = {
  // What formatting alone costs, and a loop that nobody disturbs.
  nothing: async () => ({ stream: { write: () => true }, end: async () => {} }),
  'millrace/pino': async (to, options = {}) => {
    const stream = destination({ dest: to, ...options })
    return {
      stream,
      end: async () => {
        const closed = once(stream, 'close')
        stream.end()
        await closed
      },
    }
  },
  'sonic-boom, sync': (to) => sonic({ dest: to, sync: true }),
  'sonic-boom, sync, minLength 4096': (to) => sonic({ dest: to, sync: true, minLength: 4096 }),
  'sonic-boom, async, minLength 4096': (to) => sonic({ dest: to, sync: false, minLength: 4096 }),
  'pino.transport': async (to) => {
    const stream = pino.transport({ target: 'pino/file', options: { destination: to } })
    await once(stream, 'ready')
    return {
      stream,
      end: async () => {
        const closed = once(stream, 'close')
        stream.end()
        await closed
      },
    }
  },
  'fs.createWriteStream': async (to) => {
    const stream = createWriteStream(to, { flags: 'a' })
    await once(stream, 'open')
    return { stream, end: () => new Promise((resolve) => stream.end(resolve)) }
  },
}
