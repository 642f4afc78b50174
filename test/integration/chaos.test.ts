// Fifty upstream processes that start, stop, hang, reset, slow down and answer with 5xx, while load
// runs with retries on. Every request ends in one of the allowed ways, nothing stays behind, and the
// counters add up to what clients and the log saw.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { bootstrap, cluster, fileLog, httpListener, route } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { closedPort, sleep } from './support/peers.ts'

const kOrigins = 50
const kClients = 24
const kLoadMs = 8000

const processes = new Set<ChildProcess>()
afterEach(() => {
  for (const child of processes) child.kill('SIGKILL')
  processes.clear()
})

/** One upstream, on the same port in each of its lives. */
class Origin {
  readonly #binary: string
  readonly port: number
  #child: ChildProcess | undefined

  constructor(binary: string, port: number) {
    this.#binary = binary
    this.port = port
    this.start()
  }

  start(): void {
    if (this.#child !== undefined) return
    const seed = String(Math.floor(Math.random() * 1e9))
    const child = spawn(this.#binary, [String(this.port), seed], { stdio: 'ignore' })
    this.#child = child
    processes.add(child)
    // Another program may have been given the port meanwhile: then it starts later.
    child.on('exit', () => {
      processes.delete(child)
      if (this.#child === child) this.#child = undefined
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }
}

/** How a request ended, as its client saw it. */
function outcome(agent: Agent, port: number, path: string): Promise<string> {
  return new Promise((resolve) => {
    const outgoing = request({ host: '127.0.0.1', port, path, agent }, (response) => {
      let body = ''
      response.setEncoding('latin1').on('data', (chunk: string) => {
        body += chunk
      })
      const status = response.statusCode ?? 0
      response.on('end', () => resolve(named(status, body, path)))
      response.on('error', () =>
        resolve(path.startsWith(body) && status === 200 ? 'cut' : `wrong bytes: ${body}`),
      )
    })
    outgoing.on('error', (error) => resolve(`no response: ${String(error)}`))
    outgoing.end()
  })
}

function named(status: number, body: string, path: string): string {
  if (status === 200) return body === path ? 'answered' : `wrong bytes: ${body}`
  if ((status === 500 || status === 503) && body === 'origin') return `origin ${status}`
  if (status === 503 && body.startsWith('upstream connect error')) return 'failed'
  if (status === 504 && body === 'upstream request timeout') return 'timed out'
  return `${status} ${body}`
}

const allowed = ['answered', 'cut', 'origin 500', 'origin 503', 'failed', 'timed out']

it('no request is lost, whatever fifty upstreams do', async () => {
  const folder = temporaryFolder()
  const binary = join(folder, 'origin')
  const source = join(import.meta.dirname, 'support/chaos_origin.c')
  execFileSync(process.env.CC ?? 'cc', ['-O1', '-o', binary, source])
  const ports = await Promise.all(Array.from({ length: kOrigins }, () => closedPort()))
  const origins = ports.map((port) => new Origin(binary, port))

  const file = join(folder, 'access.log')
  const retry = {
    retry_on: '5xx,reset,connect-failure',
    num_retries: 2,
    per_try_timeout: '0.25s',
    retry_back_off: { base_interval: '0.002s' },
  }
  const format = '%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n'
  const config = bootstrap(
    [
      httpListener({
        routes: [route('/', 'web', { timeout: '2s', retry_policy: retry })],
        manager: { access_log: [fileLog(file, format)] },
      }),
    ],
    [
      cluster('web', ports, {
        connect_timeout: '0.2s',
        circuit_breakers: { thresholds: [{ max_retries: 1000 }] },
      }),
    ],
  )
  const path = write(folder, 'config.json', config)
  const millrace = await Millrace.start(['-c', path, '--concurrency', '2'])
  const port = millrace.port()

  let running = true
  const chaos = (async () => {
    const any = () => origins[Math.floor(Math.random() * kOrigins)]
    while (running) {
      any()?.signal('SIGKILL')
      const hung = any()
      hung?.signal('SIGSTOP')
      await sleep(100)
      hung?.signal('SIGCONT')
      for (const origin of origins) origin.start()
      await sleep(50)
    }
  })()
  const seen = new Map<string, number>()
  const agent = new Agent({ keepAlive: true, maxSockets: kClients })
  let sent = 0
  const clients = Array.from({ length: kClients }, async () => {
    while (running) {
      const id = `/request/${sent++}/${'x'.repeat(sent % 40)}`
      const how = await outcome(agent, port, id)
      seen.set(how, (seen.get(how) ?? 0) + 1)
    }
  })
  await sleep(kLoadMs)
  running = false
  await Promise.all([chaos, ...clients])
  agent.destroy()

  // Each request ended in one of the ways that are allowed.
  expect([...seen.keys()].filter((how) => !allowed.includes(how))).toEqual([])
  const times = (...hows: string[]) => hows.reduce((sum, how) => sum + (seen.get(how) ?? 0), 0)
  expect(times(...allowed)).toBe(sent)
  // Retries do what they are for: one attempt fails in thirty of a hundred cases, three in three.
  expect(times('answered') / sent).toBeGreaterThan(0.8)

  // Requests in are responses out and named failures.
  const stat = await statistics(millrace)
  expect(stat('http.main.downstream_rq_total')).toBe(sent)
  expect(stat('http.main.downstream_rq_2xx')).toBe(times('answered', 'cut'))
  expect(stat('http.main.downstream_rq_5xx')).toBe(sent - times('answered', 'cut'))
  expect(stat('http.main.downstream_rq_tx_reset')).toBe(times('cut'))
  expect(stat('cluster.web.upstream_rq_2xx')).toBe(times('answered', 'cut'))
  const failures = stat('cluster.web.upstream_rq_retry')
  expect(failures).toBeGreaterThan(sent / 10)
  expect(stat('cluster.web.upstream_rq_retry_backoff_exponential')).toBe(failures)
  expect(stat('cluster.web.upstream_rq_retry_success')).toBeLessThanOrEqual(failures)
  // Nothing is left.
  for (const name of [
    'http.main.downstream_rq_active',
    'cluster.web.upstream_rq_active',
    'cluster.web.upstream_rq_pending_active',
    'cluster.web.circuit_breakers.default.rq_open',
    'cluster.web.circuit_breakers.default.rq_pending_open',
    'cluster.web.circuit_breakers.default.rq_retry_open',
  ]) {
    expect([name, stat(name)]).toEqual([name, 0])
  }

  expect(await millrace.stop()).toMatchObject({ code: 0 })
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  expect(lines.length).toBe(sent)
  // What the proxy answered itself says why.
  const silent = lines.filter((line) => / - /.test(line) && !line.endsWith(' via_upstream'))
  expect(silent).toEqual([])
  const logged = (pattern: RegExp) => lines.filter((line) => pattern.test(line)).length
  expect(logged(/^504 \S*UT/)).toBe(times('timed out'))
  expect(logged(/^200 \S*UC upstream_reset_after/)).toBe(times('cut'))
})

async function statistics(millrace: Millrace): Promise<(name: string) => number> {
  const text = await (await fetch(millrace.admin('/stats'))).text()
  const values = new Map(
    text.split('\n').map((line): [string, number] => {
      const colon = line.lastIndexOf(': ')
      return [line.slice(0, colon), Number(line.slice(colon + 2))]
    }),
  )
  return (name) => values.get(name) ?? Number.NaN
}
