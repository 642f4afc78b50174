// What a peer that misbehaves can make a worker hold: one stream of each kind, against what
// docs/limits.md says that it may be.

import type { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { bootstrap, cluster, httpListener, route, tcpListener } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { get, onRequests, RawClient, rawService, sayingService, sleep } from './support/peers.ts'

const kMiB = 1024 * 1024
/** A mark, one read above it, and a read on the other side. */
const kOneSide = 1.6 * kMiB

/** Writes the same again and again, as far as the other side takes it. */
function pour(socket: Socket, text: string, most = 64 * kMiB): void {
  let left = most
  const go = (): void => {
    while (left > 0 && !socket.destroyed) {
      left -= text.length
      if (!socket.write(text)) {
        socket.once('drain', go)
        return
      }
    }
  }
  go()
}

interface Case {
  readonly name: string
  /** What one stream may hold. */
  readonly most: number
  /** That something is held at all shows that the case is one. */
  readonly least: number
  readonly origin?: (socket: Socket) => void
  readonly client: (client: RawClient) => void
  readonly action?: Readonly<Record<string, unknown>>
  readonly manager?: Readonly<Record<string, unknown>>
  readonly tcp?: boolean
}

const chunk = (size: number): string => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`
const post = 'POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n'
const upload = (client: RawClient): void => {
  client.send(post)
  pour(client.socket, chunk(16_000))
}
const neverReads = (client: RawClient): void => {
  client.socket.pause()
  client.send(get('/'))
}
const deaf = (socket: Socket): void => {
  socket.pause()
}
const answers = (head: string, then: (socket: Socket) => void) => (socket: Socket) => {
  onRequests(socket, () => {
    socket.write(head)
    then(socket)
  })
}
const trailersOn = { http_protocol_options: { enable_trailers: true } }

const cases: readonly Case[] = [
  {
    name: 'a client that does not read',
    most: kOneSide,
    least: kMiB,
    origin: answers('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', (s) =>
      pour(s, chunk(16_000)),
    ),
    client: neverReads,
  },
  {
    name: 'a client that does not read, and tiny chunks',
    most: kOneSide,
    least: kMiB,
    origin: answers('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', (s) =>
      pour(s, chunk(1).repeat(10_000), 16 * kMiB),
    ),
    client: neverReads,
  },
  {
    name: 'an origin that does not read',
    most: kOneSide,
    least: kMiB,
    origin: deaf,
    client: upload,
  },
  {
    name: 'a flood of 1xx heads',
    most: kMiB,
    least: 0,
    origin: answers('', (s) =>
      pour(s, `HTTP/1.1 103 Early Hints\r\nlink: ${'x'.repeat(8000)}\r\n\r\n`),
    ),
    client: neverReads,
  },
  {
    name: 'trailers of a response without end',
    most: kMiB,
    least: 0,
    origin: answers('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n', (s) =>
      pour(s, 'x: y\r\n'.repeat(1000)),
    ),
    client: neverReads,
    manager: trailersOn,
  },
  {
    name: 'trailers of a request without end',
    most: kMiB,
    least: 0,
    origin: deaf,
    client: (client) => {
      client.send(`${post}0\r\n`)
      pour(client.socket, 'x: y\r\n'.repeat(1000))
    },
    manager: trailersOn,
  },
  {
    name: 'an extension of a chunk without end',
    most: kMiB,
    least: 0,
    origin: deaf,
    client: (client) => {
      client.send(`${post}1;`)
      pour(client.socket, 'x'.repeat(10_000))
    },
  },
  {
    name: 'a body kept for retries',
    most: kOneSide + kMiB,
    least: kMiB,
    origin: deaf,
    client: upload,
    action: { retry_policy: { retry_on: '5xx' } },
  },
  {
    name: 'a body kept for redirects',
    most: kOneSide + kMiB,
    least: kMiB,
    origin: deaf,
    client: upload,
    action: { internal_redirect_policy: {} },
  },
  {
    name: 'a body kept for mirrors that do not read',
    most: 2 * kOneSide + kMiB,
    least: kMiB,
    origin: deaf,
    client: (client) => client.send(`${post}${chunk(16_000).repeat(50)}0\r\n\r\n`),
    action: { request_mirror_policies: [{ cluster: 'web' }] },
  },
  {
    name: 'a TCP client that does not read',
    most: kOneSide,
    least: 0,
    origin: (socket) => pour(socket, 'x'.repeat(10_000)),
    client: (client) => client.socket.pause(),
    tcp: true,
  },
  {
    name: 'a TCP origin that does not read',
    most: kOneSide,
    least: 0,
    origin: deaf,
    client: (client) => pour(client.socket, 'x'.repeat(10_000)),
    tcp: true,
  },
]

it.each(cases)('$name', async ({ most, least, origin, client, action, manager, tcp }) => {
  const port = origin === undefined ? await sayingService('x') : await rawService(origin)
  const listener = tcp
    ? tcpListener('main', 'web')
    : httpListener({
        routes: [route('/', 'web', { timeout: '0s', ...action })],
        ...(manager && { manager }),
      })
  const config = bootstrap([listener], [cluster('web', [port])])
  const path = write(temporaryFolder(), 'config.json', config)
  const millrace = await Millrace.start(['-c', path, '--concurrency', '1'])
  const held = (): Promise<number> => millrace.stat('server.worker_0.bytes_buffered')
  const peer = await RawClient.connect(millrace.port())
  client(peer)
  let seen = 0
  const deadline = Date.now() + 15_000
  // Until it holds what shows the case, and then for a while more.
  while (seen < least && Date.now() < deadline) {
    seen = Math.max(seen, await held())
    await sleep(20)
  }
  for (let i = 0; i < 40; i++) {
    seen = Math.max(seen, await held())
    await sleep(20)
  }
  expect(seen).toBeGreaterThanOrEqual(least)
  expect(seen).toBeLessThan(most)
  peer.socket.resetAndDestroy() // the end of its stream would wait behind what we do not read
  if (!tcp && action?.request_mirror_policies === undefined) await expect.poll(held).toBe(0)
})
