// Connections to upstreams: PROXY headers, what is opened ahead, and where it comes from.

import type { AddressInfo, Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { bootstrap, cluster, httpListener, route, tcpListener } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { get, onRequests, RawClient, rawService } from './support/peers.ts'

const kSockets = 'type.googleapis.com/envoy.extensions.transport_sockets'
const kOk = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'

const proxyProtocol = (version: 'V1' | 'V2'): object => ({
  name: 'envoy.transport_sockets.upstream_proxy_protocol',
  typed_config: {
    '@type': `${kSockets}.proxy_protocol.v3.ProxyProtocolUpstreamTransport`,
    config: { version },
    transport_socket: {
      name: 'envoy.transport_sockets.raw_buffer',
      typed_config: { '@type': `${kSockets}.raw_buffer.v3.RawBuffer` },
    },
  },
})

async function started(kind: 'http' | 'tcp', port: number, fields: object): Promise<Millrace> {
  const listener =
    kind === 'tcp' ? tcpListener('in', 'web') : httpListener({ routes: [route('/', 'web')] })
  const config = bootstrap([listener], [cluster('web', [port], { ...fields })])
  const path = write(temporaryFolder(), 'config.json', config)
  return Millrace.start(['-c', path, '--concurrency', '1'])
}

describe('PROXY headers', () => {
  it('tell an HTTP upstream who the client is', async () => {
    let first = ''
    const port = await rawService((socket) => {
      onRequests(socket, (head) => {
        first ||= head
        socket.write(kOk)
      })
    })
    const millrace = await started('http', port, { transport_socket: proxyProtocol('V1') })
    const client = await RawClient.connect(millrace.port())
    const from = (client.socket.address() as AddressInfo).port
    client.send(get('/'))
    await client.until((text) => text.includes('200 OK'))
    const [header] = first.split('\r\n')
    expect(header).toBe(`PROXY TCP4 127.0.0.1 127.0.0.1 ${from} ${millrace.port()}`)
  })

  it('come first through a TCP proxy, also when the upstream speaks first', async () => {
    const port = await rawService((socket: Socket) => {
      socket.write('220 ready\r\n')
      socket.once('data', (chunk: Buffer) => socket.end(chunk.toString('hex')))
    })
    const millrace = await started('tcp', port, { transport_socket: proxyProtocol('V2') })
    const client = await RawClient.connect(millrace.port())
    const from = (client.socket.address() as AddressInfo).port
    const hex = (n: number): string => n.toString(16).padStart(4, '0')
    const header = `0d0a0d0a000d0a515549540a2111000c7f0000017f000001${hex(from)}`
    expect(await client.all()).toContain(`220 ready\r\n${header}${hex(millrace.port())}`)
  })
})

describe('connections', () => {
  it('come from the address that is bound', async () => {
    let from: string | undefined
    const port = await rawService((socket) => {
      from = socket.remoteAddress
      onRequests(socket, () => socket.write(kOk))
    })
    const bind = { source_address: { address: '127.0.0.5', port_value: 0 } }
    const millrace = await started('http', port, { upstream_bind_config: bind })
    expect((await fetch(millrace.url())).status).toBe(200)
    expect(from).toBe('127.0.0.5')
  })

  it('are ready beside those in use, as the ratio says', async () => {
    let accepted = 0
    const port = await rawService((socket) => {
      accepted++
      onRequests(socket, () => socket.write(kOk))
    })
    const policy = { preconnect_policy: { per_upstream_preconnect_ratio: 2 } }
    const millrace = await started('http', port, policy)
    expect((await fetch(millrace.url())).status).toBe(200)
    await expect.poll(() => accepted).toBe(2)
  })

  it('go to the address of a host that answers', async () => {
    const port = await rawService((socket) => onRequests(socket, () => socket.write(kOk)))
    const at = (address: string, port_value: number): object => ({
      address: { socket_address: { address, port_value } },
    })
    const endpoint = { ...at('::1', 1), additional_addresses: [at('127.0.0.1', port)] }
    const endpoints = [{ lb_endpoints: [{ endpoint }] }]
    const millrace = await started('http', port, {
      load_assignment: { cluster_name: 'web', endpoints },
    })
    expect((await fetch(millrace.url())).status).toBe(200)
  })
})
