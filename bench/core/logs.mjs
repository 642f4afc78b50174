// Log files: what a line costs the thread that logs, how many fit into a second, and what becomes
// of a program whose log takes nothing. Every measurement is a process of its own.
import { execFileSync, spawn } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const OURS = 'millrace/pino'
const WAYS = [
  'nothing',
  OURS,
  'sonic-boom, sync',
  'sonic-boom, sync, minLength 4096',
  'sonic-boom, async, minLength 4096',
  'pino.transport',
  'fs.createWriteStream',
]
const RIVALS = WAYS.slice(2)
const child = fileURLToPath(new URL('logs/child.mjs', import.meta.url))
const HANG_MS = 10_000

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]

/** Runs one measurement: its result, how it ended and after what time since its result. */
function run(job) {
  const process_ = spawn(process.execPath, ['--expose-gc', child, JSON.stringify(job)])
  let [stdout, stderr, said] = ['', '', Date.now()]
  process_.stdout.on('data', (data) => {
    stdout += data
    said = Date.now()
  })
  process_.stderr.on('data', (data) => {
    stderr += data
  })
  const timer = setTimeout(() => process_.kill('SIGKILL'), HANG_MS * 3)
  return new Promise((resolve) =>
    process_.on('close', (code, signal) => {
      clearTimeout(timer)
      const line = stdout.trim().split('\n').at(-1) || '{}'
      resolve({ ...JSON.parse(line), code, signal, stderr, endedMs: Date.now() - said })
    }),
  )
}

/** What `measure` gives for each way, round by round, as medians of each figure. */
async function interleaved(names, rounds, measure) {
  const all = new Map(names.map((way) => [way, []]))
  for (let round = 0; round < rounds; round++) {
    for (const way of names) all.get(way).push(await measure(way))
  }
  return new Map(
    [...all].map(([way, results]) => {
      const figures = Object.keys(results[0]).filter((key) => typeof results[0][key] === 'number')
      return [
        way,
        Object.fromEntries(figures.map((key) => [key, median(results.map((r) => r[key]))])),
      ]
    }),
  )
}

async function inFolder(use) {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    return await use((name) => join(dir, name))
  } finally {
    rmSync(dir, { recursive: true })
  }
}

function fifo(path) {
  rmSync(path, { force: true })
  execFileSync('mkfifo', [path])
  return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
}

const chunk = Buffer.alloc(1 << 20)
/** What there is to read now, as text. */
function drain(fd) {
  let text = ''
  try {
    for (let n = 1; n > 0; ) {
      n = readSync(fd, chunk)
      text += chunk.latin1Slice(0, n)
    }
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error
  }
  return text
}

const cost = {
  name: 'log-cost',
  title: 'A line of 266 bytes, by pino: the main thread',
  goal: 'at most 0.6 µs a line above formatting',
  columns: { ns: 'ns a line', aboveNs: 'above formatting, ns' },
  run: ({ rounds }) =>
    inFolder(async (path) => {
      const measure = (way) => {
        rmSync(path('a.log'), { force: true })
        return run({ what: 'cost', way, to: path('a.log'), lines: 200_000 })
      }
      const results = await interleaved(WAYS, rounds, measure)
      const formatting = results.get('nothing').ns
      return WAYS.map((way) => {
        const { ns } = results.get(way)
        const aboveNs = ns - formatting
        return { way, ns, aboveNs, ...(way === OURS ? { reached: aboveNs <= 600 } : {}) }
      })
    }),
}

const rate = {
  name: 'log-rate',
  title: 'Lines of 266 bytes a second, until all are in the file',
  goal: '1.5 times the best of the others',
  columns: { perSecond: 'lines/s' },
  run: ({ rounds }) =>
    inFolder(async (path) => {
      const measure = (way) => {
        rmSync(path('a.log'), { force: true })
        const options = { onFull: 'block' }
        return run({ what: 'rate', way, to: path('a.log'), lines: 1_000_000, options })
      }
      const results = await interleaved([OURS, ...RIVALS], rounds, measure)
      const best = Math.max(...RIVALS.map((way) => results.get(way).perSecond))
      return [OURS, ...RIVALS].map((way) => {
        const { perSecond } = results.get(way)
        return { way, perSecond, ...(way === OURS ? { reached: perSecond >= 1.5 * best } : {}) }
      })
    }),
}

