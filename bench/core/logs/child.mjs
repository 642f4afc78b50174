// One measurement of one way, in a process of its own: `node child.mjs '{"what", "way", "to", …}'`.
// Its last line on stdout is JSON.
import { lookup } from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { pino } from 'pino'
import { ways } from './ways.mjs'

const { what, way, to, lines = 0, seconds = 0, options } = JSON.parse(process.argv[2])
const kBurst = 1000
/** Enough that the machine code is what it will stay. */
const kWarmUp = 20_000

/** CPU time of the main thread alone, ns; what the machine's other work takes does not count. */
const mainNs = () => {
  const [cpu] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')
  return Number(cpu)
}

/** A pino logger whose lines have 266 bytes, as those of a request often do. */
function logger(stream) {
  const log = pino({ base: { pid: 12345, hostname: 'front-7.example.com' } }, stream)
  const request = {
    reqId: 'req-8fa1',
    method: 'GET',
    url: '/api/v1/items/1234?expand=owner',
    status: 200,
    responseTime: 12.345,
    remoteAddress: '10.1.2.3',
    userAgent: 'curl/8.5.0 (x86_64)',
  }
  return () => log.info(request, 'request completed')
}

const kLine = `${'x'.repeat(265)}\n`

const measures = {
  /** ns of main thread for each line, formatting included. */
  async cost() {
    const { stream, end } = await ways[way](to, options)
    const write = logger(stream)
    for (let i = 0; i < kWarmUp; i++) {
      write()
      if (i % 100 === 0) await turn()
    }
    const from = mainNs()
    for (let i = 0; i < lines; i += 100) {
      for (let j = 0; j < 100; j++) write()
      await turn()
    }
    const used = mainNs() - from
    await end()
    return { ns: used / lines }
  },

  /** Lines per second, until all are in the file. */
  async rate() {
    const { stream, end } = await ways[way](to, options)
    for (let i = 0; i < kWarmUp; i++) {
      stream.write(kLine)
      if (i % kBurst === 0) await turn()
    }
    const from = process.hrtime.bigint()
    for (let i = 0; i < lines; i += kBurst) {
      for (let j = 0; j < kBurst; j++) stream.write(kLine)
      await turn()
    }
    await end()
    const perSecond = lines / (Number(process.hrtime.bigint() - from) / 1e9)
    const { size } = await stat(to)
    const whole = (kWarmUp + lines) * kLine.length
    if (size !== whole) throw new Error(`${way} wrote ${size} of ${whole} bytes`)
    return { perSecond }
  },

  /** 10 lines a millisecond into a pipe whose reader stalls; the worst gap of the event loop. */
  async stall() {
    const { stream } = await ways[way](to, options)
    const write = logger(stream)
    globalThis.gc()
    const delay = monitorEventLoopDelay({ resolution: 1 })
    const rss = process.memoryUsage.rss()
    let most = rss
    delay.enable()
    const from = Date.now()
    for (let wrote = 0; Date.now() - from < seconds * 1000; ) {
      await sleep(1)
      for (const due = (Date.now() - from) * 10; wrote < due; wrote++) write()
      most = Math.max(most, process.memoryUsage.rss())
    }
    delay.disable()
    return { gapMs: delay.max / 1e6, grownMb: (most - rss) / 2 ** 20 }
  },

  /** Eight files that take nothing; what others of the process wait for fs.stat and dns.lookup. */
  async neighbours() {
    const files = []
    const count = way === 'nothing' ? 0 : 8
    // All are open before the first of them stalls.
    for (let i = 0; i < count; i++) files.push(await ways[way](`${to}${i}`, options))
    for (const { stream } of files) for (let j = 0; j < 4000; j++) stream.write(kLine)
    await sleep(300)
    const times = []
    for (let i = 0; i < 50; i++) {
      const from = process.hrtime.bigint()
      await Promise.all([stat('/tmp'), lookup('localhost')])
      times.push(Number(process.hrtime.bigint() - from) / 1e6)
    }
    return { worstMs: Math.max(...times) }
  },

  /** Ends with a sink that takes nothing. */
  async exit() {
    const { stream } = await ways[way](to, options)
    for (let i = 0; i < lines; i++) stream.write(`${String(i).padStart(7)} ${kLine.slice(8)}`)
    return { exiting: true }
  },
}

// A transport's thread does not keep the process alive.
setInterval(() => {}, 1000)
const result = await measures[what]()
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
