// Clients that are slow, rude, or gone.

import { describe, expect, it } from 'vitest'
import { simple } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { get, httpService, RawClient, sayingService, sleep } from './support/peers.ts'

async function started(
  port: number,
  manager: Readonly<Record<string, unknown>> = {},
): Promise<Millrace> {
  const path = write(temporaryFolder(), 'config.json', simple([port], { manager }))
  return Millrace.start(['-c', path])
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
    // Not only the end of its stream: after that it could still read an answer.
    client.socket.resetAndDestroy()
    await expect.poll(() => closed).toBe(1)
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
