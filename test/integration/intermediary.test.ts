// What RFC 9110 and 9112 ask of whoever stands between a client and a service.

import { describe, expect, it } from 'vitest'
import { bootstrap, cluster, httpListener, route } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { closedPort, get, onRequests, RawClient, rawService } from './support/peers.ts'

/** Answers each request when its head is there, whatever of its body is. */
const hasty = (heads: string[] = []): Promise<number> =>
  rawService((socket) => {
    onRequests(socket, (head) => {
      heads.push(head)
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nserved')
    })
  })

async function started(origin: number): Promise<Millrace> {
  const direct = (path: string, status: number, text?: string): object => ({
    match: { path },
    direct_response: { status, ...(text && { body: { inline_string: text } }) },
  })
  const routes = [
    direct('/text', 403, 'not for you'),
    direct('/empty', 204),
    { match: { path: '/redirect' }, redirect: { path_redirect: '/text' } },
    route('/dead', 'dead'),
    route('/served', 'web'),
  ]
  const config = bootstrap(
    [httpListener({ routes: routes as never })],
    [cluster('web', [origin]), cluster('dead', [await closedPort()])],
  )
  const path = write(temporaryFolder(), 'config.json', config)
  return Millrace.start(['-c', path, '--concurrency', '1'])
}

/** The head of the first response, when all of that is there. */
function firstHead(text: string): string | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = text.slice(0, end)
  const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0)
  return text.length >= end + 4 + length ? head : undefined
}

describe('a connection (RFC 9112 §9.3, §9.6)', () => {
  const kPaths = ['/text', '/empty', '/redirect', '/nowhere', '/dead', '/served']
  const kBodies = [
    ['of a length', 'Content-Length: 5', 'hello'],
    ['in chunks', 'Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'],
  ] as const
  const kSent = ['with the head', 'in part', 'after the answer'] as const
  const cases = kPaths.flatMap((path) =>
    kBodies.flatMap(([framed, field, body]) =>
      kSent.map((sent) => ({ path, framed, field, body, sent })),
    ),
  )

  it.each(cases)('ends as $path said, with a body $framed that comes $sent', async (c) => {
    const millrace = await started(await hasty())
    const client = await RawClient.connect(millrace.port())
    const first = { 'with the head': c.body.length, 'in part': 4, 'after the answer': 0 }[c.sent]
    client.send(`POST ${c.path} HTTP/1.1\r\nHost: h\r\n${c.field}\r\n\r\n${c.body.slice(0, first)}`)
    const head = firstHead(await client.until((text) => firstHead(text) !== undefined)) ?? ''
    expect(head).toMatch(/^HTTP\/1\.1 (200|204|301|403|404|503) /)
    const close = /^connection: close$/im.test(head)
    const before = client.text.length
    client.send(c.body.slice(first))
    if (close) {
      const all = await client.all()
      expect(all.length).toBe(before)
      expect(client.ended).toBe(true)
    } else {
      client.send(get('/served?next'))
      await client.until((text) => text.length > before && text.endsWith('served'))
      expect(client.text.slice(before)).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    }
  })
})

describe('Max-Forwards (RFC 9110 §7.6.2)', () => {
  it.each([
    ['OPTIONS', '3', '200', '2'],
    ['OPTIONS', '1', '200', '0'],
    ['OPTIONS', '0', '200', undefined],
    ['OPTIONS', '000', '200', undefined],
    ['TRACE', '10', '200', '9'],
    ['TRACE', '0', '501', undefined],
    ['TRACE', '99999999999999999999999', '200', '18446744073709551614'],
    ['TRACE', '-1', '400', undefined],
    ['OPTIONS', '1, 2', '400', undefined],
    ['OPTIONS', '', '400', undefined],
    ['GET', '0', '200', '0'],
    ['DELETE', 'x', '200', 'x'],
  ])('of %s: %s is answered %s, and passed on as %s', async (method, value, status, passed) => {
    const heads: string[] = []
    const millrace = await started(await hasty(heads))
    const client = await RawClient.connect(millrace.port())
    client.send(`${method} /served HTTP/1.1\r\nHost: h\r\nMax-Forwards: ${value}\r\n\r\n`)
    await client.until((text) => firstHead(text) !== undefined)
    expect(client.text.slice(9, 12)).toBe(status)
    expect(/^max-forwards: (.*)\r$/im.exec(heads.join(''))?.[1]).toBe(passed)
    // Whoever answered: the next request of the connection is served.
    const before = client.text.length
    client.send(get('/served?next'))
    await client.until((text) => text.length > before && text.endsWith('served'))
  })
})
