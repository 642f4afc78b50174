// docs/http1-strictness.md, row by row, with raw sockets on both sides: the answer, its details in
// the access log, and what the origin got of it.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createProxy, type Proxy as TestedProxy } from '../../dist/index.js'
import { codeIn, table } from '../support/pages.ts'
import { bootstrap, cluster, fileLog, httpListener, route } from './support/config.ts'
import { temporaryFolder } from './support/files.ts'
import { RawClient } from './support/peers.ts'
import { cases, type Messages, requests } from './support/strict_messages.ts'
import { type Answers, inNativeTests, responses } from './support/strict_responses.ts'

const kPage = 'docs/http1-strictness.md'
const kTables = ['Lines', 'The request line', 'Host', 'Framing', 'Limits', 'Responses'] as const
const rows = kTables.flatMap((name) => table(kPage, name).rows)
const differences = table(kPage, 'case').rows

/** A row begins with the text that names its messages. */
const keyOf = (what: string, all: object): string | undefined =>
  Object.keys(all)
    .filter((key) => what === key || what.startsWith(`${key} `) || what.startsWith(`${key},`))
    .sort((a, b) => b.length - a.length)[0]

// ---- one proxy for all, and an origin that says what it is told to

const log = join(temporaryFolder(), 'access.log')
const sockets = new Set<Socket>()
let proxy: TestedProxy
let origin: Server
let received = ''
let ready: { readonly answer: string; readonly ends: boolean } | undefined

/** Whether a request has arrived whole: its head, and what that says of a body. */
function isWhole(text: string): boolean {
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const body = rest.join('\r\n\r\n')
  if (rest.length === 0) return false
  if (/^transfer-encoding: chunked/im.test(head))
    return /(?:^|\r\n)0\r\n[\s\S]*$/.test(body) && text.endsWith('\r\n\r\n')
  return body.length >= Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)
}

function serve(socket: Socket): void {
  let text = ''
  sockets.add(socket)
  socket.on('close', () => sockets.delete(socket))
  socket.on('error', () => {}) // of a connection that the proxy cuts
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
    received += chunk
    if (!isWhole(text)) return
    text = ''
    const { answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', ends = false } = ready ?? {}
    socket.write(answer, 'latin1')
    if (ends) socket.end()
  })
}

beforeAll(async () => {
  origin = createServer({ allowHalfOpen: true }, serve).listen(0, '127.0.0.1')
  await once(origin, 'listening')
  const { port } = origin.address() as AddressInfo
  const options: Record<string, object> = {
    usual: {},
    http10: { accept_http_10: true, default_host_for_http_10: 'localhost' },
    trailers: { enable_trailers: true },
    relative: { allow_absolute_url: false },
  }
  const listeners = Object.entries(options).map(([name, http_protocol_options]) =>
    httpListener({
      name,
      routes: [route('/', 'web')],
      manager: {
        http_protocol_options,
        access_log: [fileLog(log, '%RESPONSE_CODE% %RESPONSE_CODE_DETAILS%\n')],
      },
    }),
  )
  const trailers = {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http_protocol_options: { enable_trailers: true } },
      },
    },
  }
  const configuration = bootstrap(listeners, [cluster('web', [port], trailers)])
  proxy = await createProxy(configuration as never, { concurrency: 1, flushInterval: 5 })
})

afterAll(async () => {
  await proxy.close()
  for (const socket of sockets) socket.destroy()
  origin.close()
})

beforeEach(() => {
  received = ''
  ready = undefined
})

const portOf = (listener = 'usual'): number =>
  proxy.addresses.find((each) => each.listener === listener)?.port ?? 0
const logged = (): string[] => readFileSync(log, 'utf8').split('\n').slice(0, -1)

/** What a client gets, and the line in the access log that its request makes. */
async function exchange(
  sent: string,
  { to, whole }: { readonly to?: string; readonly whole?: RegExp },
): Promise<{ answer: string; closed: boolean; said: string }> {
  const before = logged().length
  const client = await RawClient.connect(portOf(to))
  client.send(sent)
  const answer = await client.until((text) => client.ended || whole?.test(text) === true)
  await expect.poll(() => logged().length, { interval: 5 }).toBeGreaterThan(before)
  const { ended: closed } = client
  client.socket.destroy()
  return { answer, closed, said: logged()[before] ?? '' }
}

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])
const kWhole = /\r\n\r\n/

