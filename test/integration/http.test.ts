// HTTP/1.1 through the proxy, with node:http as client and service.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { describe, expect, it } from 'vitest'
import { bootstrap, cluster, httpListener, route, simple } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { get, httpService, RawClient, rawService, sayingService } from './support/peers.ts'

async function started(config: object): Promise<Millrace> {
  return Millrace.start(['-c', write(temporaryFolder(), 'config.json', config)])
}

/** A service that says what reached it. */
const echo = (): Promise<number> =>
  httpService((incoming, response) => {
    const hash = createHash('sha256')
    let bytes = 0
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      hash.update(chunk)
    })
    incoming.on('end', () => {
      const { method, url, headers } = incoming
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ method, url, headers, bytes, sha256: hash.digest('hex') }))
    })
  })

interface Echo {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly bytes: number
  readonly sha256: string
}

describe('a request', () => {
  it('reaches the service with its headers, and with those that the proxy adds', async () => {
    const millrace = await started(simple([await echo()]))
    const response = await fetch(millrace.url('/a/b?c=d'), { headers: { 'x-mine': 'yes' } })
    const seen = (await response.json()) as Echo
    expect(seen).toMatchObject({ method: 'GET', url: '/a/b?c=d' })
    expect(seen.headers).toMatchObject({
      'x-mine': 'yes',
      'x-forwarded-proto': 'http',
      'x-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
      host: millrace.address(),
    })
    expect(response.headers.get('server')).toBe('envoy')
    expect(response.headers.get('x-envoy-upstream-service-time')).toMatch(/^\d+$/)
    expect(Date.parse(response.headers.get('date') ?? '')).toBeGreaterThan(Date.now() - 5_000)
  })

  it.each([
    ['with a length', 3_000_000, false],
    ['in chunks', 3_000_000, true],
    ['empty', 0, false],
  ])('body %s arrives whole', async (_what, size, chunked) => {
    const millrace = await started(simple([await echo()]))
    const body = Buffer.alloc(size, 'abcdefg')
    const seen = await new Promise<Echo>((resolve, reject) => {
      const headers = chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': size }
      const outgoing = request(millrace.url(), { method: 'POST', headers }, (response) => {
        let text = ''
        response.on('data', (chunk) => {
          text += chunk
        })
        response.on('end', () => {
          if (response.statusCode === 200) resolve(JSON.parse(text) as Echo)
          else reject(new Error(`status ${response.statusCode}: ${text}`))
        })
      })
      outgoing.on('error', reject)
      for (let at = 0; at < size; at += 100_000) outgoing.write(body.subarray(at, at + 100_000))
      outgoing.end()
    })
    expect(seen.bytes).toBe(size)
    expect(seen.sha256).toBe(createHash('sha256').update(body).digest('hex'))
  })

  it('with Expect: 100-continue is told to go on', async () => {
    const millrace = await started(simple([await echo()]))
    const client = await RawClient.connect(millrace.port())
    client.send('POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n')
    await client.until((text) => text.startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
    client.send('ok')
    await client.until((text) => text.includes('"bytes":2'))
  })

  it('after request on one connection, pipelined, is answered in order', async () => {
    const millrace = await started(simple([await echo()]))
    const client = await RawClient.connect(millrace.port())
    client.send(get('/1') + get('/2') + get('/3', 'Connection: close\r\n'))
    const urls = [...(await client.all()).matchAll(/"url":"([^"]+)"/g)].map(([, url]) => url)
    expect(urls).toEqual(['/1', '/2', '/3'])
  })

  it('shares upstream connections', async () => {
    let connections = 0
    const port = await rawService((socket) => {
      connections++
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx'))
    })
    const path = write(temporaryFolder(), 'config.json', simple([port]))
    const millrace = await Millrace.start(['-c', path, '--concurrency', '1'])
    for (let i = 0; i < 20; i++) await (await fetch(millrace.url())).text()
    expect(connections).toBe(1)
  })
})

/** Up to which Linux lets the buffer of a TCP socket grow, in bytes. */
function largestBuffer(which: 'rmem' | 'wmem'): number {
  const [, , most] = readFileSync(`/proc/sys/net/ipv4/tcp_${which}`, 'utf8').trim().split(/\s+/)
  return Number(most)
}

describe('a response', () => {
  it('of 16 MiB arrives whole, with a length and in chunks', async () => {
    const size = 16 * 1024 * 1024
    const port = await httpService((incoming, response) => {
      if (incoming.url === '/length') response.setHeader('content-length', size)
      for (let at = 0; at < size; at += 65_536) response.write(Buffer.alloc(65_536, at / 65_536))
      response.end()
    })
    const millrace = await started(simple([port]))
    const bodies = await Promise.all(
      ['/length', '/chunks'].map(async (path) => (await fetch(millrace.url(path))).arrayBuffer()),
    )
    const digests = bodies.map((body) => {
      expect(body.byteLength).toBe(size)
      return createHash('sha256').update(new Uint8Array(body)).digest('hex')
    })
    expect(digests[0]).toBe(digests[1])
  })

  it('to HEAD, 204 and 304 has no body, and the connection goes on', async () => {
    const port = await httpService((incoming, response) => {
      response.statusCode = Number(incoming.url?.slice(1))
      response.end(incoming.method === 'HEAD' || response.statusCode > 200 ? undefined : 'body')
    })
    const millrace = await started(simple([port]))
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ask = (method: string, path: string): Promise<[number, string]> =>
      new Promise((resolve, reject) => {
        const outgoing = request(millrace.url(path), { method, agent }, (response) => {
          let text = ''
          response.on('data', (chunk) => {
            text += chunk
          })
          response.on('end', () => resolve([response.statusCode ?? 0, text]))
        })
        outgoing.on('error', reject)
        outgoing.end()
      })
    expect(await ask('HEAD', '/200')).toEqual([200, ''])
    expect(await ask('GET', '/204')).toEqual([204, ''])
    expect(await ask('GET', '/304')).toEqual([304, ''])
    expect(await ask('GET', '/200')).toEqual([200, 'body'])
    agent.destroy()
  })

  it('does not wait in memory for a client that does not read', async () => {
    let sent = 0
    const port = await httpService((_incoming, response) => {
      const more = (): void => {
        do sent += 65_536
        while (response.write(Buffer.alloc(65_536)))
      }
      response.on('drain', more)
      more()
    })
    const millrace = await started(simple([port]))
    const client = await RawClient.connect(millrace.port())
    client.socket.pause()
    client.send(get('/'))
    await expect.poll(() => sent).toBeGreaterThan(0)
    let before = -1
    await expect
      .poll(
        () => {
          const still = sent === before
          before = sent
          return still
        },
        { interval: 300 },
      )
      .toBe(true)
    // What is under way: the socket buffers of both connections, at their largest, and one stream's
    // buffer (1 MiB) with what the service was about to write.
    const sockets = 2 * (largestBuffer('rmem') + largestBuffer('wmem'))
    expect(sent).toBeLessThan(sockets + 2 * 1024 * 1024)
    client.socket.destroy()
  })
})

describe('routes', () => {
  it('lead by prefix, path, host and header; redirect; answer by themselves', async () => {
    const [a, b] = await Promise.all([sayingService('a'), sayingService('b')])
    const exactHeader = { name: 'x-to', string_match: { exact: 'b' } }
    const routes = [
      {
        match: { path: '/exact' },
        direct_response: { status: 418, body: { inline_string: 'tea' } },
      },
      { match: { prefix: '/old' }, redirect: { prefix_rewrite: '/new' } },
      { match: { prefix: '/', headers: [exactHeader] }, route: { cluster: 'b' } },
      route('/b/', 'b'),
      route('/', 'a'),
    ]
    const millrace = await started(
      bootstrap([httpListener({ routes })], [cluster('a', [a]), cluster('b', [b])]),
    )
    const text = async (path: string, headers = {}): Promise<string> =>
      (await fetch(millrace.url(path), { headers })).text()
    expect(await text('/')).toBe('a')
    expect(await text('/b/c')).toBe('b')
    expect(await text('/', { 'x-to': 'b' })).toBe('b')
    const tea = await fetch(millrace.url('/exact'))
    expect([tea.status, await tea.text()]).toEqual([418, 'tea'])
    const redirect = await fetch(millrace.url('/old/x?y=1'), { redirect: 'manual' })
    expect(redirect.status).toBe(301)
    expect(redirect.headers.get('location')).toBe(millrace.url('/new/x?y=1'))
  })

  it('share a cluster’s hosts evenly', async () => {
    const ports = await Promise.all([sayingService('a'), sayingService('b'), sayingService('c')])
    const path = write(temporaryFolder(), 'config.json', simple(ports))
    const millrace = await Millrace.start(['-c', path, '--concurrency', '1'])
    const answers: string[] = []
    for (let i = 0; i < 9; i++) answers.push(await (await fetch(millrace.url())).text())
    expect(answers.sort().join('')).toBe('aaabbbccc')
  })
})

describe('what may not be for us', () => {
  const answers = async (
    text: string,
    manager: Readonly<Record<string, unknown>> = {},
  ): Promise<string> => {
    const millrace = await started(simple([await echo()], { manager }))
    const client = await RawClient.connect(Number(new URL(millrace.url()).port))
    client.send(text)
    return client.all()
  }

  it.each([
    ['CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n'],
    ['an upgrade', get('/ws', 'Connection: Upgrade\r\nUpgrade: websocket\r\n')],
    ['one of several', get('/', 'Connection: x, upgrade\r\nUpgrade: h2c\r\nUpgrade: tls/1.2\r\n')],
  ])('%s is refused, and what follows it is not read', async (_what, request) => {
    const answer = await answers(request + get('/smuggled'))
    expect(answer).toMatch(/^HTTP\/1\.1 403 /)
    expect(answer).toContain('connection: close\r\n')
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1)
  })

  it('an offer of h2c is passed over', async () => {
    const h2c =
      'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n'
    const answer = await answers(get('/a', h2c) + get('/b', 'Connection: close\r\n'))
    expect(answer.match(/HTTP\/1\.1 200/g)).toHaveLength(2)
    expect(answer).not.toContain('h2c')
  })

  it('a request about the server as a whole is routed as /, and goes on as *', async () => {
    const options = 'OPTIONS http://b HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n'
    expect(await answers(options)).toContain('"url":"*"')
  })

  it.each([
    ['/%2fevil.example/x', '/.//evil.example/x'],
    ['/%5cevil.example', '/./\\evil.example'],
    ['/a%2fb', '/a/b'],
  ])('a redirect of %s stays here', async (path, location) => {
    const answer = await answers(get(path, 'Connection: close\r\n'), {
      path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT',
    })
    expect(answer).toMatch(/^HTTP\/1\.1 307 /)
    const said = /^location: (.*)\r$/m.exec(answer)?.[1] as string
    expect(said).toBe(location)
    // As a browser reads it.
    expect(new URL(said, 'http://here.example/').host).toBe('here.example')
  })

  it.each([
    ['REJECT_REQUEST', 400, undefined],
    ['DROP_HEADER', 200, '1'],
  ] as const)('underscores in trailers: %s', async (action, status, kept) => {
    let trailers: Record<string, string | undefined> = {}
    const port = await httpService((incoming, response) => {
      incoming.resume()
      incoming.on('end', () => {
        trailers = incoming.trailers
        response.end()
      })
    })
    const http_protocol_options = { enable_trailers: true }
    const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
    const upstream = {
      '@type': `type.googleapis.com/${options}`,
      explicit_http_config: { http_protocol_options },
    }
    const manager = {
      http_protocol_options,
      common_http_protocol_options: { headers_with_underscores_action: action },
    }
    const config = bootstrap(
      [httpListener({ routes: [route('/', 'web')], manager })],
      [cluster('web', [port], { typed_extension_protocol_options: { [options]: upstream } })],
    )
    const millrace = await started(config)
    const client = await RawClient.connect(Number(new URL(millrace.url()).port))
    const head =
      'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n'
    client.send(`${head}1\r\nx\r\n0\r\na_b: 2\r\nx-ok: 1\r\ncookie: c\r\n\r\n`)
    expect(await client.all()).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(trailers['x-ok']).toBe(kept)
    expect(trailers['a_b'] ?? trailers['cookie']).toBeUndefined()
  })
})
