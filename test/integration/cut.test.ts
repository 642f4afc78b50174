// A message whose end is the end of the connection, and which breaks off: an orderly end would make
// it look whole, so the client's connection is reset (RFC 9112 §8).

import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { bootstrap, cluster, httpListener, route, tcpListener } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { onRequests, RawClient, rawService, sleep } from './support/peers.ts'

const kUntilTheEnd = 'HTTP/1.1 200 OK\r\n\r\nhalf'
const kChunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'
const kLength = 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf'

/** A proxy before a service that is handed each connection, and each of its requests. */
async function started(
  answer: (socket: Socket) => void,
  action: object = {},
  manager: Readonly<Record<string, unknown>> = {},
): Promise<Millrace> {
  const port = await rawService((socket) => onRequests(socket, () => answer(socket)))
  const config = bootstrap(
    [
      httpListener({
        routes: [route('/', 'web', { ...action })],
        manager: { http_protocol_options: { accept_http_10: true }, ...manager },
      }),
    ],
    [cluster('web', [port])],
  )
  return Millrace.start(['-c', write(temporaryFolder(), 'config.json', config)])
}

/** What came, and how it ended: "end", or the code of an error. */
async function ask(millrace: Millrace, bytes: string): Promise<{ text: string; end: string }> {
  const client = await RawClient.connect(millrace.port())
  client.send(bytes)
  await client.all(30_000)
  await client.closed
  return { text: client.text, end: client.error ?? 'end' }
}

const kOld = 'GET / HTTP/1.0\r\nHost: a\r\n\r\n'
const kNew = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

/** Says `text` and goes on when it has been passed on, which nothing tells. */
const thenLater =
  (text: string, then: (socket: Socket) => void) =>
  (socket: Socket): void => {
    socket.write(text)
    setTimeout(() => then(socket), 100)
  }

describe('a response that ends with its connection is cut by a reset when', () => {
  it.each([
    ['it was to last until the end', kUntilTheEnd],
    ['it was chunked', kChunked],
  ])('the upstream resets: %s', async (_what, text) => {
    const millrace = await started(thenLater(text, (socket) => socket.resetAndDestroy()))
    const { text: got, end } = await ask(millrace, kOld)
    expect(got.endsWith('half')).toBe(true)
    expect(end).toBe('ECONNRESET')
  })

  it('the upstream’s last chunk is missing', async () => {
    const millrace = await started(thenLater(kChunked, (socket) => socket.end()))
    expect(await ask(millrace, kOld)).toMatchObject({ end: 'ECONNRESET' })
  })

  it('a chunk is none', async () => {
    const millrace = await started(thenLater(kChunked, (socket) => socket.write('zz\r\n')))
    expect(await ask(millrace, kOld)).toMatchObject({ end: 'ECONNRESET' })
  })

  it('the upstream takes too long', async () => {
    const millrace = await started((socket) => socket.write(kUntilTheEnd), { timeout: '0.3s' })
    const { text, end } = await ask(millrace, kOld)
    expect(text.endsWith('half')).toBe(true)
    expect(end).toBe('ECONNRESET')
  })

  it('nothing comes for as long as a stream may be idle', async () => {
    const manager = { stream_idle_timeout: '0.3s' }
    const millrace = await started((socket) => socket.write(kUntilTheEnd), {}, manager)
    expect(await ask(millrace, kOld)).toMatchObject({ end: 'ECONNRESET' })
  })

  it('it has lasted as long as a stream may', async () => {
    const manager = { common_http_protocol_options: { max_stream_duration: '0.3s' } }
    const millrace = await started((socket) => socket.write(kUntilTheEnd), {}, manager)
    expect(await ask(millrace, kOld)).toMatchObject({ end: 'ECONNRESET' })
  })

  it('the proxy stops before its end', async () => {
    const millrace = await started((socket) => socket.write(kUntilTheEnd))
    const client = await RawClient.connect(millrace.port())
    client.send(kOld)
    await client.until((text) => text.endsWith('half'))
    millrace.signal('SIGTERM')
    await sleep(200)
    millrace.signal('SIGTERM') // the second one ends at once
    await client.closed
    expect(client.error).toBe('ECONNRESET')
  })

  it('the upstream resets while the request still goes out', async () => {
    const millrace = await started(thenLater(kUntilTheEnd, (socket) => socket.resetAndDestroy()))
    const client = await RawClient.connect(millrace.port())
    client.send('POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 100000\r\n\r\n')
    const more = setInterval(() => client.send('x'), 5)
    await client.closed
    clearInterval(more)
    expect(client.error).toBe('ECONNRESET')
  })
})

describe('a response that is whole, or that shows by itself that it is not, ends in order:', () => {
  it.each([
    ['until the end, to an old client', kOld, kUntilTheEnd, (s: Socket) => void s.end()],
    ['cut in chunks, to a new client', kNew, kUntilTheEnd, (s: Socket) => void s.resetAndDestroy()],
    ['cut before its length, to an old client', kOld, kLength, (s: Socket) => void s.end()],
    ['cut before its length', kNew, kLength, (s: Socket) => void s.resetAndDestroy()],
  ])('%s', async (_what, request, text, then) => {
    const millrace = await started(thenLater(text, then))
    const got = await ask(millrace, request)
    expect(got.text).toContain('half')
    expect(got.text).not.toMatch(/\r\n0\r\n/)
    expect(got.end).toBe('end')
  })
})

it('what a TCP upstream sent before its reset comes, and then a reset', async () => {
  const port = await rawService((socket) => {
    socket.once('data', () => thenLater('half', () => socket.resetAndDestroy())(socket))
  })
  const config = bootstrap([tcpListener('in', 'web')], [cluster('web', [port])])
  const path = write(temporaryFolder(), 'config.json', config)
  const millrace = await Millrace.start(['-c', path])
  expect(await ask(millrace, 'hello')).toEqual({ text: 'half', end: 'ECONNRESET' })
})