/** Reads a pipe for one second of every three. */
function stallingReader(path) {
  const program = `
    const fs = require('node:fs')
    const fd = fs.openSync(${JSON.stringify(path)}, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
    const chunk = Buffer.alloc(1 << 20)
    const from = Date.now()
    setInterval(() => {
      if ((Date.now() - from) % 3000 < 2000) return
      try {
        while (fs.readSync(fd, chunk) > 0);
      } catch (error) {
        if (error.code !== 'EAGAIN') throw error
      }
    }, 1)
    process.stdout.write('ready')`
  return spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
}

const kCapMb = 16
const stall = {
  name: 'log-stall',
  title: '10,000 lines a second into a pipe whose reader stalls 2 s of every 3 s',
  goal: `a gap of the event loop at most 5 ms above none; memory at most the cap of ${kCapMb} MiB`,
  columns: { gapMs: 'worst gap, ms', grownMb: 'memory grew by, MiB' },
  run: ({ rounds }) =>
    inFolder(async (path) => {
      const measure = async (way) => {
        rmSync(path('fifo'), { force: true })
        execFileSync('mkfifo', [path('fifo')])
        const reader = stallingReader(path('fifo'))
        await new Promise((resolve) => reader.stdout.once('data', resolve))
        const options = { maxBytes: kCapMb * 2 ** 20, exitDeadline: 0 }
        const result = await run({ what: 'stall', way, to: path('fifo'), seconds: 9, options })
        reader.kill()
        return { gapMs: result.gapMs ?? Number.NaN, grownMb: result.grownMb ?? Number.NaN }
      }
      const results = await interleaved(WAYS, Math.min(rounds, 3), measure)
      const none = results.get('nothing')
      return WAYS.map((way) => {
        const { gapMs, grownMb } = results.get(way)
        const reached = gapMs <= none.gapMs + 5 && grownMb <= none.grownMb + kCapMb
        return { way, gapMs, grownMb, ...(way === OURS ? { reached } : {}) }
      })
    }),
}

const neighbours = {
  name: 'log-neighbours',
  title: 'Eight files that take nothing: fs.stat and dns.lookup of the same process',
  goal: 'not slower than with no file (2 ms are noise)',
  columns: { worstMs: 'worst of 50, ms' },
  run: ({ rounds }) =>
    inFolder(async (path) => {
      // Written by the thread that logs, the first of the eight would stop it for good.
      const names = WAYS.filter((way) => !way.includes(', sync'))
      const measure = async (way) => {
        const readers = Array.from({ length: 8 }, (_, i) => fifo(path(`fifo${i}`)))
        const options = { exitDeadline: 0 }
        const running = run({ what: 'neighbours', way, to: path('fifo'), options })
        const awake = sleep(3000).then(async () => {
          // Three seconds are enough to see who waits; then the readers wake, or some never end.
          const timer = setInterval(() => readers.map(drain), 5)
          await running
          clearInterval(timer)
        })
        const { worstMs } = await running
        await awake
        readers.map((fd) => closeSync(fd))
        return { worstMs }
      }
      const results = await interleaved(names, Math.min(rounds, 3), measure)
      const none = results.get('nothing').worstMs
      return names.map((way) => {
        const { worstMs } = results.get(way)
        return { way, worstMs, ...(way === OURS ? { reached: worstMs <= none + 2 } : {}) }
      })
    }),
}

const kLines = 20_000
const kDeadline = 2000
const exit = {
  name: 'log-exit',
  title: 'process.exit() after 20,000 lines, with a pipe that takes nothing',
  goal: 'ends within the deadline (2 s), and says exactly what is lost',
  columns: { endedMs: 'ended after, ms', lost: 'lines lost', said: 'said to be lost' },
  run: () =>
    inFolder(async (path) => {
      const rows = []
      for (const way of WAYS.slice(1)) {
        const reader = fifo(path('fifo'))
        const job = { what: 'exit', way, to: path('fifo'), lines: kLines }
        const done = await Promise.race([run(job), sleep(HANG_MS, undefined)])
        const arrived = drain(reader).split('\n').length - 1
        closeSync(reader)
        const hangs = done === undefined || done.signal !== null
        const said = /millrace: (\d+) lines/.exec(done?.stderr ?? '')?.[1]
        const lost = kLines - arrived
        const row = {
          way,
          endedMs: hangs ? `more than ${HANG_MS}` : done.endedMs,
          lost: hangs ? '' : lost,
          said: said === undefined ? 'nothing' : Number(said),
        }
        const reached = Number(said) === lost && row.endedMs <= kDeadline + 200
        rows.push({ ...row, ...(way === OURS ? { reached } : {}) })
      }
      return rows
    }),
}

export const scenarios = [cost, rate, stall, neighbours, exit]
