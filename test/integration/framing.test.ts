// Every byte that reaches a service belongs to the request that it says it does, and every response
// reaches the client whose request it answers: whatever becomes of a request between the two.
//
// Requests and their bodies carry a number. The service follows a plan that comes with the request
// (answer early or late, redirect, fail, close …), one step for each attempt, and checks each byte.
// MILLRACE_SEED=<n> repeats a run.

import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { bootstrap, cluster, httpListener, route } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { RawClient, sleep } from './support/peers.ts'

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

type Json = Readonly<Record<string, unknown>>

/** The body of request `id`. */
const bodyOf = (id: number, bytes: number): string =>
  `<${id}>`.repeat(Math.ceil(bytes / `<${id}>`.length)).slice(0, bytes)

function random(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

interface Head {
  readonly line: string
  readonly id: number
  readonly bytes: number
  readonly plan: readonly string[]
  readonly length: number | undefined
  readonly chunked: boolean
}

const kLine = /^(?:GET|POST) \/[a-z]+\?id=(\d+)&bytes=(\d+)&plan=([a-z0-9.:/]*) HTTP\/1\.1$/

/** A service that trusts nothing. */
class Origin {
  readonly faults: string[] = []
  readonly whole = new Map<number, number>()
  readonly #steps = new Map<number, number>()
  readonly #mirror: boolean
  port = 0

  private constructor(mirror: boolean) {
    this.#mirror = mirror
  }

  static async start(mirror = false): Promise<Origin> {
    const origin = new Origin(mirror)
    const sockets = new Set<Socket>()
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket)
      socket.on('error', () => {}) // the proxy may give up
      socket.on('close', () => sockets.delete(socket))
      origin.#serve(socket)
    })
    server.listen(0, '0.0.0.0') // all of 127.0.0.0/8
    stops.push(() => {
      server.close()
      for (const socket of sockets) socket.destroy()
    })
    await once(server, 'listening')
    origin.port = (server.address() as { port: number }).port
    return origin
  }

  #fault(text: string): void {
    this.faults.push(text)
  }

  #serve(socket: Socket): void {
    let text = ''
    let head: Head | undefined
    let step = ''
    let body = ''
    socket.on('end', () => socket.end())
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk
      for (;;) {
        if (!head) {
          const end = text.indexOf('\r\n\r\n')
          if (end < 0) return
          head = this.#head(text.slice(0, end))
          text = text.slice(end + 4)
          body = ''
          if (!head) return void socket.destroy()
          step = this.#nextStep(head)
          if (step.startsWith('hint')) socket.write('HTTP/1.1 103 Hint\r\n\r\n')
          if (step.startsWith('early')) this.#answer(socket, head, step)
        }
        const rest = head.chunked ? this.#chunks(text) : this.#counted(text, head, body)
        body += rest.data
        text = text.slice(rest.used)
        if (bodyOf(head.id, head.bytes).slice(0, body.length) !== body) {
          this.#fault(`${head.line}: body ${JSON.stringify(body.slice(0, 60))}`)
          return void socket.destroy()
        }
        if (!rest.end) return
        if (body.length !== head.bytes) this.#fault(`${head.line}: ${body.length} bytes of body`)
        this.whole.set(head.id, (this.whole.get(head.id) ?? 0) + 1)
        if (!step.startsWith('early')) this.#answer(socket, head, step)
        head = undefined
      }
    })
  }

  #head(text: string): Head | undefined {
    const [line = '', ...fields] = text.split('\r\n')
    const found = kLine.exec(line)
    const values = (name: string): string[] =>
      fields
        .filter((f) => f.toLowerCase().startsWith(`${name}:`))
        .map((f) => f.split(': ')[1] ?? '')
    const lengths = values('content-length')
    const codings = values('transfer-encoding')
    if (!found || lengths.length + codings.length > 1) {
      this.#fault(`no head of a request: ${JSON.stringify(text.slice(0, 200))}`)
      return undefined
    }
    if (lengths[0] !== undefined && !/^(0|[1-9]\d*)$/.test(lengths[0])) {
      this.#fault(`content-length: ${lengths[0]}`)
    }
    return {
      line,
      id: Number(found[1]),
      bytes: Number(found[2]),
      plan: (found[3] as string).split('.').filter(Boolean),
      length: lengths[0] === undefined ? undefined : Number(lengths[0]),
      chunked: codings.length === 1,
    }
  }

  #counted(text: string, head: Head, body: string): { data: string; used: number; end: boolean } {
    const data = text.slice(0, (head.length ?? 0) - body.length)
    return { data, used: data.length, end: body.length + data.length === (head.length ?? 0) }
  }

  /** What there is of whole chunks, and whether the last one was among them. */
  #chunks(text: string): { data: string; used: number; end: boolean } {
    let data = ''
    let used = 0
    for (;;) {
      const line = text.indexOf('\r\n', used)
      if (line < 0) return { data, used, end: false }
      const size = Number.parseInt(text.slice(used, line), 16)
      if (size === 0) {
        const end = text.startsWith('\r\n', line + 2) ? line : text.indexOf('\r\n\r\n', line)
        return end < 0 ? { data, used, end: false } : { data, used: end + 4, end: true }
      }
      if (text.length < line + size + 4) return { data, used, end: false }
      data += text.slice(line + 2, line + 2 + size)
      used = line + size + 4
    }
  }

  #nextStep(head: Head): string {
    if (this.#mirror) return 'ok'
    const at = this.#steps.get(head.id) ?? 0
    this.#steps.set(head.id, at + 1)
    return head.plan[at] ?? 'ok'
  }

  #answer(socket: Socket, head: Head, step: string): void {
    const [what, to] = step.replace(/^(early|hint)/, '').split(':')
    const say = (status: string, more = ''): void => {
      const text = `${head.id}`
      socket.write(
        `HTTP/1.1 ${status}\r\nx-id: ${head.id}\r\n${more}content-length: ${text.length}\r\n\r\n${text}`,
      )
    }
    if (what === 'slow') setTimeout(() => say('200 OK'), 400)
    else if (what === 'close') socket.destroy()
    else if (what === 'fail') say('503 No')
    else if (what === 'no') say('403 No')
    else if (what === 'to') {
      say('302 Found', `location: http://a${to}?${head.line.split(' ')[1]?.split('?')[1]}\r\n`)
    } else say('200 OK')
  }
}

