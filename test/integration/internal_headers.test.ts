// docs/internal-headers.md, cell by cell: what becomes of what a request claims, by who sends it.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fileLog, simple } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace, root } from './support/millrace.ts'
import { httpService, RawClient } from './support/peers.ts'

type Json = Readonly<Record<string, unknown>>

const kInternal = {
  internal_address_config: {
    unix_sockets: false,
    cidr_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }],
  },
}
/** The columns of the table: how the proxy is set up, and what the request has besides. */
const kSenders: readonly (readonly [string, Json, string])[] = [
  ['edge', { use_remote_address: true, ...kInternal }, ''],
  [
    'trusted hops',
    { use_remote_address: true, xff_num_trusted_hops: 1, ...kInternal },
    'x-forwarded-for: 203.0.113.9\r\n',
  ],
  ['behind', { use_remote_address: false, ...kInternal }, 'x-forwarded-for: 203.0.113.9\r\n'],
  ['internal', { use_remote_address: false, ...kInternal }, 'x-forwarded-for: 10.0.0.9\r\n'],
]

function table(): [header: string, cells: string[]][] {
  const text = readFileSync(join(root, 'docs/internal-headers.md'), 'utf8')
  return [...text.matchAll(/^\| `([a-z-]+)` \|(.*)\|$/gm)].map(([, header, cells]) => [
    header as string,
    (cells as string).split('|').map((cell) => cell.trim()),
  ])
}

/** Values that are not what the proxy would say, and that do no harm where they are obeyed. */
const kForged: Readonly<Record<string, string>> = {
  'x-forwarded-proto': 'HTTP',
  'x-envoy-internal': 'forged',
  'x-envoy-upstream-rq-timeout-ms': '60001',
  'x-envoy-upstream-rq-per-try-timeout-ms': '60002',
  'x-envoy-max-retries': '1',
  'x-envoy-retriable-status-codes': '599',
  'x-envoy-hedge-on-per-try-timeout': 'false',
}

function outcome(value: string | string[] | undefined, forged: string): string {
  if (value === undefined) return 'removed'
  if (value === forged) return 'kept'
  return String(value).startsWith(`${forged},`) ? 'appended' : 'replaced'
}

describe.each(kSenders)('a request, %s', (sender, manager, more) => {
  it('keeps of its claims what the documents say', async () => {
    const rows = table()
    expect(rows.length).toBeGreaterThan(25)
    const column = kSenders.findIndex(([name]) => name === sender)
    const port = await httpService((incoming, response) => {
      response.end(JSON.stringify(incoming.headers))
    })
    const folder = temporaryFolder()
    const config = simple([port], { manager })
    const millrace = await Millrace.start(['-c', write(folder, 'config.json', config)])
    for (const [header, cells] of rows) {
      expect(cells.length, header).toBe(kSenders.length)
      const isXff = header === 'x-forwarded-for'
      const forged = isXff && more ? more.trim().split(': ')[1] : (kForged[header] ?? '192.0.2.77')
      const client = await RawClient.connect(Number(new URL(millrace.url()).port))
      const fields = isXff ? `${header}: ${forged}\r\n` : `${header}: ${forged}\r\n${more}`
      client.send(`GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n`)
      const answer = await client.all()
      const seen = JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1))
      const cell = cells[column] === 'used' ? 'removed' : cells[column]
      expect([header, outcome(seen[header], forged as string)]).toEqual([header, cell])
    }
  })

  it('is logged by what is believed of it, also when it is refused', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'access.log')
    const format = '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %RESPONSE_CODE%\n'
    const port = await httpService((_incoming, response) => response.end('ok'))
    const config = simple([port], {
      manager: {
        ...manager,
        normalize_path: true,
        common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' },
        access_log: [fileLog(path, format)],
      },
    })
    const millrace = await Millrace.start(['-c', write(folder, 'config.json', config)])
    const asks = [
      ['GET /secret HTTP/1.1', '', '/secret', 200],
      ['GET /secret HTTP/1.1', 'a_b: c\r\n', '/secret', 400],
      ['GET /secret%00 HTTP/1.1', '', '/secret%00', 400],
      ['GET /secret HTTP/1.1', 'Upgrade: x\r\nConnection: upgrade\r\n', '/secret', 403],
      ['GET https://a/secret HTTP/1.1', '', '/secret', 400],
    ] as const
    for (const [line, fields, , status] of asks) {
      const client = await RawClient.connect(Number(new URL(millrace.url()).port))
      const forged = `x-envoy-original-path: /harmless\r\n${more}${fields}`
      const end = fields.includes('Connection') ? '' : 'Connection: close\r\n'
      client.send(`${line}\r\nHost: a\r\n${forged}${end}\r\n`)
      expect(await client.all()).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    }
    await millrace.stop()
    const believed = sender === 'internal'
    expect(readFileSync(path, 'utf8').trim().split('\n')).toEqual(
      asks.map(([, , asked, status]) => `${believed ? '/harmless' : asked} ${status}`),
    )
  })
})
