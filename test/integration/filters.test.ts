// HTTP filters of a running proxy, as they are configured.

import { expect, it } from 'vitest'
import { bootstrap, cluster, httpListener, route, socketAddress } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { sayingService } from './support/peers.ts'

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
): Promise<Millrace> {
  const listener = httpListener({
    routes: more.routes ?? [route('/', 'web')],
    manager: { http_filters: [...filters, kRouter] },
  })
  const config = bootstrap([listener], [cluster('web', ports, more.cluster)])
  const path = write(temporaryFolder(), 'config.json', config)
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
