// What becomes of buffered lines when a process ends, in every way that it can.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs'
import { constants as constants_, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const kLines = 5000
const kLineBytes = 99
const kProgram = join(import.meta.dirname, 'support/log_writer.mjs')

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-end-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly took: number
}

/** Runs the program; sends `signal` once it is ready. */
function run(what: object, signal?: NodeJS.Signals): Promise<Ended> {
  const all = { path: join(dir, 'a.log'), lines: kLines, ...what }
  const child = spawn(process.execPath, [kProgram, JSON.stringify(all)])
  let [stdout, stderr, from] = ['', '', Date.now()]
  child.stdout.on('data', (data) => {
    if (signal !== undefined && stdout === '') setTimeout(() => child.kill(signal), 100)
    if (stdout === '') from = Date.now()
    stdout += data
  })
  child.stderr.on('data', (data) => {
    stderr += data
  })
  return new Promise((resolve) =>
    child.on('close', (code, sig) =>
      resolve({ code, signal: sig, stdout, stderr, took: Date.now() - from }),
    ),
  )
}

const written = (): string[] => readFileSync(join(dir, 'a.log'), 'utf8').split('\n').slice(0, -1)
const ordered = (lines: string[]): boolean =>
  lines.every((line, i) => line === `${String(i).padStart(7)} ${'x'.repeat(90)}`)

/**
 * All signals of this system that end a process which does not handle them, but for those named
 * below; Node takes SIGUSR1 itself, and ignores SIGPIPE and SIGXFSZ.
 */
const kHandled = ['SIGUSR1', 'SIGPIPE', 'SIGXFSZ', 'SIGKILL', 'SIGSTOP']
const kHarmless = ['SIGCHLD', 'SIGCONT', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU', 'SIGURG', 'SIGWINCH']
const kNamed = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGSEGV', 'SIGBUS', 'SIGABRT', 'SIGFPE', 'SIGILL']
const kAliases = ['SIGIOT', 'SIGPOLL', 'SIGTRAP', 'SIGSYS', 'SIGINFO', 'SIGLOST', 'SIGUNUSED']
const kOthers = (Object.keys(constants_.signals) as NodeJS.Signals[]).filter(
  (name) => ![...kHandled, ...kHarmless, ...kNamed, ...kAliases].includes(name),
)

describe('nothing is lost', () => {
  it.each<[string, number, number | null, NodeJS.Signals | null]>([
    ['exit', kLines, 3, null],
    ['return', kLines, 0, null],
    ['throw', kLines, 1, null],
    ['late', kLines + 10, 0, null],
    ['trap', kLines + 10, 0, null],
    ['abort', kLines, null, 'SIGABRT'],
  ])('by %s', async (end, count, code, signal) => {
    const ended = await run({ end })
    expect(ended).toMatchObject({ code, signal })
    if (end === 'trap') expect(ended.stdout).toContain('RuntimeError')
    expect(ended.stderr).not.toContain('millrace:')
    expect(written()).toHaveLength(count)
    expect(ordered(written())).toBe(true)
  })

  it.each<[NodeJS.Signals, string]>([
    ['SIGTERM', 'wait'],
    ['SIGINT', 'wait'],
    ['SIGHUP', 'wait'],
    ['SIGTERM', 'block'],
    ['SIGTERM', 'handler that went'],
    ['SIGSEGV', 'wait'],
    ['SIGSEGV', 'block'],
    ['SIGBUS', 'wait'],
    ['SIGABRT', 'block'],
    ['SIGFPE', 'wait'],
    ['SIGILL', 'wait'],
    ['SIGTRAP', 'wait'],
    ['SIGSYS', 'block'],
    ...kOthers.map((signal): [NodeJS.Signals, string] => [signal, 'wait']),
    ['SIGUSR2', 'block'],
  ])('by %s, where the program does: %s', async (signal, end) => {
    const more = ['b', 'c'].map((name) => join(dir, name))
    const ended = await run({ end, more }, signal)
    expect(ended).toMatchObject({ code: null, signal, stderr: '' })
    expect(written()).toHaveLength(kLines)
    expect(ordered(written())).toBe(true)
    for (const other of more) expect(readFileSync(other, 'utf8')).toBe('other\n')
  })

  it('by a handler of the program, which goes first', async () => {
    const ended = await run({ end: 'handler' }, 'SIGTERM')
    expect(ended).toMatchObject({ code: 0, signal: null, stdout: 'ready\nhandled\n' })
    expect(written()).toHaveLength(kLines + 10)
  })
})

it('a descriptor whose reader is gone for ever costs no time at the end, and the loss is said', async () => {
  const out = { path: undefined, fd: 1, end: 'epipe', options: { exitDeadline: 600_000 } }
  const child = spawn(process.execPath, [kProgram, JSON.stringify({ lines: 10, ...out })])
  let stderr = ''
  child.stderr.on('data', (data) => {
    stderr += data
  })
  child.stdout.destroy()
  const [code, signal] = await once(child, 'close')
  expect([code, signal]).toEqual([3, null])
  expect(stderr).toMatch(/^millrace: \d+ lines \(\d+ bytes\) not written to descriptor 1$/m)
})

describe('a sink that stalls', () => {
  const kDeadline = 300
  const kGenerous = 5000 // for a busy machine; without a deadline it would be for ever

  it.each<[string, NodeJS.Signals | undefined, number]>([
    ['exit', undefined, 1e6],
    ['return', undefined, 200_000],
    ['throw', undefined, 1e6],
    ['wait', 'SIGTERM', 200_000],
    ['block', 'SIGTERM', 1e6],
    ['abort', undefined, 200_000],
    ['wait', 'SIGSEGV', 1e6],
  ])('costs the deadline, and the loss is said: %s %s, with %d', async (end, signal, maxBytes) => {
    const path = join(dir, 'fifo')
    execFileSync('mkfifo', [path])
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const other = join(dir, 'other.log')
    const options = { exitDeadline: kDeadline, maxBytes }
    const ended = await run({ path, end, options, more: [other] }, signal)
    expect(ended.took).toBeLessThan(kDeadline + kGenerous)
    expect(readFileSync(other, 'utf8')).toBe('other\n')

    const chunk = Buffer.alloc(1 << 20)
    const size = readSync(reader, chunk)
    closeSync(reader)
    const complete = chunk.subarray(0, size).toString().split('\n').length - 1
    const said = ended.stderr.split('\n').filter((line) => line.startsWith('millrace:'))
    expect(said).toHaveLength(1)
    const [, lines, bytes, dropped = '0', droppedBytes = '0'] =
      /^millrace: (\d+) lines \((\d+) bytes\) not written to \S+fifo(?:; of them (\d+) \((\d+) bytes\) dropped by a full buffer)?$/.exec(
        said[0] ?? '',
      ) ?? []
    expect(Number(lines) + complete).toBe(kLines)
    expect(Number(bytes) + size).toBe(kLines * kLineBytes)
    expect(Number(dropped) > 0).toBe(maxBytes < 1e6)
    expect(Number(dropped) * kLineBytes).toBe(Number(droppedBytes))
  })
})
