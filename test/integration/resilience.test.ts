// Retries, mirrors and internal redirects of a running proxy, as they are configured.

import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { bootstrap, cluster, fileLog, httpListener } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { closedPort, httpService, sayingService } from './support/peers.ts'

const kTypes = 'type.googleapis.com/envoy.extensions'
const extension = (type: string, fields: object = {}): object => ({
  name: type,
  typed_config: { '@type': `${kTypes}.${type}`, ...fields },
})

interface Seen {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A service that keeps what it got; `answer` gives status and headers for each request. */
async function recording(
  answer: (seen: Seen) => readonly [number, Record<string, string>?] = () => [200],
): Promise<{ port: number; seen: Seen[] }> {
  const seen: Seen[] = []
  const port = await httpService((incoming, response) => {
    let body = ''
    incoming.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    incoming.on('end', () => {
      const got = { url: incoming.url ?? '', headers: incoming.headers, body }
      seen.push(got)
      const [status, headers = {}] = answer(got)
      response.writeHead(status, headers).end(`status ${status}`)
    })
  })
  return { port, seen }
}

async function started(
  action: object,
  ports: readonly number[],
  { host = {}, others = [] }: { host?: object; others?: Parameters<typeof bootstrap>[1] } = {},
): Promise<{ millrace: Millrace; url: string; log: () => Promise<string[]> }> {
  const folder = temporaryFolder()
  const file = join(folder, 'access.log')
  const format = '%RESPONSE_CODE% %UPSTREAM_REQUEST_ATTEMPT_COUNT% %RESPONSE_CODE_DETAILS%\n'
  const routes = [{ name: 'first', match: { prefix: '/' }, route: { cluster: 'web', ...action } }]
  const virtualHost = { name: 'all', domains: ['*'], routes, ...host }
  const listener = httpListener({
    routes: [],
    manager: {
      route_config: { name: 'routes', virtual_hosts: [virtualHost] },
      access_log: [fileLog(file, format)],
    },
  })
  const clusters = [cluster('web', ports), ...others]
  const path = write(folder, 'config.json', bootstrap([listener], clusters))
  const millrace = await Millrace.start(['-c', path, '--concurrency', '1'])
  const log = async (): Promise<string[]> => {
    await millrace.stop()
    return readFileSync(file, 'utf8').trimEnd().split('\n')
  }
  return { millrace, url: `http://127.0.0.1:${millrace.port()}`, log }
}

it('a retry goes to a host that was not tried, and the log says how many attempts there were', async () => {
  const dead = await Promise.all([closedPort(), closedPort(), closedPort()])
  const good = await recording()
  const retry = {
    retry_on: 'connect-failure',
    num_retries: 3,
    retry_back_off: { base_interval: '0.001s' },
    retry_host_predicate: [
      extension('retry.host.previous_hosts.v3.PreviousHostsPredicate'),
      extension('retry.host.omit_host_metadata.v3.OmitHostMetadataConfig', {
        metadata_match: { filter_metadata: { 'envoy.lb': { stage: 'test' } } },
      }),
    ],
    host_selection_retry_max_attempts: 20,
  }
  const host = { include_attempt_count_in_response: true, include_request_attempt_count: true }
  const { url, log } = await started({ retry_policy: retry }, [...dead, good.port], { host })
  const counts: number[] = []
  for (let i = 0; i < 8; i++) {
    const response = await fetch(url)
    expect(response.status).toBe(200)
    counts.push(Number(response.headers.get('x-envoy-attempt-count')))
    expect(good.seen.at(-1)?.headers['x-envoy-attempt-count']).toBe(String(counts.at(-1)))
    await response.arrayBuffer()
  }
  // Four hosts, of which three are dead: never more than four attempts, and sometimes one is enough.
  expect(Math.max(...counts)).toBeLessThanOrEqual(4)
  expect(Math.max(...counts)).toBeGreaterThan(1)
  expect(await log()).toEqual(counts.map((count) => `200 ${count} via_upstream`))
})

it('a retry leaves a priority that was tried', async () => {
  const dead = await closedPort()
  const good = await sayingService('good')
  const at = (port: number, priority: number): object => ({
    priority,
    lb_endpoints: [
      { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } },
    ],
  })
  const two = {
    load_assignment: { cluster_name: 'two', endpoints: [at(dead, 0), at(good, 1)] },
  }
  const priorities = 'retry.priority.previous_priorities.v3.PreviousPrioritiesConfig'
  const retry = {
    retry_on: 'connect-failure',
    retry_priority: extension(priorities, { update_frequency: 1 }),
  }
  const action = { cluster: 'two', retry_policy: retry }
  const { url } = await started(action, [dead], { others: [cluster('two', [dead], two)] })
  for (let i = 0; i < 5; i++) expect(await (await fetch(url)).text()).toBe('good')
})

it('a mirror gets a copy, with a name of its own', async () => {
  const real = await recording()
  const shadow = await recording(() => [500])
  const mirrors = [
    {
      cluster: 'shadow',
      runtime_fraction: { default_value: { numerator: 100 }, runtime_key: 'mirrored' },
    },
    { cluster_header: 'X-Also', disable_shadow_host_suffix_append: true },
  ]
  const { url } = await started({}, [real.port], {
    host: { request_mirror_policies: mirrors },
    others: [cluster('shadow', [shadow.port])],
  })
  const headers = { 'x-also': 'shadow' }
  const response = await fetch(`${url}/path?q`, { method: 'POST', body: 'the body', headers })
  expect(await response.text()).toBe('status 200')
  await expect.poll(() => shadow.seen.length).toBe(2)
  const host = url.slice('http://'.length)
  const hosts = shadow.seen.map((seen) => seen.headers.host).sort()
  expect(hosts).toEqual([host, host.replace(':', '-shadow:')].sort())
  for (const seen of [...shadow.seen, ...real.seen]) {
    expect(seen).toMatchObject({ url: '/path?q', body: 'the body' })
  }
})

it('a redirect of an upstream is followed, and each request has a line in the log', async () => {
  const web = await recording(({ url }) =>
    url === '/old' ? [307, { location: 'http://other.example/new', 'x-token': 'abc' }] : [200],
  )
  const policy = {
    redirect_response_codes: [302, 307],
    response_headers_to_copy: ['x-token'],
    predicates: [
      extension('internal_redirect.previous_routes.v3.PreviousRoutesConfig'),
      extension('internal_redirect.allow_listed_routes.v3.AllowListedRoutesConfig', {
        allowed_route_names: ['first'],
      }),
      extension('internal_redirect.safe_cross_scheme.v3.SafeCrossSchemeConfig'),
    ],
  }
  const { url, log } = await started({ internal_redirect_policy: policy }, [web.port])
  const response = await fetch(`${url}/old`, { method: 'POST', body: 'the body' })
  expect(response.status).toBe(200)
  expect(web.seen[1]).toMatchObject({ url: '/new', body: 'the body' })
  expect(web.seen[1]?.headers).toMatchObject({
    host: 'other.example',
    'x-token': 'abc',
    'x-envoy-original-url': `${url}/old`,
  })
  expect(await log()).toEqual(['307 1 internal_redirect', '200 1 via_upstream'])
})

it('a stream lasts no longer than its route allows', async () => {
  const port = await httpService(() => {})
  const limits = { max_stream_duration: '0.1s', grpc_timeout_header_max: '1s' }
  const { url, log } = await started({ max_stream_duration: limits }, [port])
  expect((await fetch(url)).status).toBe(504)
  expect(await log()).toEqual(['504 1 max_duration_timeout'])
})
