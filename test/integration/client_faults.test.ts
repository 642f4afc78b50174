// Clients that are slow, rude, or gone.

import { readFileSync } from 'node:fs'
import http, { Agent } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fileLog, route, simple } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { get, httpService, RawClient, rawService, sayingService, sleep } from './support/peers.ts'

async function started(
  port: number,
  manager: Readonly<Record<string, unknown>> = {},
): Promise<Millrace> {
  const path = write(temporaryFolder(), 'config.json', simple([port], { manager }))
  return Millrace.start(['-c', path])
}

const kBody = { inline_string: 'x'.repeat(4000) }

/** With an access log, and perhaps a runtime. */
async function logging(
  port: number,
  runtime: Readonly<Record<string, unknown>> = {},
  more: Readonly<Record<string, unknown>> = {},
): Promise<{ millrace: Millrace; log: string }> {
  const folder = temporaryFolder()
  const log = join(folder, 'access.log')
  const config = {
    ...simple([port], { manager: { access_log: [fileLog(log)] }, ...more }),
    layered_runtime: { layers: [{ name: 'static', static_layer: runtime }] },
  }
  const millrace = await Millrace.start([
    '-c',
    write(folder, 'config.json', config),
    '--concurrency',
    '1',
  ])
  return { millrace, log }
}

async function answerTo(millrace: Millrace, bytes: string): Promise<string> {
  const client = await RawClient.connect(millrace.port())
  client.send(bytes)
  return client.all()
}

