// The service behind a proxy that a scenario runs in its own process: bench/native/origin.cc on
// many ports, and wrk.
import { execFile, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
// Below the range from which the kernel takes the ports of outgoing connections.
const [PORT_MIN, PORT_MAX] = [12_000, 31_000]

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.on('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** The first of `count` neighbouring ports of loopback that nothing listens on now. */
async function freePorts(count) {
  for (;;) {
    const first = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN))
    const ports = Array.from({ length: count }, (_, i) => first + i)
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return first
  }
}

/** Calls `use` with the ports of an origin, which ends afterwards. */
export async function withOrigin(count, use) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const program = join(folder, 'origin')
  const flags = ['-std=c++20', '-O2', '-DNDEBUG', '-pthread', '-fno-exceptions', '-fno-rtti']
  execFileSync('c++', [...flags, '-o', program, 'bench/native/origin.cc'], { cwd: root })
  const first = await freePorts(count)
  const child = spawn(program, [first, count].map(String), { stdio: 'ignore' })
  try {
    while (await isFree(first + count - 1)) {
      if (child.exitCode !== null) throw new Error('the origin does not run')
      await sleep(10)
    }
    return await use(Array.from({ length: count }, (_, i) => first + i))
  } finally {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true })
  }
}

/** Full load for so long: wrk's figures, latencies in µs. */
export function load(port, { seconds, connections = 32, path = '/1k' }) {
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-s', 'bench/load.lua']
  return new Promise((resolve, reject) => {
    execFile('wrk', [...args, `http://127.0.0.1:${port}${path}`], { cwd: root }, (error, text) => {
      const result = /^RESULT (.*)$/m.exec(text)?.[1]
      if (error?.code === 'ENOENT') reject(new Error('apt-get install wrk'))
      else if (result === undefined) reject(error ?? new Error(`wrk: ${text.slice(-500)}`))
      else resolve(JSON.parse(result))
    })
  })
}
