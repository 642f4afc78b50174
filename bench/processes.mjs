// Starting programs on a given CPU, and ending them with all that they started.
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { tree } from './machine.mjs'

const started = new Set()

/**
 * Starts a program on one CPU (undefined: anywhere). `output`: a descriptor for what it prints,
 * 'pipe', or nothing. The child's `ended` resolves when it has ended.
 */
export function start(command, { cpu, env = {}, cwd, output = 'ignore' } = {}) {
  const [program, ...args] =
    cpu === undefined ? command : ['taskset', '-c', String(cpu), ...command]
  const stdio = ['ignore', output, output]
  const child = spawn(program, args, { stdio, cwd, env: { ...process.env, ...env } })
  child.ended = new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message))
    child.on('close', (code, signal) => resolve(signal ?? code))
  }).finally(() => started.delete(child))
  started.add(child)
  return child
}

/** Runs a program to its end. Returns what it printed; throws when it failed. */
export async function output(command, options = {}) {
  const child = start(command, { ...options, output: 'pipe' })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (data) => {
      text += data
    })
  }
  const result = await child.ended
  if (result !== 0) throw new Error(`${command.join(' ')}: ${result}\n${text.slice(-2000)}`)
  return text
}

function signal(pid, name) {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}

/** Asks a program to end; after a second it, and what it started, are killed. */
export async function stop(child) {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const pids = tree(child.pid)
  signal(child.pid, 'SIGTERM')
  await Promise.race([child.ended, sleep(1000)])
  for (const pid of pids) signal(pid, 'SIGKILL')
  await child.ended
}

/** For the end of the benchmark, whichever way it comes. */
export function killAll() {
  for (const child of started) for (const pid of tree(child.pid)) signal(pid, 'SIGKILL')
}
