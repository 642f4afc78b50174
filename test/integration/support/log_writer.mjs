// A process that writes lines to a flush file and then ends in the way that it is told:
//   node log_writer.mjs '{"path": …, "lines": …, "end": …, …}'
// It says "ready" on stdout when the lines are written, where it then waits for a signal.
import { setTimeout as sleep } from 'node:timers/promises'
import { FlushFile } from '../../../dist/core.js'

const { path, fd, lines, end, options, more = [] } = JSON.parse(process.argv[2])
const to = fd === undefined ? { path } : { fd }
const file = new FlushFile({ ...to, flushInterval: 60_000, ...options })
for (const other of more) new FlushFile({ path: other, flushInterval: 60_000 }).write('other\n')
const write = (from, to) => {
  for (let i = from; i < to; i++) file.write(`${String(i).padStart(7)} ${'x'.repeat(90)}\n`)
}
write(0, lines)

/** Reads beyond the end of a WebAssembly memory; the engine is told of it by SIGSEGV. */
function trap() {
  const code =
    '0061736d0100000001060160017f017f030201000503010001070501016c00000a0901070020002802000b'
  const module = new WebAssembly.Module(Buffer.from(code, 'hex'))
  return new WebAssembly.Instance(module).exports.l(2 ** 31 - 8)
}

const ways = {
  exit: () => process.exit(3),
  return: () => undefined,
  throw: () => {
    throw new Error('nobody catches this')
  },
  // Written when the process is already on its way out.
  late: () => {
    process.on('exit', () => write(lines, lines + 10))
    process.exit(0)
  },
  // The reader of the descriptor is gone, or goes soon.
  epipe: async () => {
    while (!file.counters.failing) {
      write(0, 10)
      await file.flush().catch(() => {})
      await sleep(1)
    }
    process.exit(3)
  },
  abort: () => process.abort(),
  wait: () => setInterval(() => {}, 1000),
  block: () => {
    for (;;);
  },
  handler: () => {
    process.on('SIGTERM', () => {
      process.stdout.write('handled\n')
      write(lines, lines + 10)
      process.exit(0)
    })
    setInterval(() => {}, 1000)
  },
  'handler that went': () => {
    const listener = () => {}
    process.on('SIGTERM', listener)
    process.off('SIGTERM', listener)
    setInterval(() => {}, 1000)
  },
  trap: async () => {
    try {
      trap()
    } catch (error) {
      process.stdout.write(`${error.constructor.name}\n`)
    }
    write(lines, lines + 10)
    await sleep(1)
  },
}

// The pipe is written to before the process blocks, or dies without emptying it.
if (fd === undefined) process.stdout.write('ready\n', () => ways[end]())
else await ways[end]()
