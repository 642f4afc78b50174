// The programs that are compared. Each stays in the foreground; all its threads and children are
// counted.
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { root } from '../scripts/lib.mjs'

export const BUILD = join(root, 'build-cmake/bench')

// Below the range from which the kernel takes the ports of outgoing connections.
const PORT_MIN = 12_000
const PORT_MAX = 32_000

/** Four neighbouring ports of the loopback interface that nothing listens on now. */
export async function freePorts() {
  for (;;) {
    const base = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN))
    const ports = { origin: base, http: base + 1, log: base + 2, tcp: base + 3 }
    const free = await Promise.all(Object.values(ports).map(isFree))
    if (free.every(Boolean)) return ports
  }
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.on('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

const millraceAt = (folder, title) => ({
  title,
  ports: ['http', 'log', 'tcp'],
  config: 'millrace.yaml',
  command: ({ dir, workers }) => [
    process.execPath,
    join(folder, 'dist/cli/main.js'),
    'run',
    '-c',
    `${dir}/millrace.yaml`,
    '--concurrency',
    workers,
  ],
  version: [process.execPath, join(folder, 'dist/cli/main.js'), '--version'],
})

/**
 * name → title; which ports it serves; its configuration; its command line for a folder and a
 * number of workers.
 */
export const PROXIES = {
  floor: {
    title: 'floor',
    ports: ['http', 'tcp'],
    command: ({ ports, workers, port }) => [`${BUILD}/relay`, ports[port], ports.origin, workers],
  },
  nginx: {
    title: 'nginx',
    ports: ['http', 'log', 'tcp'],
    config: 'nginx.conf',
    command: ({ dir }) => ['nginx', '-p', dir, '-e', `${dir}/error.log`, '-c', `${dir}/nginx.conf`],
    version: ['nginx', '-v'],
  },
  haproxy: {
    title: 'HAProxy',
    ports: ['http', 'log', 'tcp'],
    config: 'haproxy.cfg',
    command: ({ dir }) => ['haproxy', '-db', '-f', `${dir}/haproxy.cfg`],
    version: ['haproxy', '-v'],
  },
  millrace: millraceAt(root, 'Millrace'),
}

/** Another build of Millrace, in a folder of its own, beside the one of here. */
export function compareWith(folder) {
  PROXIES.before = millraceAt(resolve(folder), 'Millrace before')
}

/** A fresh folder with the proxy's configuration in it, and the command line to start it there. */
export function prepare(name, { ports, workers, port }) {
  const proxy = PROXIES[name]
  mkdirSync(join(BUILD, 'run'), { recursive: true })
  const dir = mkdtempSync(join(BUILD, 'run', `${name}-`))
  if (proxy.config !== undefined) {
    const values = { ...ports, dir, workers, reuseport: workers > 1 ? 'reuseport' : '' }
    const template = readFileSync(join(root, 'bench/configs', proxy.config), 'utf8')
    const text = template.replace(/\$\{(\w+)\}/g, (_, key) => String(values[key]))
    writeFileSync(join(dir, proxy.config), text)
  }
  return { dir, command: proxy.command({ dir, ports, workers, port }).map(String) }
}
