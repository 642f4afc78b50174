// One measurement of one proxy: load, idle connections, start-up, or system calls. Each begins with
// a fresh start.
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { root } from '../scripts/lib.mjs'
import { get } from './client.mjs'
import { cpuNs, machine, memory, ticks, tree } from './machine.mjs'
import { output, start, stop } from './processes.mjs'
import { BUILD, prepare } from './proxies.mjs'

export const PROXY_CPU = 0
export const LOAD_CPU = 1

const START_PATIENCE_MS = 20_000
const WARM_UP_SECONDS = 1
const YARDSTICK_MS = 80
const STARTS = 7
const SETTLE_MS = 2000
const OPENING_AT_ONCE = 100
const STRACE_SECONDS = 3

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]

/** Starts a proxy and waits for the first byte through it. */
async function startProxy(name, scenario, ports) {
  const { workers = 1, port = 'http', pinned = true } = scenario
  const { dir, command } = prepare(name, { ports, workers, port })
  const log = openSync(join(dir, 'output.log'), 'w')
  const cpu = workers === 1 && pinned ? PROXY_CPU : undefined
  const began = performance.now()
  const child = start(command, { cpu, cwd: dir, output: log })
  closeSync(log)
  for (;;) {
    try {
      const { socket } = await get(ports[port])
      const startupMs = performance.now() - began
      socket.destroy()
      return { child, startupMs, dir }
    } catch (error) {
      const late = performance.now() - began > START_PATIENCE_MS
      if (child.exitCode === null && !late) {
        await sleep(1)
        continue
      }
      await stop(child)
      const printed = readFileSync(join(dir, 'output.log'), 'utf8').slice(-500)
      throw new Error(`${name} does not answer (${error.message}); it printed: ${printed}`)
    }
  }
}

/** Runs wrk; its figures, and the CPU time it took. */
async function load(scenario, port, seconds) {
  const { connections, path = '/1k', headers = {}, body = 0, workers = 1 } = scenario
  const pinned = workers === 1
  const command = ['wrk', `-t${pinned ? 1 : 2}`, `-c${connections}`, `-d${seconds}s`, '--latency']
  command.push('-s', join(root, 'bench/load.lua'))
  for (const [field, value] of Object.entries(headers)) command.push('-H', `${field}: ${value}`)
  command.push(`http://127.0.0.1:${port}${path}`)
  const text = await output(command, {
    cpu: pinned ? LOAD_CPU : undefined,
    env: { BENCH_BODY: String(body) },
  })
  const result = /^RESULT (.*)$/m.exec(text)
  if (result === null) throw new Error(`wrk: ${text.slice(-500)}`)
  return JSON.parse(result[1])
}

const yardstickNs = async () =>
  Number(await output([`${BUILD}/yardstick`, String(YARDSTICK_MS)], { cpu: PROXY_CPU }))

/** CPU time per request under load, and what is needed to judge the figure. */
async function underLoad(name, scenario, { ports, seconds, origin }) {
  const { child } = await startProxy(name, scenario, ports)
  try {
    const port = ports[scenario.port]
    await load(scenario, port, WARM_UP_SECONDS)
    const yardBefore = await yardstickNs()
    const before = {
      cpu: cpuNs(child.pid),
      ticks: ticks(child.pid),
      all: machine(),
      origin: cpuNs(origin.pid),
    }
    const figures = await load(scenario, port, seconds)
    const after = {
      cpu: cpuNs(child.pid),
      ticks: ticks(child.pid),
      all: machine(),
      origin: cpuNs(origin.pid),
    }
    const yardAfter = await yardstickNs()
    if (child.exitCode !== null) throw new Error(`${name} ended under load`)

    const wall = after.all.time - before.all.time
    const cpuUs = (after.cpu - before.cpu) / 1000
    const user = after.ticks.user - before.ticks.user
    const sampled = user + after.ticks.kernel - before.ticks.kernel
    return {
      ...figures,
      cpuUs: cpuUs / figures.requests,
      userUs: sampled > 0 ? ((cpuUs / figures.requests) * user) / sampled : undefined,
      perSecond: figures.requests / figures.seconds,
      proxyCpu: cpuUs / 1e6 / wall,
      originUs: (after.origin - before.origin) / 1000 / figures.requests,
      steal: (after.all.steal - before.all.steal) / wall,
      busyCpus: (after.all.busy - before.all.busy) / wall,
      yardstickNs: (yardBefore + yardAfter) / 2,
    }
  } finally {
    await stop(child)
  }
}

/** User memory of idle keep-alive connections, each of which made one request. */
async function idle(name, scenario, { ports, idleConnections }) {
  const { child } = await startProxy(name, scenario, ports)
  const sockets = []
  try {
    await sleep(SETTLE_MS)
    const empty = memory(child.pid)
    while (sockets.length < idleConnections) {
      const missing = Math.min(OPENING_AT_ONCE, idleConnections - sockets.length)
      const opened = Array.from({ length: missing }, () =>
        get(ports.http, '/1k', { timeoutMs: 10_000 }),
      )
      for (const { socket } of await Promise.all(opened)) sockets.push(socket)
    }
    await sleep(SETTLE_MS)
    const full = memory(child.pid)
    await get(ports.http, '/1k', { socket: sockets[0] }) // they are alive
    return {
      connections: sockets.length,
      rssMb: empty.rss / 2 ** 20,
      loadedRssMb: full.rss / 2 ** 20,
      bytesPerConnection: (full.pss - empty.pss) / sockets.length,
    }
  } finally {
    for (const socket of sockets) socket.destroy()
    await stop(child)
  }
}

async function startup(name, scenario, { ports }) {
  const times = []
  for (let i = 0; i < STARTS; i++) {
    const { child, startupMs } = await startProxy(name, scenario, ports)
    times.push(startupMs)
    await stop(child)
  }
  return { startupMs: median(times), startupMinMs: Math.min(...times) }
}

/** System calls per request, by strace; nothing else of such a run means anything. */
async function syscalls(name, scenario, { ports }) {
  const { child, dir } = await startProxy(name, scenario, ports)
  try {
    const port = ports[scenario.port]
    await load(scenario, port, WARM_UP_SECONDS)
    const table = join(dir, 'strace.txt')
    const pids = tree(child.pid).flatMap((pid) => ['-p', String(pid)])
    const tracer = start(['strace', '-c', '-f', '-o', table, ...pids])
    await sleep(500)
    const { requests } = await load(scenario, port, STRACE_SECONDS)
    tracer.kill('SIGINT')
    await tracer.ended
    const calls = {}
    for (const line of readFileSync(table, 'utf8').split('\n')) {
      const fields = line.trim().split(/\s+/)
      const call = fields.at(-1)
      if (!/^[\d.]+$/.test(fields[0]) || call === 'total') continue
      const perRequest = Number(fields[3]) / requests
      if (perRequest >= 0.005) calls[call] = perRequest
    }
    const total = Object.values(calls).reduce((sum, n) => sum + n, 0)
    return { syscalls: total, calls }
  } finally {
    await stop(child)
  }
}

const slots = async () => JSON.parse(await output([`${BUILD}/slots`, '2000']))

const kinds = { idle, startup, syscalls, slots }

/** Which proxies a scenario is for. */
export function serves(proxy, name, scenario) {
  if (scenario.special === 'slots') return name === 'millrace'
  if (scenario.special !== undefined && name === 'floor') return scenario.special === 'syscalls'
  return proxy.ports.includes(scenario.port ?? 'http')
}

export function measure(name, scenario, context) {
  return (kinds[scenario.special] ?? underLoad)(name, scenario, context)
}
