// The other sides of a proxy: HTTP services, raw TCP services, raw clients. Closed with the test
// that made them.

import { once } from 'node:events'
import { createServer as createHttp, type RequestListener } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach } from 'vitest'
import { kPatienceMs } from '../../patience.ts'

const open = new Set<{ destroy(): unknown }>()
afterEach(() => {
  for (const peer of open) peer.destroy()
  open.clear()
})

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** An HTTP service; gives its port. */
export async function httpService(listener: RequestListener): Promise<number> {
  const server = createHttp({ keepAliveTimeout: 60_000 }, listener)
  open.add({
    destroy: () => {
      server.close()
      server.closeAllConnections()
    },
  })
  return listening(server)
}

/** Answers every request with 200 and a text. */
export function sayingService(text: string): Promise<number> {
  return httpService((request, response) => {
    request.resume()
    response.end(text)
  })
}

/** A TCP service; gives its port. */
export async function rawService(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket)
    socket.on('error', () => {}) // peers may vanish; what matters is what the proxy makes of it
    socket.on('close', () => open.delete(socket))
    onConnection(socket)
  })
  open.add({ destroy: () => server.close() })
  return listening(server)
}

/** Reads requests up to their empty line, and calls for each. */
export function onRequests(socket: Socket, answer: (head: string) => void): void {
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
    for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
      const head = text.slice(0, end + 4)
      text = text.slice(end + 4)
      answer(head)
    }
  })
}

/** A port of loopback where nothing listens. */
export async function closedPort(): Promise<number> {
  const server = createServer()
  const port = await listening(server)
  server.close()
  await once(server, 'close')
  return port
}

/** A raw client: what it received so far is `text`. */
export class RawClient {
  readonly socket: Socket
  text = ''
  ended = false
  /** The code of a socket error, e.g. ECONNRESET. */
  error: string | undefined
  readonly closed: Promise<unknown>

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    open.add(this.socket)
    this.socket.setEncoding('latin1')
    this.socket.on('data', (chunk: string) => {
      this.text += chunk
    })
    this.socket.on('end', () => {
      this.ended = true
      this.socket.end()
    })
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? error.message
    })
    this.closed = new Promise((resolve) => this.socket.on('close', resolve))
  }

  static async connect(port: number): Promise<RawClient> {
    const client = new RawClient(port)
    await once(client.socket, 'connect')
    return client
  }

  send(text: string): void {
    this.socket.write(text, 'latin1')
  }

  /** Waits until `test` holds for what was received, or the connection is closed. */
  async until(test: (text: string) => boolean, timeoutMs = kPatienceMs): Promise<string> {
    const deadline = Date.now() + timeoutMs
    while (!test(this.text)) {
      if (this.socket.destroyed) break
      if (Date.now() > deadline) throw new Error(`too late; received: ${JSON.stringify(this.text)}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return this.text
  }

  /** Everything up to the end of the connection. */
  async all(timeoutMs = kPatienceMs): Promise<string> {
    return this.until(() => this.ended || this.socket.destroyed, timeoutMs)
  }
}

export const get = (path: string, headers = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: test\r\n${headers}\r\n`

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms))
