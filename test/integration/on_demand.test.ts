// Clusters whose hosts are added as requests name them, with requests that name them: by a header.
// Connections that were redirected are in original_dst.test.ts.

import { describe, expect, it } from 'vitest'
import { createProxy } from '../../src/index.ts'
import { bootstrap, fileLog, httpListener, route } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { httpService, RawClient, sayingService } from './support/peers.ts'

type Json = Readonly<Record<string, unknown>>

const kHeader = 'x-envoy-original-dst-host'

const anywhere = (fields: Json = {}, options: Json = {}): Json => ({
  name: 'any',
  type: 'ORIGINAL_DST',
  lb_policy: 'CLUSTER_PROVIDED',
  original_dst_lb_config: { use_http_header: true, ...options },
  ...fields,
})

async function started(cluster: Json, manager: Json = {}): Promise<Millrace> {
  const listener = httpListener({ routes: [route('/', 'any')], manager })
  const config = bootstrap([listener], [cluster])
  return Millrace.start(['-c', write(temporaryFolder(), 'config.json', config)])
}

async function ask(url: string, to: string, header = kHeader): Promise<string> {
  const response = await fetch(url, { headers: { [header]: to } })
  return `${response.status} ${await response.text()}`
}

/** Addresses of a cluster's hosts, as /clusters lists them. */
async function hosts(millrace: Millrace): Promise<string[]> {
  const text = await (await fetch(millrace.admin('/clusters'))).text()
  return [...text.matchAll(/^any::(.+)::cx_active::/gm)].map(([, at]) => at as string).sort()
}

describe('an original destination in a header', () => {
  it('is where the request goes', async () => {
    const [a, b] = [await sayingService('a'), await sayingService('b')]
    const millrace = await started(anywhere())
    expect(await ask(millrace.url(), `127.0.0.1:${a}`)).toBe('200 a')
    expect(await ask(millrace.url(), `127.0.0.1:${b}`)).toBe('200 b')
    expect(await hosts(millrace)).toEqual([`127.0.0.1:${a}`, `127.0.0.1:${b}`].sort())
    expect(await millrace.stat('cluster.any.membership_total')).toBe(2)
  })

  it('has another name, and another port', async () => {
    const port = await sayingService('yes')
    const millrace = await started(
      anywhere({}, { http_header_name: 'X-To', upstream_port_override: port }),
    )
    expect(await ask(millrace.url(), '127.0.0.1:1', 'x-to')).toBe('200 yes')
    expect(await ask(millrace.url(), '127.0.0.1:2', 'x-to')).toBe('200 yes')
    expect(await hosts(millrace)).toEqual([`127.0.0.1:${port}`])
  })

  it('that is no address is counted, and there is no host', async () => {
    const millrace = await started(anywhere())
    for (const wrong of ['localhost:80', '127.0.0.1', '127.0.0.1:99999', 'x', '[::1']) {
      expect(await ask(millrace.url(), wrong)).toBe('503 no healthy upstream')
    }
    expect((await fetch(millrace.url())).status).toBe(503)
    expect(await millrace.stat('cluster.any.original_dst_host_invalid')).toBe(5)
    expect(await millrace.stat('cluster.any.upstream_cx_none_healthy')).toBe(6)
    expect(await hosts(millrace)).toEqual([])
  })

  it('goes when nobody uses it, and not before', async () => {
    let finish = (): void => {}
    const slow = await httpService((request, response) => {
      request.resume()
      response.write('begun ')
      finish = () => response.end('ended')
    })
    const quick = await httpService((request, response) => {
      request.resume()
      response.setHeader('connection', 'close').end('quick')
    })
    const millrace = await started(anywhere({ cleanup_interval: '0.05s' }))
    const client = await RawClient.connect(millrace.port())
    client.send(`GET / HTTP/1.1\r\nHost: a\r\n${kHeader}: 127.0.0.1:${slow}\r\n\r\n`)
    await client.until((text) => text.includes('begun'))
    expect(await ask(millrace.url(), `127.0.0.1:${quick}`)).toBe('200 quick')
    await expect.poll(() => hosts(millrace)).toEqual([`127.0.0.1:${slow}`])
    finish()
    await client.until((text) => text.includes('ended'))
    // It comes back when it is named again.
    expect(await ask(millrace.url(), `127.0.0.1:${quick}`)).toBe('200 quick')
  })

  it('that is the proxy itself ends at the breakers, and harms nobody else', async () => {
    const other = await sayingService('other')
    const log = `${temporaryFolder()}/access.log`
    const breakers = { thresholds: [{ max_requests: 20 }] }
    const millrace = await started(anywhere({ circuit_breakers: breakers }), {
      access_log: [fileLog(log)],
    })
    const self = `127.0.0.1:${millrace.port()}`
    expect(await ask(millrace.url(), self)).toMatch(/^503 .*overflow/)
    expect(await ask(millrace.url(), `127.0.0.1:${other}`)).toBe('200 other')
    expect(await millrace.stat('cluster.any.upstream_cx_total')).toBeLessThan(60)
  })
})

describe('a program', () => {
  it('sees the endpoints, and cannot set them', async () => {
    const port = await sayingService('a')
    const listener = httpListener({ routes: [route('/', 'any')] })
    const proxy = await createProxy(bootstrap([listener], [anywhere()]) as never)
    try {
      const [address] = proxy.addresses
      expect(await ask(`http://${address?.text}/`, `127.0.0.1:${port}`)).toBe('200 a')
      const cluster = proxy.cluster('any')
      expect(cluster.endpoints.map((one) => one.address)).toEqual([`127.0.0.1:${port}`])
      await expect(cluster.setEndpoints([])).rejects.toMatchObject({
        code: 'ERR_MILLRACE_ARGUMENT',
      })
    } finally {
      await proxy.close()
    }
  })
})
