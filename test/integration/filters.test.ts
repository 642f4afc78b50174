// HTTP filters of a running proxy, as they are configured.

import type { ServerResponse } from 'node:http'
import { expect, it } from 'vitest'
import { bootstrap, cluster, httpListener, route, socketAddress } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { httpService, sayingService, sleep } from './support/peers.ts'

type Json = Readonly<Record<string, unknown>>

const kTypes = 'type.googleapis.com/envoy.extensions'
const kRouter = {
  name: 'router',
  typed_config: { '@type': `${kTypes}.filters.http.router.v3.Router` },
}

/** A filter before the router, by its package and its message. */
function filter(name: string, type: string, fields: Json): Json {
  return { name, typed_config: { '@type': `${kTypes}.filters.http.${type}`, ...fields } }
}

const cookieSession = (cookie: Json): Json => ({
  session_state: {
    name: 'cookie',
    typed_config: {
      '@type': `${kTypes}.http.stateful_session.cookie.v3.CookieBasedSessionState`,
      cookie,
    },
  },
})

async function started(
  filters: readonly Json[],
  ports: readonly number[],
  more: { routes?: readonly Json[]; cluster?: Json } = {},
  flags: Json = {},
): Promise<Millrace> {
  const listener = httpListener({
    routes: more.routes ?? [route('/', 'web')],
    manager: { http_filters: [...filters, kRouter] },
  })
  const config = bootstrap([listener], [cluster('web', ports, more.cluster)])
  const layered_runtime = { layers: [{ name: 'flags', static_layer: flags }] }
  const path = write(temporaryFolder(), 'config.json', { ...config, layered_runtime })
  return Millrace.start(['-c', path, '--concurrency', '2'])
}

async function say(url: string, cookie = ''): Promise<{ said: string; cookie: string | null }> {
  const response = await fetch(url, { headers: { cookie } })
  return { said: await response.text(), cookie: response.headers.get('set-cookie') }
}

it('a client with a cookie stays with its host', async () => {
  const names = ['a', 'b', 'c', 'd']
  const ports = await Promise.all(names.map((name) => sayingService(name)))
  const session = filter('sessions', 'stateful_session.v3.StatefulSession', {
    ...cookieSession({ name: 'host', ttl: '3600s', path: '/' }),
  })
  const disabled = {
    sessions: { '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig', disabled: true },
  }
  const millrace = await started([session], ports, {
    routes: [{ ...route('/free', 'web'), typed_per_filter_config: disabled }, route('/', 'web')],
  })
  const first = await say(millrace.url('/'))
  expect(first.cookie).toMatch(/^host="[\w+/=]+"; Max-Age=3600; Path=\/; HttpOnly$/)
  const cookie = first.cookie?.split(';')[0] ?? ''
  for (let i = 0; i < 12; i++) {
    expect(await say(millrace.url('/'), cookie)).toEqual({ said: first.said, cookie: null })
  }
  // Where the filter is disabled, the cookie is a cookie.
  const seen = new Set<string>()
  for (let i = 0; i < 12; i++) {
    const { said, cookie: made } = await say(millrace.url('/free'), cookie)
    expect(made).toBeNull()
    seen.add(said)
  }
  expect([...seen].sort()).toEqual(names)
})

it('a host that is drained keeps its sessions where the cluster says so', async () => {
  const ports = await Promise.all(['a', 'b'].map((name) => sayingService(name)))
  const session = filter('sessions', 'stateful_session.v3.StatefulSession', {
    ...cookieSession({ name: 'host' }),
    strict: true,
  })
  const assignment = {
    cluster_name: 'web',
    endpoints: [
      {
        lb_endpoints: ports.map((port, i) => ({
          endpoint: { address: socketAddress(port) },
          health_status: i === 0 ? 'DRAINING' : 'HEALTHY',
        })),
      },
    ],
  }
  const common = { healthy_panic_threshold: { value: 0 } }
  const of = (port: number | undefined) =>
    `host="${Buffer.from(`127.0.0.1:${port}`).toString('base64')}"`
  const kept = await started([session], ports, {
    cluster: {
      load_assignment: assignment,
      common_lb_config: {
        ...common,
        override_host_status: { statuses: ['HEALTHY', 'DRAINING'] },
      },
    },
  })
  expect((await say(kept.url('/'), of(ports[0]))).said).toBe('a')
  expect((await say(kept.url('/'), of(ports[1]))).said).toBe('b')
  expect((await say(kept.url('/'))).said).toBe('b')
  const left = await started([session], ports, {
    cluster: { load_assignment: assignment, common_lb_config: common },
  })
  expect((await say(left.url('/'), of(ports[0]))).said).toBe('no healthy upstream')
  expect((await say(left.url('/'), of(ports[1]))).said).toBe('b')
})

it('requests are turned away while an upstream fails, and as soon as a flag says so', async () => {
  const port = await httpService((_request, response) => {
    response.writeHead(500).end()
  })
  const admission = filter('admission', 'admission_control.v3.AdmissionControl', {
    enabled: { default_value: true, runtime_key: 'admission.enabled' },
    success_criteria: {},
    max_rejection_probability: { default_value: { value: 100 }, runtime_key: 'admission.most' },
  })
  const millrace = await started([admission], [port])
  const counted = { rejected: 0, failed: 0 }
  for (let i = 0; i < 200; i++) {
    const { status } = await fetch(millrace.url('/'))
    if (status === 503) counted.rejected++
    else if (status === 500) counted.failed++
  }
  expect(counted.rejected).toBeGreaterThan(20)
  expect(counted.rejected + counted.failed).toBe(200)
  const stat = (name: string) => millrace.stat(`http.main.admission_control.${name}`)
  expect(await stat('rq_rejected')).toBe(counted.rejected)
  expect(await stat('rq_failure')).toBe(counted.failed)
  expect(await stat('rq_success')).toBe(0)
  const off = await started([admission], [port], {}, { 'admission.enabled': false })
  for (let i = 0; i < 50; i++) expect((await fetch(off.url('/'))).status).toBe(500)
})

it('no more requests are under way than the limit allows, on all workers together', async () => {
  const held: ServerResponse[] = []
  const port = await httpService((request, response) => {
    if (request.url === '/held') held.push(response)
    else response.end('free')
  })
  const adaptive = filter('adaptive', 'adaptive_concurrency.v3.AdaptiveConcurrency', {
    gradient_controller_config: {
      concurrency_limit_params: { concurrency_update_interval: '0.1s' },
      min_rtt_calc_params: { interval: '3600s', request_count: 1000 },
    },
  })
  const millrace = await started([adaptive], [port])
  const answers = Array.from({ length: 12 }, () => fetch(millrace.url('/held')))
  const blocked: number[] = []
  for (const answer of answers) {
    answer.then(({ status }) => status === 503 && blocked.push(status)).catch(() => {})
  }
  // Of twelve at once, the least limit lets three through.
  await until(() => held.length === 3 && blocked.length === 9)
  for (const response of held) response.end('at last')
  const statuses = await Promise.all(answers.map(async (answer) => (await answer).status))
  expect(statuses.filter((status) => status === 200)).toHaveLength(3)
  const name = 'http.main.adaptive_concurrency.gradient_controller'
  expect(await millrace.stat(`${name}.rq_blocked`)).toBe(9)
  expect(await millrace.stat(`${name}.concurrency_limit`)).toBe(3)
  expect((await fetch(millrace.url('/'))).status).toBe(200)
})

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !done(); i++) await sleep(10)
  expect(done()).toBe(true)
}
