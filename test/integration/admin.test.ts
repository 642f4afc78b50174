// The admin interface of a running proxy: each endpoint, with numbers that real requests made.

import { existsSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { simple } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { sayingService } from './support/peers.ts'

let millrace: Millrace
let port: number

beforeEach(async () => {
  port = await sayingService('x')
  const path = write(temporaryFolder(), 'config.json', simple([port]))
  millrace = await Millrace.start(['-c', path, '--concurrency', '2'])
})

async function read(path: string): Promise<string> {
  const response = await fetch(millrace.admin(path))
  expect(response.status).toBe(200)
  return response.text()
}
const post = (path: string): Promise<Response> => fetch(millrace.admin(path), { method: 'POST' })

async function someRequests(): Promise<void> {
  for (let i = 0; i < 5; i++) await (await fetch(millrace.url('/'))).text()
}

describe('what it tells', () => {
  it('/stats counts requests, by class, for listener, manager and cluster', async () => {
    await someRequests()
    const stats = new Map(
      (await read('/stats')).split('\n').map((line) => line.split(': ') as [string, string]),
    )
    expect(stats.get('cluster.web.upstream_rq_total')).toBe('5')
    expect(stats.get('cluster.web.upstream_rq_2xx')).toBe('5')
    expect(stats.get('http.main.downstream_rq_total')).toBe('5')
    expect(stats.get('http.main.downstream_rq_2xx')).toBe('5')
    expect(stats.get('server.live')).toBe('1')
    expect(stats.get('server.concurrency')).toBe('2')
    expect(stats.get('cluster_manager.active_clusters')).toBe('1')
    expect(stats.get('cluster.web.upstream_rq_time')).toMatch(/^P0\(nan,/)
  })

  it('/stats/prometheus has the same numbers with labels', async () => {
    await someRequests()
    const text = await read('/stats/prometheus')
    expect(text).toContain('\nenvoy_cluster_upstream_rq_total{envoy_cluster_name="web"} 5\n')
    expect(text).toMatch(
      /\nenvoy_cluster_upstream_rq_xx\{[^}]*envoy_response_code_class="2"[^}]*\} 5\n/,
    )
    expect(text).toMatch(/\nenvoy_cluster_upstream_rq_time_bucket\{[^}]*le="\+Inf"\} 5\n/)
    const families = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name)
    expect(new Set(families).size).toBe(families.length)
    for (const line of text.split('\n')) {
      expect(line).toMatch(/^$|^# (HELP|TYPE) |^[a-zA-Z_:][\w:]*(\{.*\})? -?[\d.e+]+$/)
    }
  })

  it('/clusters shows hosts and what they did', async () => {
    await someRequests()
    const text = await read('/clusters')
    expect(text).toContain(`web::127.0.0.1:${port}::rq_total::5\n`)
    expect(text).toContain(`web::127.0.0.1:${port}::rq_success::5\n`)
    expect(text).toContain('web::default_priority::max_connections::1024\n')
    const { cluster_statuses } = JSON.parse(await read('/clusters?format=json'))
    expect(cluster_statuses[0].host_statuses[0].address.socket_address.port_value).toBe(port)
  })

  it('/listeners, /server_info, /runtime', async () => {
    expect(await read('/listeners')).toBe(`main::${millrace.address()}\n`)
    expect(JSON.parse(await read('/server_info'))).toMatchObject({
      state: 'LIVE',
      command_line_options: { concurrency: 2, drain_time: '600s' },
    })
    expect(JSON.parse(await read('/runtime'))).toHaveProperty('entries')
  })

  it('/config_dump shows what is in force', async () => {
    const { configs } = JSON.parse(await read('/config_dump'))
    const types = configs.map((config: { '@type': string }) => config['@type'].split('.').at(-1))
    expect(types).toEqual([
      'BootstrapConfigDump',
      'ClustersConfigDump',
      'ListenersConfigDump',
      'RoutesConfigDump',
    ])
    expect(configs[1].static_clusters[0].cluster.name).toBe('web')
    expect(configs[3].static_route_configs[0].route_config.name).toBe('main-routes')
  })
})