/** The status that a row promises: of what is accepted, the origin's. */
const promised = (cell = ''): number => Number(/^\d{3}/.exec(cell)?.[0] ?? 200)

async function refuses(
  sent: string,
  row: readonly string[],
  { to, stays }: Messages,
): Promise<void> {
  const answerCell = row.find((cell) => /^(?:400|403|426|431|501|505)\b/.test(cell))
  const details = codeIn(row.at(-1) ?? '')
  const { answer, closed, said } = await exchange(sent, {
    ...(to && { to }),
    ...(stays && { whole: kWhole }),
  })
  const what = JSON.stringify(sent.slice(0, 300))
  expect(statusOf(answer), what).toBe(promised(answerCell))
  expect(answer.match(/^HTTP\/1\.1 /gm), what).toHaveLength(1)
  expect(closed, what).toBe(!stays)
  const [code, name = ''] = said.split(' ')
  expect(Number(code), what).toBe(promised(answerCell))
  expect(details.length > 0 ? details : [name], what).toContain(name)
  expect(isWhole(received), `${what} was forwarded`).toBe(false)
}

describe('a request', () => {
  const listed = [...rows].filter(([what = '']) => keyOf(what, requests) !== undefined)

  it.each(listed)('%s', async (...row: string[]) => {
    const messages = requests[keyOf(row[0] ?? '', requests) ?? ''] as Messages
    const { sent, seen, unseen, to, also } = messages
    for (const text of sent) {
      received = ''
      if (!seen) {
        await refuses(text, row, messages)
        continue
      }
      const { answer } = await exchange(text, { whole: kWhole, ...(to && { to }) })
      expect(statusOf(answer)).toBe(200)
      expect(received).toMatch(seen)
      if (unseen) expect(received).not.toMatch(unseen)
    }
    if (also) {
      const { answer } = await exchange(sent[0] as string, { to: also.to, whole: kWhole })
      expect(statusOf(answer)).toBe(also.status)
    }
  })
})

describe('a response', () => {
  const listed = rows.filter(([what = '']) => keyOf(what, responses) !== undefined)
  it.each(listed)('%s', async (...row: string[]) => {
    await relays(responses[keyOf(row[0] ?? '', responses) ?? ''] as Answers)
  })
})

async function relays({ sent, got, not, ends = false, stays }: Answers): Promise<void> {
  for (const text of sent) {
    ready = { answer: text, ends }
    const whole = stays ? got : undefined
    const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
    const { answer } = await exchange(request, whole ? { whole } : {})
    expect(answer, JSON.stringify(text.slice(0, 300))).toMatch(got)
    if (not) expect(answer).not.toMatch(not)
    // Whatever came behind it is nobody's.
    ready = undefined
    const next = await exchange(request, { whole: kWhole })
    expect(statusOf(next.answer)).toBe(200)
  }
}

describe('where other suites expect something else', () => {
  const requested = differences.filter(([name = '']) => name in cases)
  it.each(requested)('%s', async (name = '', _expected = '', here = '') => {
    const promise = here === 'accepted' ? 200 : promised(here)
    const { answer } = await exchange(cases[name] ?? '', { whole: kWhole })
    expect(statusOf(answer)).toBe(promise)
  })

  const answered = Object.keys(responses).filter((name) => name.startsWith('llhttp/'))
  it.each(answered)('%s', async (name) => {
    await relays(responses[name] as Answers)
  })
})

it('every row has its messages, and all messages their rows', () => {
  const known = { ...requests, ...responses, ...Object.fromEntries(inNativeTests) }
  const told = rows.map(([what = '']) => what)
  expect(told.filter((what) => keyOf(what, known) === undefined)).toEqual([])
  const page = readFileSync(kPage, 'utf8')
  const keys = Object.keys(known).filter((key) => !key.startsWith('llhttp/'))
  expect(keys.filter((key) => !told.some((what) => keyOf(what, { [key]: 1 })))).toEqual([])

  const named = differences.map(([name = '']) => name)
  const all = [...Object.keys(cases), ...Object.keys(responses)]
  expect(named.filter((name) => !all.includes(name))).toEqual([])
  const others = all.filter((key) => /^(?:llhttp|gunicorn|envoy)/.test(key))
  expect(others.filter((name) => !page.includes(name))).toEqual([])
  for (const [file, name] of inNativeTests.values())
    expect(readFileSync(file, 'utf8')).toContain(name)
})
