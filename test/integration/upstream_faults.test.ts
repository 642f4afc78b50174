// Upstreams that refuse, vanish, stay silent, or talk nonsense: the client gets an answer of ours
// or a connection that is visibly cut, never a response that looks whole and is not.

import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bootstrap, cluster, fileLog, httpListener, route } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { closedPort, get, onRequests, RawClient, rawService } from './support/peers.ts'

interface Started {
  readonly millrace: Millrace
  /** Response flags and code details of the requests so far, when the proxy has ended. */
  readonly logged: () => Promise<string[]>
}

async function started(port: number, action: object = {}, fields: object = {}): Promise<Started> {
  const folder = temporaryFolder()
  const file = join(folder, 'access.log')
  const config = bootstrap(
    [
      httpListener({
        routes: [route('/', 'web', { ...action })],
        manager: { access_log: [fileLog(file, '%RESPONSE_CODE% %RESPONSE_FLAGS%\n')] },
      }),
    ],
    [cluster('web', [port], { ...fields })],
  )
  const millrace = await Millrace.start(['-c', write(folder, 'config.json', config)])
  const logged = async (): Promise<string[]> => {
    await millrace.stop()
    return readFileSync(file, 'utf8').trimEnd().split('\n')
  }
  return { millrace, logged }
}

/**
 * What a raw client receives up to the end of its connection, or for a keep-alive answer of ours.
 */
async function ask(
  millrace: Millrace,
  bytes: string = get('/', 'Connection: close\r\n'),
): Promise<string> {
  const client = await RawClient.connect(millrace.port())
  client.send(bytes)
  return client.all()
}

/** A service that answers each request by doing `answer`. */
const service = (answer: (socket: Socket) => void): Promise<number> =>
  rawService((socket) => onRequests(socket, () => answer(socket)))