describe('what it changes', () => {
  it('/healthcheck/fail and /ok', async () => {
    await post('/healthcheck/fail')
    const ready = await fetch(millrace.admin('/ready'))
    expect([ready.status, await ready.text()]).toEqual([503, 'DRAINING\n'])
    expect(await (await fetch(millrace.url())).text()).toBe('x')
    await post('/healthcheck/ok')
    expect(await read('/ready')).toBe('LIVE\n')
  })

  it('/reset_counters', async () => {
    await someRequests()
    expect((await post('/reset_counters')).status).toBe(200)
    expect(await millrace.stat('cluster.web.upstream_rq_total')).toBe(0)
  })

  it('/logging', async () => {
    await post('/logging?level=debug')
    expect(await (await post('/logging')).text()).toContain('millrace: debug')
  })

  it('only by POST, and not for a page of another site', async () => {
    expect((await fetch(millrace.admin('/quitquitquit'))).status).toBe(405)
    const status = await new Promise((resolve) => {
      const headers = { origin: 'http://evil.example' }
      request(millrace.admin('/quitquitquit'), { method: 'POST', headers }, (response) => {
        response.resume()
        resolve(response.statusCode)
      }).end()
    })
    expect(status).toBe(403)
    expect(millrace.child.exitCode).toBeNull()
  })
})

describe('a client that pipelines', () => {
  const url = (): URL => new URL(millrace.admin('/'))
  const ask = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
  const last = (path: string): string =>
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`

  it('gets its answers in order when it reads', async () => {
    const client = connect(Number(url().port), url().hostname)
    const asked = Array.from({ length: 200 }, (_, i) => (i % 3 === 0 ? '/ready' : '/server_info'))
    client.write(asked.map(ask).join('') + last('/listeners'))
    let text = ''
    for await (const bytes of client.setEncoding('utf8')) text += bytes
    const answers = text.split('HTTP/1.1 200 OK').slice(1)
    expect(answers).toHaveLength(201)
    for (const [i, path] of asked.entries()) {
      expect(answers[i]).toContain(path === '/ready' ? 'LIVE' : '"version"')
    }
    expect(answers[200]).toContain('main::')
  })
})

describe('where it listens', () => {
  it('nowhere unless asked', async () => {
    const path = write(temporaryFolder(), 'config.json', simple([port]))
    const quiet = Millrace.spawn(['-c', path])
    await quiet.log('ready')
    expect(quiet.lines.some(({ msg }) => msg === 'admin interface')).toBe(false)
  })

  it('on a unix socket', async () => {
    const socketPath = join(temporaryFolder(), 'admin.sock')
    const path = write(temporaryFolder(), 'config.json', simple([port]))
    await Millrace.start(['-c', path, '--admin', `unix:${socketPath}`])
    expect(await ready(socketPath)).toBe('LIVE\n')
  })

  it('on a unix socket that another process keeps, and finds stale ones no matter', async () => {
    const socketPath = join(temporaryFolder(), 'admin.sock')
    const path = write(temporaryFolder(), 'config.json', simple([port]))
    const options = ['-c', path, '--admin', `unix:${socketPath}`]
    const first = await Millrace.start(options)
    const second = Millrace.spawn(options)
    expect((await second.exited).code).toBe(1)
    const said = second.otherLines.join('\n')
    expect(said).toContain('EADDRINUSE')
    expect(said).toContain('stop what listens there')
    expect(await ready(socketPath)).toBe('LIVE\n')
    await first.kill()
    expect(existsSync(socketPath)).toBe(true)
    await Millrace.start(options)
    expect(await ready(socketPath)).toBe('LIVE\n')
  })

  it('on the same unix socket with another mode', async () => {
    const folder = temporaryFolder()
    const socketPath = join(folder, 'admin.sock')
    const config = (mode: number): object => {
      return { ...simple([port]), admin: { address: { pipe: { path: socketPath, mode } } } }
    }
    const path = write(folder, 'config.json', config(0o600))
    const configured = Millrace.spawn(['-c', path])
    await configured.log('ready')
    write(folder, 'config.json', config(0o660))
    configured.signal('SIGHUP')
    await configured.log('configuration reloaded')
    expect(statSync(socketPath).mode & 0o777).toBe(0o660)
    expect(await ready(socketPath)).toBe('LIVE\n')
  })

  it('as the configuration says, and moves with it', async () => {
    const folder = temporaryFolder()
    const config = { ...simple([port]), admin: { address: adminAt('127.0.0.1') } }
    const path = write(folder, 'config.json', config)
    const configured = Millrace.spawn(['-c', path])
    await configured.log('ready')
    const before = configured.admin('/ready')
    expect((await fetch(before)).status).toBe(200)
    write(folder, 'config.json', { ...config, admin: { address: adminAt('127.0.0.3') } })
    configured.signal('SIGHUP')
    await configured.log('configuration reloaded')
    await expect(fetch(before)).rejects.toThrow()
  })
})

function ready(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, path: '/ready', agent: false }, (response) => {
      response.setEncoding('utf8').on('data', resolve)
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}

function adminAt(address: string): object {
  return { socket_address: { address, port_value: 0 } }
}
