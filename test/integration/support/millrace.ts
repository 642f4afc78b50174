// Starts the real command line in a process of its own and follows what it says.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach } from 'vitest'
import { kPatienceMs } from '../../patience.ts'

export const root: string = resolve(import.meta.dirname, '../../..')
export const main: string = join(root, 'dist/cli/main.js')

/** A line of the program's log. */
export interface LogLine {
  readonly level: number
  readonly msg: string
  readonly [field: string]: unknown
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

interface StartOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** Runs before the program in the same process, e.g. `ulimit -n 64`. */
  readonly shell?: string
}

/** Processes that a test left behind are ended with it. */
const running = new Set<Millrace>()
afterEach(async () => {
  await Promise.all([...running].map((millrace) => millrace.kill()))
})

export class Millrace {
  readonly child: ChildProcess
  readonly exited: Promise<Exit>
  readonly lines: LogLine[] = []
  /** Lines on stderr that are not of the log. */
  readonly otherLines: string[] = []
  stdout = ''
  #waiting: (() => void)[] = []

  constructor(child: ChildProcess) {
    this.child = child
    this.exited = once(child, 'close').then(([code, signal]) => ({ code, signal }))
    running.add(this)
    void this.exited.then(() => {
      running.delete(this)
      this.#wake()
    })
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
      this.#wake()
    })
    if (child.stderr) createInterface(child.stderr).on('line', (line) => this.#onLine(line))
  }

  /** `node dist/cli/main.js …`, without waiting for anything. */
  static spawn(args: readonly string[], options: StartOptions = {}): Millrace {
    const { cwd = root, env = {}, shell } = options
    const command = [process.execPath, main, ...args]
    const [file, ...rest] = shell
      ? ['/bin/bash', '-c', `${shell}; exec "$0" "$@"`, ...command]
      : command
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']
    return new Millrace(
      spawn(file as string, rest, { cwd, stdio, env: { ...process.env, ...env } }),
    )
  }

  /** Started and ready: with an admin interface on a port of its own. */
  static async start(args: readonly string[], options: StartOptions = {}): Promise<Millrace> {
    const admin = args.includes('--admin') ? [] : ['--admin', '0']
    const millrace = Millrace.spawn([...args, ...admin], options)
    await millrace.log('ready')
    return millrace
  }

  #onLine(line: string): void {
    if (line.startsWith('{"level"')) this.lines.push(JSON.parse(line) as LogLine)
    else this.otherLines.push(line)
    this.#wake()
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }

  /** Waits until `found` gives something; fails when the process ends or takes too long. */
  async until<T>(what: string, found: () => T | undefined): Promise<T> {
    const deadline = Date.now() + kPatienceMs
    for (;;) {
      const result = found()
      if (result !== undefined) return result
      const ended = this.child.exitCode !== null || this.child.signalCode !== null
      if (ended || Date.now() > deadline) {
        const why = ended ? `the process ended (${this.child.exitCode})` : 'too late'
        throw new Error(`${what}: ${why}\n${this.#everything()}`)
      }
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
        setTimeout(resolve, 100)
      })
    }
  }

  #everything(): string {
    return [...this.lines.map((line) => JSON.stringify(line)), ...this.otherLines].join('\n')
  }

  /** The first (or `nth`) line of the log with this message. */
  log(message: string, nth = 0): Promise<LogLine> {
    return this.until(`log line "${message}"`, () => {
      return this.lines.filter(({ msg }) => msg === message)[nth]
    })
  }

  /** `host:port` of a listener's first address; of the first listener without a name. */
  address(listener?: string): string {
    const line = this.lines.find(
      ({ msg, listener: name }) => msg === 'listening' && (!listener || name === listener),
    )
    const address = (line?.addresses as string[] | undefined)?.[0]
    if (!address) throw new Error(`no address of listener ${listener ?? ''}\n${this.#everything()}`)
    return address
  }

  url(path = '/', listener?: string): string {
    return `http://${this.address(listener)}${path}`
  }

  port(listener?: string): number {
    return Number(this.address(listener).split(':').at(-1))
  }

  admin(path: string): string {
    const line = this.lines.find(({ msg }) => msg === 'admin interface')
    return `${String(line?.url)}${path}`
  }

  async stat(name: string): Promise<number> {
    const text = await (await fetch(this.admin('/stats'))).text()
    const line = text.split('\n').find((each) => each.startsWith(`${name}: `))
    return Number(line?.slice(name.length + 2) ?? Number.NaN)
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** SIGTERM and the end of the process. */
  async stop(): Promise<Exit> {
    this.signal('SIGTERM')
    return this.exited
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.exited
  }

  /** Open descriptors of the process. */
  get pid(): number {
    return this.child.pid as number
  }
}

export interface Finished extends Exit {
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command of the program to its end. */
export async function millrace(
  args: readonly string[],
  options: StartOptions = {},
): Promise<Finished> {
  const { cwd = root, env = {} } = options
  const child = spawn(process.execPath, [main, ...args], { cwd, env: { ...process.env, ...env } })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [code, signal] = await once(child, 'close')
  return { code, signal, stdout, stderr }
}