const kRedirects = { internal_redirect_policy: { max_internal_redirects: 4 } }
const kRetries = {
  retry_policy: {
    retry_on: '5xx,reset,connect-failure',
    num_retries: 3,
    retry_back_off: { base_interval: '0.005s' },
  },
}

function configuration(origin: Origin, mirror: Origin): Json {
  const narrow = (most: number): Json => ({
    circuit_breakers: { thresholds: [{ max_connections: most, max_retries: 1000 }] },
  })
  const mirrors = { request_mirror_policies: [{ cluster: 'mirror' }] }
  const hedge = {
    retry_policy: { ...kRetries.retry_policy, per_try_timeout: '0.15s' },
    hedge_policy: { hedge_on_per_try_timeout: true },
  }
  const routes = [
    route('/redirects', 'one', kRedirects),
    route('/retries', 'one', { ...kRetries, ...kRedirects }),
    route('/hedges', 'few', { ...hedge, ...kRedirects }),
    route('/mirrors', 'few', { ...mirrors, ...kRedirects }),
    {
      ...route('/small', 'few', { ...kRetries, ...kRedirects }),
      per_request_buffer_limit_bytes: 9,
    },
    route('/demand', 'any', kRedirects),
    route('/plain', 'one'),
  ]
  const any = {
    name: 'any',
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    original_dst_lb_config: { use_http_header: true },
  }
  const http1 = { enable_trailers: true }
  const options = {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http_protocol_options: http1 },
      },
    },
  }
  return bootstrap(
    [httpListener({ routes, manager: { http_protocol_options: http1 } })],
    [
      cluster('one', [origin.port], { ...narrow(1), ...options }),
      cluster('few', [origin.port], { ...narrow(3), ...options }),
      cluster('mirror', [mirror.port], options),
      any,
    ],
  )
}

