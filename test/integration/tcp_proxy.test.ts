// The TCP proxy: bytes both ways, whole, with half-closed connections kept half open.

import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { bootstrap, cluster, tcpListener } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { closedPort, RawClient, rawService } from './support/peers.ts'

async function started(port: number, fields = {}): Promise<Millrace> {
  const config = bootstrap([tcpListener('db', 'db', fields)], [cluster('db', [port])])
  return Millrace.start(['-c', write(temporaryFolder(), 'config.json', config)])
}

const digest = (data: Buffer): string => createHash('sha256').update(data).digest('hex')

describe('the TCP proxy', () => {
  it('carries 32 MiB each way unchanged', async () => {
    const port = await rawService((socket) => socket.pipe(socket))
    const millrace = await started(port)
    const sent = Buffer.alloc(32 * 1024 * 1024)
    for (let i = 0; i < sent.length; i += 4) sent.writeUInt32LE((i * 2_654_435_761) >>> 0, i)
    const socket = connect(millrace.port(), '127.0.0.1')
    socket.end(sent)
    const received: Buffer[] = []
    for await (const chunk of socket) received.push(chunk as Buffer)
    expect(digest(Buffer.concat(received))).toBe(digest(sent))
  })

  it('passes the end of one direction on, and keeps the other open', async () => {
    const port = await rawService((socket) => {
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk
      })
      socket.on('end', () => socket.end(`you said ${text}`))
    })
    const millrace = await started(port)
    const client = await RawClient.connect(millrace.port())
    client.socket.end('hello')
    expect(await client.all()).toBe('you said hello')
  })

  it('lets the upstream speak first', async () => {
    const port = await rawService((socket) => socket.end('220 ready\r\n'))
    const client = await RawClient.connect((await started(port)).port())
    expect(await client.all()).toBe('220 ready\r\n')
  })

  it('closes the client when the upstream refuses', async () => {
    const client = await RawClient.connect((await started(await closedPort())).port())
    expect(await client.all()).toBe('')
  })

  it('closes what is idle', async () => {
    const port = await rawService(() => {})
    const millrace = await started(port, { idle_timeout: '0.3s' })
    const client = await RawClient.connect(millrace.port())
    client.send('x')
    expect(await client.all()).toBe('')
  })
})