describe('an upstream', () => {
  it('that refuses connections: 503 UF', async () => {
    const { millrace, logged } = await started(await closedPort())
    expect(await ask(millrace)).toMatch(/^HTTP\/1\.1 503 /)
    expect(await logged()).toEqual(['503 UF'])
  })

  it('that cannot be reached in time: 503 UF', async () => {
    const action = {}
    const fields = { connect_timeout: '0.3s', load_assignment: blackhole() }
    const { millrace, logged } = await started(1, action, fields)
    expect(await ask(millrace)).toMatch(/^HTTP\/1\.1 503 /)
    expect(await logged()).toEqual([expect.stringMatching(/^503 UF/)])
  })

  it('that closes without an answer: 503 UC', async () => {
    const { millrace, logged } = await started(await service((socket) => socket.end()))
    expect(await ask(millrace)).toMatch(/^HTTP\/1\.1 503 /)
    expect(await logged()).toEqual(['503 UC'])
  })

  it('that resets without an answer: 503 UC', async () => {
    const port = await service((socket) => socket.resetAndDestroy())
    const { millrace, logged } = await started(port)
    expect(await ask(millrace)).toMatch(/^HTTP\/1\.1 503 /)
    expect(await logged()).toEqual(['503 UC'])
  })

  it('that stays silent: 504 UT after the route’s timeout', async () => {
    const { millrace, logged } = await started(await service(() => {}), { timeout: '0.3s' })
    expect(await ask(millrace)).toMatch(/^HTTP\/1\.1 504 /)
    expect(await logged()).toEqual(['504 UT'])
  })

  it.each([
    ['no HTTP at all', 'SSH-2.0-OpenSSH_9.2p1\r\n\r\n'],
    ['a status that is none', 'HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx'],
    ['a bare line feed in the headers', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
    ['a NUL in a header', 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n'],
  ])('that says %s: 502 UPE', async (_what, bytes) => {
    const port = await service((socket) => socket.write(bytes, 'latin1'))
    const { millrace, logged } = await started(port)
    expect(await ask(millrace)).toMatch(/^HTTP\/1\.1 502 /)
    expect(await logged()).toEqual([expect.stringMatching(/^502 .*UPE/)])
  })

  it('that sends less than it announced: the client’s connection is cut short', async () => {
    const port = await service((socket) => {
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this')
    })
    const { millrace, logged } = await started(port)
    const answer = await ask(millrace)
    expect(answer.toLowerCase()).toContain('content-length: 100')
    expect(answer.endsWith('only this')).toBe(true)
    expect(await logged()).toEqual([expect.stringMatching(/^200 .*UC/)])
  })

  it('that sends more than it announced: the rest reaches nobody, nothing is kept', async () => {
    const connections: Socket[] = []
    const port = await rawService((socket) => {
      connections.push(socket)
      onRequests(socket, () => {
        const extra = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nextra'
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody${extra}`)
      })
    })
    const { millrace } = await started(port)
    for (let i = 0; i < 3; i++) {
      const answer = await ask(millrace)
      expect(answer.endsWith('\r\n\r\nbody')).toBe(true)
    }
    expect(connections.length).toBe(3)
  })

  it('whose chunked body breaks off: no last chunk reaches the client', async () => {
    const port = await service((socket) => {
      socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n')
    })
    const { millrace } = await started(port)
    const answer = await ask(millrace)
    expect(answer).toContain('wiki')
    expect(answer).not.toMatch(/\r\n0\r\n/)
  })

  it('whose chunked body is malformed: cut, and not passed on', async () => {
    const port = await service((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nwiki\r\n0\r\n\r\n')
    })
    const { millrace } = await started(port)
    const answer = await ask(millrace)
    expect(answer).not.toContain('wiki')
    expect(answer).not.toMatch(/\r\n0\r\n/)
  })

  it('that ends by closing (no length): the client gets it whole', async () => {
    const port = await service((socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nuntil the end'))
    const { millrace } = await started(port)
    const answer = await ask(millrace)
    expect(answer).toContain('until the end')
  })

  it('that closes an idle connection: the next request takes a new one and succeeds', async () => {
    const port = await service((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      setTimeout(() => socket.destroy(), 1)
    })
    const { millrace } = await started(port)
    for (let i = 0; i < 50; i++) expect(await ask(millrace)).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('with a head that is too long: 503', async () => {
    const port = await service((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(100_000)}\r\nContent-Length: 0\r\n\r\n`)
    })
    const { millrace } = await started(port)
    expect(await ask(millrace)).toMatch(/^HTTP\/1\.1 50[23] /)
  })
})

/** An address that drops packets: TEST-NET-1 is routed nowhere. */
function blackhole(): object {
  const address = { socket_address: { address: '192.0.2.1', port_value: 9 } }
  return {
    cluster_name: 'web',
    endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
  }
}

describe('a cluster', () => {
  it('without hosts: 503 UH', async () => {
    const { millrace, logged } = await started(1, {}, { load_assignment: { cluster_name: 'web' } })
    expect(await ask(millrace)).toMatch(/^HTTP\/1\.1 503 /)
    expect(await logged()).toEqual(['503 UH'])
  })

  it('whose breaker is open: 503 UO with x-envoy-overloaded', async () => {
    const held: Socket[] = []
    const port = await service((socket) => held.push(socket))
    // The second request gets a connection, and may not be under way beside the first.
    const breaker = { max_requests: 1 }
    const fields = { circuit_breakers: { thresholds: [breaker] } }
    const { millrace, logged } = await started(port, {}, fields)
    const first = await RawClient.connect(millrace.port())
    first.send(get('/', 'Connection: close\r\n'))
    await expect.poll(() => held.length).toBe(1)
    const answer = await ask(millrace)
    expect(answer).toMatch(/^HTTP\/1\.1 503 /)
    expect(answer.toLowerCase()).toContain('x-envoy-overloaded: true')
    held[0]?.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    expect(await first.all()).toMatch(/^HTTP\/1\.1 200 /)
    expect(await logged()).toEqual(['503 UO', '200 -'])
  })
})

it('a request that no route takes: 404 NR', async () => {
  const folder = temporaryFolder()
  const file = join(folder, 'access.log')
  const config = bootstrap(
    [
      httpListener({
        routes: [route('/api', 'web')],
        manager: { access_log: [fileLog(file, '%RESPONSE_CODE% %RESPONSE_FLAGS%\n')] },
      }),
    ],
    [cluster('web', [1])],
  )
  const millrace = await Millrace.start(['-c', write(folder, 'config.json', config)])
  expect(await ask(millrace)).toMatch(/^HTTP\/1\.1 404 /)
  await millrace.stop()
  expect(readFileSync(file, 'utf8')).toBe('404 NR\n')
})