type Shape = 'none' | 'length' | 'padded' | 'chunked' | 'trailers'

interface Ask {
  readonly id: number
  readonly path: string
  readonly shape: Shape
  readonly bytes: number
  readonly plan: readonly string[]
  /** How many pieces the body comes in. */
  readonly pieces: number
  /** The number of another request whose host is meant. */
  readonly host?: number
  /** The last pieces are sent when the service has said something. */
  readonly waits?: boolean
}

/** The bytes of a request, in the pieces in which they are sent. */
function written(ask: Ask, port: number): string[] {
  const { id, path, shape, bytes, plan } = ask
  const target = `${path}?id=${id}&bytes=${bytes}&plan=${plan.join('.')}`
  // An address that no request has named before: its host is added while this one waits.
  const at = ask.host ?? id
  const host = `x-envoy-original-dst-host: 127.0.${1 + (at >> 7)}.${1 + (at & 127)}:${port}\r\n`
  const start = `${shape === 'none' ? 'GET' : 'POST'} ${target} HTTP/1.1\r\nHost: a\r\n${host}`
  const body = bodyOf(id, bytes)
  const size = Math.max(1, Math.ceil(bytes / ask.pieces))
  const parts: string[] = []
  for (let at = 0; at < bytes; at += size) parts.push(body.slice(at, at + size))
  if (shape === 'none') return [`${start}\r\n`]
  if (shape === 'length') return [`${start}Content-Length: ${bytes}\r\n\r\n`, ...parts]
  if (shape === 'padded') return [`${start}Content-Length: 00${bytes}\r\n\r\n`, ...parts]
  const chunks = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`)
  const last = shape === 'trailers' ? '0\r\nx-last: 1\r\ncookie: no\r\n\r\n' : '0\r\n\r\n'
  return [`${start}Transfer-Encoding: chunked\r\n\r\n`, ...chunks, last]
}

/** The status of the answer, which is to be this request's own. */
async function exchange(port: number, ask: Ask, originPort: number): Promise<string> {
  const client = await RawClient.connect(port)
  const pieces = written(ask, originPort)
  if (ask.pieces === 1) client.send(pieces.join(''))
  else {
    for (const [i, piece] of pieces.entries()) {
      if (ask.waits && i === 2) await client.until((heard) => heard.includes('103 Hint'))
      if (client.socket.destroyed || client.ended) break
      client.send(piece)
      await sleep(2)
    }
  }
  const final = /(?:^|\r\n\r\n)HTTP\/1\.1 ([2-5]\d\d) [^\r]*\r\n([\s\S]*?)\r\n\r\n([\s\S]*)$/
  const text = await client.until((heard) => {
    const found = final.exec(heard)
    const length = /content-length: (\d+)/.exec(found?.[2] ?? '')?.[1]
    return client.ended || (length !== undefined && (found?.[3]?.length ?? 0) >= Number(length))
  })
  client.socket.destroy()
  const found = final.exec(text)
  const id = /x-id: (\d+)/.exec(found?.[2] ?? '')?.[1]
  if (id !== undefined && Number(id) !== ask.id) return `the answer to ${id}`
  return found?.[1] ?? 'nothing'
}

async function proxy(origin: Origin, mirror: Origin): Promise<Millrace> {
  const config = write(temporaryFolder(), 'config.json', configuration(origin, mirror))
  return Millrace.start(['-c', config, '--concurrency', '1'])
}

const kPort = (millrace: Millrace): number => Number(new URL(millrace.url()).port)

describe('a request that is sent on again', () => {
  it.each<readonly [string, string, readonly string[], number, string]>([
    [
      'to a route that keeps no body, behind a busy connection',
      '/redirects',
      ['to:/plain', 'earlyno'],
      1,
      '403',
    ],
    ['to a host that is not there yet', '/redirects', ['to:/demand', 'earlyno'], 1, '403'],
    ['to a route that may keep less than it has', '/redirects', ['to:/small'], 1, '200'],
    ['after a hint in the middle of its body', '/mirrors', ['hintto:/plain'], 3, '302'],
    ['after a retry', '/retries', ['fail', 'to:/plain', 'earlyno'], 3, '403'],
  ])('%s: has its whole body, or none is made of it', async (_what, path, plan, pieces, status) => {
    const [origin, mirror] = [await Origin.start(), await Origin.start(true)]
    const millrace = await proxy(origin, mirror)
    // What holds the only connection while the redirected request waits for it.
    const others = [91, 92, 93].map((id) =>
      exchange(
        kPort(millrace),
        { id, path: '/plain', shape: 'none', bytes: 0, plan: ['slow'], pieces: 1 },
        origin.port,
      ),
    )
    const waits = plan[0]?.startsWith('hint') ?? false
    const ask: Ask = { id: 7, path, shape: 'length', bytes: 40, plan, pieces, waits }
    expect(await exchange(kPort(millrace), ask, origin.port)).toBe(status)
    expect(await Promise.all(others)).toEqual(['200', '200', '200'])
    // The next one on the connection that it used.
    const last = plan.findLast((step) => step.includes('to:'))?.split(':')[1] ?? '/plain'
    const next: Ask = { id: 8, host: 7, path: last, shape: 'none', bytes: 0, plan: [], pieces: 1 }
    expect(await exchange(kPort(millrace), next, origin.port)).toBe('200')
    expect(origin.faults).toEqual([])
  })
})

describe('whatever becomes of a request', () => {
  it('no byte is taken for another one', async () => {
    const seed = Number(process.env.MILLRACE_SEED ?? Date.now() % 1_000_000)
    console.log(`MILLRACE_SEED=${seed}`)
    const pick = random(seed)
    const of = <T>(list: readonly T[]): T => list[pick(list.length)] as T
    const [origin, mirror] = [await Origin.start(), await Origin.start(true)]
    const millrace = await proxy(origin, mirror)
    const paths = ['/redirects', '/retries', '/hedges', '/mirrors', '/small', '/demand', '/plain']
    const step = (): string => {
      const what = of(['ok', 'no', 'fail', 'close', 'slow', `to:${of(paths)}`, `to:${of(paths)}`])
      return of(['', '', 'early', 'hint']) + what
    }
    const asks = Array.from({ length: 240 }, (_, i): Ask => {
      const shape = of<Shape>(['none', 'length', 'length', 'padded', 'chunked', 'trailers'])
      const bytes = shape === 'none' ? 0 : of([0, 1, 8, 40, 700, 20_000])
      const plan = Array.from({ length: pick(5) }, step)
      return { id: i + 1, path: of(paths), shape, bytes, plan, pieces: of([1, 1, 2, 5]) }
    })
    const wrong: string[] = []
    let at = 0
    const client = async (): Promise<void> => {
      for (let ask = asks[at++]; ask !== undefined; ask = asks[at++]) {
        const status = await exchange(kPort(millrace), ask, origin.port)
        if (!/^(200|302|403|50[0-9])$/.test(status)) wrong.push(`${JSON.stringify(ask)}: ${status}`)
      }
    }
    await Promise.all(Array.from({ length: 8 }, client))
    expect([...wrong, ...origin.faults, ...mirror.faults]).toEqual([])
    expect(origin.whole.size).toBeGreaterThan(asks.length / 2)
    expect(mirror.whole.size).toBeGreaterThan(0)
    expect(millrace.child.exitCode).toBeNull()
  })
})
