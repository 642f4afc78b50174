// node bench/unruly.mjs [--requests 32000] [--clients 8,32,128] [--proxies millrace,haproxy,nginx]
//
// What clients get of upstreams that close without a word after 1 to 20 answers, and of upstreams
// that answer more often than they are asked, through each proxy in turn: how many answers were
// wrong (another request's), how many requests failed, how many connections were cut. Not a matter
// of speed; needs what the benchmark needs (README.md). A short form is a test: unruly.test.ts.
import { execFileSync, spawn } from 'node:child_process'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { root } from '../scripts/lib.mjs'
import { BUILD, freePorts, prepare } from './proxies.mjs'

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '32000' },
    clients: { type: 'string', default: '8,32,128' },
    proxies: { type: 'string', default: 'millrace,haproxy,nginx' },
  },
})
const LOAD_TIMEOUT_MS = 300_000
const START_TRIES = 200
const MODES = [
  { method: 'POST', how: ['close'] },
  { method: 'GET', how: ['stray', '0'] },
  { method: 'GET', how: ['stray', '100'] },
]

const binary = join(BUILD, 'unruly')
execFileSync('mkdir', ['-p', BUILD])
execFileSync('cc', ['-O1', '-o', binary, join(root, 'test/integration/support/unruly.c')])

/** Waits until somebody listens on a port. */
async function listening(port) {
  for (let i = 0; i < START_TRIES; i++) {
    const open = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true) || socket.destroy())
      socket.on('error', () => resolve(false))
    })
    if (open) return
    await sleep(50)
  }
  throw new Error(`nobody listens on port ${port}`)
}

async function run(name, { method, how }, clients) {
  const ports = await freePorts()
  const origin = spawn(binary, ['origin', String(ports.origin), '7', ...how])
  const { command, dir } = prepare(name, { ports, workers: 1, port: 'http' })
  const proxy = spawn(command[0], command.slice(1), { cwd: dir, stdio: 'ignore' })
  try {
    await listening(ports.origin)
    await listening(ports.http)
    const args = ['load', String(ports.http), clients, values.requests, method]
    const out = execFileSync(binary, args, { encoding: 'utf8', timeout: LOAD_TIMEOUT_MS })
    console.log(`${name.padEnd(9)} ${method.padEnd(4)} ${how.join(' ').padEnd(9)} ${out.trim()}`)
  } finally {
    origin.kill('SIGKILL')
    proxy.kill('SIGTERM')
    await new Promise((resolve) => proxy.once('close', resolve))
  }
}

for (const clients of values.clients.split(',')) {
  console.log(`${clients} clients, ${values.requests} requests`)
  for (const mode of MODES) {
    for (const name of values.proxies.split(',')) await run(name, mode, clients)
  }
}