describe('a slow client', () => {
  it('that does not finish its headers in time gets 408', async () => {
    const millrace = await started(await sayingService('x'), { request_headers_timeout: '0.3s' })
    const client = await RawClient.connect(millrace.port())
    client.send('GET / HTTP/1.1\r\nHost: te')
    expect(await client.all()).toMatch(/^HTTP\/1\.1 408 /)
  })

  it('that does not finish its body in time gets 408', async () => {
    const patient = await httpService((request, response) => {
      request.resume()
      request.on('end', () => response.end('x'))
    })
    const millrace = await started(patient, { request_timeout: '0.3s' })
    const client = await RawClient.connect(millrace.port())
    client.send('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc')
    expect(await client.all()).toMatch(/^HTTP\/1\.1 408 /)
  })

  it('that stays silent is closed after the idle timeout', async () => {
    const manager = { common_http_protocol_options: { idle_timeout: '0.3s' } }
    const millrace = await started(await sayingService('x'), manager)
    const client = await RawClient.connect(millrace.port())
    expect(await client.all()).toBe('')
    const used = await RawClient.connect(millrace.port())
    used.send(get('/'))
    expect(await used.all()).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('does not hold up others', async () => {
    const millrace = await started(await sayingService('x'))
    const slow = await Promise.all(
      Array.from({ length: 50 }, () => RawClient.connect(millrace.port())),
    )
    for (const client of slow) client.send('GET / HTTP/1.1\r\nHo')
    for (let i = 0; i < 20; i++) expect((await fetch(millrace.url())).status).toBe(200)
  })
})

describe('a client that is gone', () => {
  it('in the middle of a response: the upstream request is given up', async () => {
    let closed = 0
    const port = await httpService((_request, response) => {
      const timer = setInterval(() => response.write('x'.repeat(10_000)), 5)
      response.on('close', () => {
        clearInterval(timer)
        closed++
      })
    })
    const millrace = await started(port)
    for (let i = 0; i < 10; i++) {
      const client = await RawClient.connect(millrace.port())
      client.send(get('/'))
      await client.until((text) => text.length > 1_000)
      client.socket.resetAndDestroy()
    }
    await expect.poll(() => closed).toBe(10)
    await expect.poll(() => millrace.stat('http.main.downstream_rq_active')).toBe(0)
    await expect.poll(() => millrace.stat('cluster.web.upstream_rq_active')).toBe(0)
    await expect.poll(() => millrace.stat('http.main.downstream_cx_active')).toBe(0)
  })

  it('before the response began', async () => {
    let arrived = 0
    let closed = 0
    const port = await httpService((_request, response) => {
      arrived++
      response.on('close', () => closed++)
    })
    const millrace = await started(port)
    const client = await RawClient.connect(millrace.port())
    client.send(get('/'))
    await expect.poll(() => arrived).toBe(1)
    client.socket.resetAndDestroy()
    await expect.poll(() => closed).toBe(1)
  })

  it.each([
    ['that waits', get('/')],
    ['with another request behind it', get('/') + get('/second')],
    ['with a body', 'POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc'],
  ])('by the end of its stream: a request %s is given up, and logged as DC', async (_, bytes) => {
    let arrived = 0
    let closed = 0
    const port = await httpService((request, response) => {
      arrived++
      request.resume()
      response.on('close', () => closed++)
    })
    const { millrace, log } = await logging(port)
    const client = await RawClient.connect(millrace.port())
    client.send(bytes)
    await expect.poll(() => arrived).toBe(1)
    client.socket.end()
    await expect.poll(() => closed).toBe(1)
    await client.all()
    expect(client.text).toBe('')
    await expect.poll(() => millrace.stat('http.main.downstream_cx_destroy_remote')).toBe(1)
    expect(arrived).toBe(1)
    await millrace.stop()
    expect(readFileSync(log, 'utf8')).toBe('/ 0 DC\n')
  })

  it('by the end of its stream, after requests that were answered here: it gets every answer', async () => {
    const routes = [{ match: { prefix: '/' }, direct_response: { status: 200, body: kBody } }]
    const path = write(
      temporaryFolder(),
      'config.json',
      simple([await sayingService('x')], { routes }),
    )
    const millrace = await Millrace.start(['-c', path])
    const client = await RawClient.connect(millrace.port())
    client.send(get('/').repeat(100))
    client.socket.end()
    expect((await client.all()).split('HTTP/1.1 200 OK').length - 1).toBe(100)
  })

  it('may be one that waits for its answer, where the runtime says so', async () => {
    const port = await httpService((_request, response) => {
      setTimeout(() => response.end('late'), 300)
    })
    const { millrace } = await logging(port, { 'millrace.http1_half_close': true })
    const client = await RawClient.connect(millrace.port())
    client.send(get('/'))
    client.socket.end()
    expect(await client.all()).toMatch(/^HTTP\/1\.1 200 .*late/s)
  })

  it('in the middle of its own body', async () => {
    let aborted = 0
    const port = await httpService((request) => {
      request.resume()
      request.on('aborted', () => aborted++)
      request.on('error', () => {})
    })
    const millrace = await started(port)
    const client = await RawClient.connect(millrace.port())
    client.send(`POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(100)}`)
    await sleep(100)
    client.socket.resetAndDestroy()
    await expect.poll(() => aborted).toBe(1)
  })
})

describe('what is wrong or ambiguous is refused, and the connection closed', () => {
  const host = 'Host: test\r\n'
  const cases: [string, string, number][] = [
    ['a bare line feed', `GET / HTTP/1.1\n${host}\r\n`, 400],
    [
      'Content-Length with Transfer-Encoding',
      `POST / HTTP/1.1\r\n${host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
    [
      'two lengths',
      `POST / HTTP/1.1\r\n${host}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
      400,
    ],
    ['a space before the colon', `GET / HTTP/1.1\r\n${host}X : y\r\n\r\n`, 400],
    ['a folded line', `GET / HTTP/1.1\r\n${host}X: a\r\n b\r\n\r\n`, 400],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    [
      'a chunk size that overflows',
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n11111111111111111\r\n`,
      400,
    ],
    ['a NUL in a value', `GET / HTTP/1.1\r\n${host}X: a\0b\r\n\r\n`, 400],
    ['headers that are too long', `GET / HTTP/1.1\r\n${host}X: ${'y'.repeat(70_000)}\r\n\r\n`, 431],
    ['too many headers', `GET / HTTP/1.1\r\n${host}${'X: y\r\n'.repeat(101)}\r\n`, 431],
    ['what is no HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400],
  ]
  it.each(cases)('%s', async (_what, bytes, status) => {
    let reached = 0
    const port = await httpService((request, response) => {
      reached++
      request.resume()
      response.end('x')
    })
    const millrace = await started(port)
    expect(await answerTo(millrace, bytes)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    // A request whose headers were in order may have been begun before its body went wrong.
    if (!bytes.includes('chunked') || bytes.includes('Content-Length')) expect(reached).toBe(0)
  })
})

describe('a client that does not read', () => {
  const routes = [{ match: { prefix: '/' }, direct_response: { status: 200, body: kBody } }]

  /** Sends until the proxy takes no more. */
  async function pipeline(millrace: Millrace): Promise<RawClient> {
    const client = await RawClient.connect(millrace.port())
    client.socket.pause()
    const requests = get('/').repeat(2_000)
    for (let sent = 0; sent < 200; sent++) {
      if (!client.socket.write(requests) && sent > 3) break
    }
    return client
  }

  it('is served up to its mark, and what it holds is counted', async () => {
    const { millrace } = await logging(await sayingService('x'), {}, { routes })
    const client = await pipeline(millrace)
    const buffered = (): Promise<number> =>
      millrace.stat('http.main.downstream_cx_tx_bytes_buffered')
    // Full, but for what the kernel takes behind that.
    await expect.poll(buffered).toBeGreaterThan(0.9 * 1024 * 1024)
    await expect
      .poll(() => millrace.stat('http.main.downstream_cx_rx_bytes_buffered'))
      .toBeGreaterThan(0)
    await sleep(500)
    // The mark, and what one turn adds; unread requests, and half a chunk more.
    expect(await buffered()).toBeLessThan(1.25 * 1024 * 1024)
    expect(await millrace.stat('server.worker_0.bytes_buffered')).toBeLessThan(2 * 1024 * 1024)
    client.socket.destroy()
    await expect.poll(buffered).toBe(0)
    await expect.poll(() => millrace.stat('http.main.downstream_cx_rx_bytes_buffered')).toBe(0)
    await expect.poll(() => millrace.stat('server.worker_0.bytes_buffered')).toBe(0)
  })

  it('fills its worker with others: what is new is refused until there is room', async () => {
    const limit = { 'millrace.worker_buffer_limit_bytes': 6 * 1024 * 1024 }
    const deaf = await rawService((socket) => socket.pause())
    const answered = { match: { path: '/here' }, direct_response: { status: 200, body: kBody } }
    const routes = [answered, route('/', 'web')]
    const { millrace, log } = await logging(deaf, limit, { routes })
    const clients: RawClient[] = []
    while ((await millrace.stat('http.main.downstream_rq_overload_close')) === 0) {
      const client = await RawClient.connect(millrace.port())
      client.send('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000000\r\n\r\n')
      client.send('x'.repeat(20_000_000))
      clients.push(client)
      expect(clients.length).toBeLessThan(40)
      await sleep(100)
    }
    expect(await answerTo(millrace, get('/here'))).toMatch(
      /^HTTP\/1\.1 503 .*connection: close\r\n.*too much is buffered$/s,
    )
    for (const client of clients) client.socket.resetAndDestroy()
    await expect.poll(async () => (await fetch(millrace.url('/here'))).status).toBe(200)
    await millrace.stop()
    expect(readFileSync(log, 'utf8')).toContain('/here 503 OM\n')
  })
})

describe('a connection that is too old', () => {
  it('says so in its next response, and is closed after the drain timeout when there is none', async () => {
    const millrace = await started(await sayingService('x'), {
      common_http_protocol_options: { max_connection_duration: '0.3s' },
      drain_timeout: '1.5s',
    })
    const used = await RawClient.connect(millrace.port())
    const idle = await RawClient.connect(millrace.port())
    const begun = Date.now()
    for (const client of [used, idle]) {
      client.send(get('/'))
      expect(
        await client.until((text) => text.endsWith('\r\n0\r\n\r\n') || text.endsWith('x')),
      ).not.toMatch(/connection: close/)
    }
    await expect.poll(() => millrace.stat('http.main.downstream_cx_max_duration_reached')).toBe(2)
    expect(idle.ended).toBe(false)
    used.text = ''
    used.send(get('/'))
    expect(await used.all()).toMatch(/^HTTP\/1\.1 200 .*connection: close\r\n/s)
    await idle.all()
    expect(Date.now() - begun).toBeGreaterThan(1_700)
    expect(idle.error).toBe(undefined)
  })

  it('loses no request of a busy client', async () => {
    const millrace = await started(await sayingService('x'), {
      common_http_protocol_options: { max_connection_duration: '0.05s' },
    })
    const agent = new Agent({ keepAlive: true, maxSockets: 8 })
    const post = (): Promise<number> =>
      new Promise((resolve, reject) => {
        const request = http.request(millrace.url(), { agent, method: 'POST' }, (response) => {
          response.resume().on('end', () => resolve(response.statusCode ?? 0))
        })
        request.on('error', reject).end('x'.repeat(100))
      })
    const worker = async (): Promise<void> => {
      for (let i = 0; i < 60; i++) {
        expect(await post()).toBe(200)
        await sleep(i % 7)
      }
    }
    await Promise.all(Array.from({ length: 8 }, worker))
    agent.destroy()
    expect(await millrace.stat('http.main.downstream_cx_max_duration_reached')).toBeGreaterThan(8)
  })
})

describe.runIf(process.platform === 'linux')('memory of a peak', () => {
  it('is given back when the worker is at rest', async () => {
    const routes = [{ match: { prefix: '/' }, direct_response: { status: 200, body: kBody } }]
    const { millrace } = await logging(await sayingService('x'), {}, { routes })
    const resident = (): number =>
      Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${millrace.pid}/status`, 'utf8'))?.[1])
    const clients: RawClient[] = []
    for (let i = 0; i < 60; i++) {
      const client = await RawClient.connect(millrace.port())
      client.socket.pause()
      client.send(get('/').repeat(4_000))
      clients.push(client)
    }
    const held = (): Promise<number> => millrace.stat('server.worker_0.bytes_buffered')
    await expect.poll(held).toBeGreaterThan(50 * 1024 * 1024)
    const peak = resident()
    for (const client of clients) client.socket.destroy()
    await expect.poll(held).toBe(0)
    await expect.poll(() => peak - resident(), { interval: 500 }).toBeGreaterThan(35 * 1024)
  })
})
