// Health checks and outlier detection, against services that change their minds.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import { createProxy } from '../../src/index.ts'
import { bootstrap, cluster, httpListener, route } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { httpService, rawService } from './support/peers.ts'

type Json = Readonly<Record<string, unknown>>

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

const fast = {
  timeout: '1s',
  interval: '0.05s',
  no_traffic_interval: '0.05s',
  unhealthy_threshold: 2,
  healthy_threshold: 2,
}
const http = (more: Json = {}, rest: Json = {}): Json => ({
  health_checks: [{ ...fast, http_health_check: { path: '/health', ...more }, ...rest }],
  common_lb_config: { healthy_panic_threshold: { value: 0 }, update_merge_window: '0s' },
})

async function started(ports: readonly number[], fields: Json): Promise<Millrace> {
  const config = bootstrap(
    [httpListener({ routes: [route('/', 'web')] })],
    [cluster('web', ports, fields)],
  )
  return Millrace.start(['-c', write(temporaryFolder(), 'config.json', config)])
}

async function flags(millrace: Millrace, port: number): Promise<string | undefined> {
  const text = await (await fetch(millrace.admin('/clusters'))).text()
  return new RegExp(`:${port}::health_flags::(.*)$`, 'm').exec(text)?.[1]
}

describe('HTTP checks', () => {
  it('take a host out when it fails and back when it is well, and write both down', async () => {
    let status = 200
    let degraded = false
    const asked: string[] = []
    const port = await httpService((request, response) => {
      if (request.url === '/health') {
        asked.push(`${request.method} ${request.headers.host} ${request.headers['user-agent']}`)
        if (degraded) response.setHeader('x-envoy-degraded', '1')
      }
      response.writeHead(request.url === '/health' ? status : 200).end('x')
    })
    const log = join(temporaryFolder(), 'events.log')
    const millrace = await started([port], http({}, { event_log_path: log }))
    expect(await flags(millrace, port)).toBe('healthy')
    expect(asked[0]).toBe('GET web Envoy/HC')
    expect((await fetch(millrace.url())).status).toBe(200)
    status = 503
    await expect.poll(() => flags(millrace, port)).toBe('/failed_active_hc')
    expect((await fetch(millrace.url())).status).toBe(503)
    status = 200
    await expect.poll(() => flags(millrace, port)).toBe('healthy')
    degraded = true
    await expect.poll(() => flags(millrace, port)).toBe('/degraded_active_hc')
    expect(await millrace.stat('cluster.web.health_check.degraded')).toBe(1)
    expect(await millrace.stat('cluster.web.health_check.failure')).toBeGreaterThan(0)
    expect(await millrace.stat('cluster.web.membership_degraded')).toBe(1)
    const events = (): Json[] =>
      readFileSync(log, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Json)
    await expect.poll(() => events().length).toBe(4)
    expect(events()).toMatchObject([
      {
        cluster_name: 'web',
        health_checker_type: 'HTTP',
        add_healthy_event: { first_check: true },
      },
      { eject_unhealthy_event: { failure_type: 'ACTIVE' } },
      { add_healthy_event: { first_check: false } },
      { degraded_healthy_host: {} },
    ])
  })

  it('look at the status, the body and the name of the service', async () => {
    const port = await httpService((request, response) => {
      response.setHeader('x-envoy-upstream-healthchecked-cluster', 'web-3')
      response.statusCode = request.method === 'HEAD' ? 204 : 418
      response.end('it is all good')
    })
    const good = http({
      host: 'inside',
      method: 'POST',
      expected_statuses: [{ start: 400, end: 500 }],
      receive: [{ text: '616c6c' }, { text: '676f6f64' }],
      service_name_matcher: { prefix: 'web' },
      request_headers_to_add: [{ header: { key: 'x-a', value: '1' } }],
    })
    expect(await flags(await started([port], good), port)).toBe('healthy')
    const others: Json[] = [
      { expected_statuses: [{ start: 400, end: 500 }], receive: [{ text: '62616421' }] },
      { expected_statuses: [{ start: 400, end: 500 }], service_name_matcher: { exact: 'other' } },
      { method: 'HEAD' },
    ]
    for (const other of others) {
      expect(await flags(await started([port], http(other)), port)).toBe('/failed_active_hc')
    }
  })

  it('go to another port, and leave out hosts that are not to be checked', async () => {
    const [port, checked] = await Promise.all([
      httpService((_request, response) => response.writeHead(500).end()),
      httpService((_request, response) => response.end()),
    ])
    const at = (port_value: number, health_check_config: Json): Json => ({
      endpoint: {
        address: { socket_address: { address: '127.0.0.1', port_value } },
        health_check_config,
      },
    })
    const endpoints = [
      {
        lb_endpoints: [
          at(port, { port_value: checked }),
          at(1, { disable_active_health_check: true }),
        ],
      },
    ]
    const millrace = await started([], {
      ...http(),
      load_assignment: { cluster_name: 'web', endpoints },
    })
    expect(await flags(millrace, port)).toBe('healthy')
    expect(await flags(millrace, 1)).toBe('healthy')
    expect(await millrace.stat('cluster.web.health_check.healthy')).toBe(1)
  })

  it('fail a host at once when a response to a request says so', async () => {
    const port = await httpService((request, response) => {
      if (request.url === '/leave') response.setHeader('x-envoy-immediate-health-check-fail', '1')
      response.end()
    })
    const slow = http({}, { interval: '60s', no_traffic_interval: '60s' })
    const millrace = await started([port], slow)
    expect(await flags(millrace, port)).toBe('healthy')
    await fetch(millrace.url('/leave'))
    await expect
      .poll(() => flags(millrace, port))
      .toBe('/failed_active_hc/excluded_via_immediate_hc_fail')
    expect(await millrace.stat('cluster.web.health_check.passive_failure')).toBe(1)
  })
})

describe('TCP checks', () => {
  it('connect, or send and expect bytes', async () => {
    const port = await rawService((socket) => {
      socket.on('data', (data) => socket.write(data.toString() === 'PING' ? '+PONG' : '-WHAT'))
    })
    const tcp = (check: Json): Json => ({
      health_checks: [{ ...fast, timeout: '0.3s', tcp_health_check: check }],
    })
    const ping = { send: { text: '50494e47' }, receive: [{ text: '504f4e47' }] }
    expect(await flags(await started([port], tcp({})), port)).toBe('healthy')
    expect(await flags(await started([port], tcp(ping)), port)).toBe('healthy')
    const wrong = { ...ping, send: { text: '00' } }
    expect(await flags(await started([port], tcp(wrong)), port)).toMatch(/failed_active_hc/)
    expect(await flags(await started([1], tcp({})), 1)).toBe('/failed_active_hc')
  })
})

it('gRPC checks ask grpc.health.v1.Health', async () => {
  let serving = 1
  const asked: string[] = []
  const server = new GrpcServer()
  const definition = {
    Check: {
      path: '/grpc.health.v1.Health/Check',
      requestStream: false,
      responseStream: false,
      requestSerialize: (value: Buffer) => value,
      requestDeserialize: (value: Buffer) => value,
      responseSerialize: (value: Buffer) => value,
      responseDeserialize: (value: Buffer) => value,
    },
  }
  server.addService(definition, {
    Check: (call: { request: Buffer }, done: (error: null, value: Buffer) => void) => {
      asked.push(call.request.subarray(2).toString())
      done(null, Buffer.from([8, serving]))
    },
  })
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  ends.push(() => server.forceShutdown())
  const check = { health_checks: [{ ...fast, grpc_health_check: { service_name: 'shop' } }] }
  const millrace = await started([port], check)
  expect(await flags(millrace, port)).toBe('healthy')
  expect(asked[0]).toBe('shop')
  serving = 2
  await expect.poll(() => flags(millrace, port)).toBe('/failed_active_hc')
  serving = 1
  await expect.poll(() => flags(millrace, port)).toBe('healthy')
})

it('a blocked main thread is not the failure of a host', async () => {
  const child = `
    import { createServer } from 'node:http'
    createServer((request, response) => setTimeout(() => response.end(), 20))
      .listen(0, '127.0.0.1', function () { console.log(this.address().port) })`
  const path = write(temporaryFolder(), 'service.mjs', child)
  const { spawn } = await import('node:child_process')
  const service = spawn(process.execPath, [path], { stdio: ['ignore', 'pipe', 'inherit'] })
  ends.push(() => service.kill())
  const [first] = (await once(service.stdout, 'data')) as [Buffer]
  const port = Number(first.toString())
  const rules = { ...fast, timeout: '1s', unhealthy_threshold: 1 }
  const proxy = await createProxy({
    static_resources: {
      clusters: [
        cluster('web', [port], { health_checks: [{ ...rules, http_health_check: { path: '/' } }] }),
      ],
    },
  } as never)
  ends.push(() => proxy.close())
  const told: unknown[] = []
  proxy.on('health', (change) => told.push(change))
  for (let i = 0; i < 5; i++) {
    execFileSync('sleep', ['1.5'])
    await new Promise((resolve) => setTimeout(resolve, 37))
  }
  expect(told).toEqual([])
  service.kill('SIGSTOP') // and a host that is stuck is
  await expect.poll(() => told).toMatchObject([{ health: 'unhealthy' }])
  service.kill('SIGKILL')
})

describe('outlier detection', () => {
  it('ejects a host that fails in a row, and takes it back', async () => {
    let bad = true
    const answer: RequestListener = (_request, response) => {
      response.writeHead(bad ? 500 : 200).end()
    }
    const server = createServer(answer).listen(0, '127.0.0.1')
    await once(server, 'listening')
    ends.push(() => server.close())
    const { port } = server.address() as AddressInfo
    const millrace = await started([port], {
      common_lb_config: { healthy_panic_threshold: { value: 0 } },
      outlier_detection: {
        consecutive_5xx: 3,
        interval: '0.1s',
        base_ejection_time: '0.5s',
        max_ejection_percent: 100,
      },
    })
    for (let i = 0; i < 3; i++) expect((await fetch(millrace.url())).status).toBe(500)
    await expect.poll(() => flags(millrace, port)).toBe('/failed_outlier_check')
    expect((await fetch(millrace.url())).status).toBe(503)
    expect(await millrace.stat('cluster.web.outlier_detection.ejections_active')).toBe(1)
    bad = false
    await expect.poll(() => flags(millrace, port)).toBe('healthy')
    await expect.poll(async () => (await fetch(millrace.url())).status).toBe(200)
    const name = 'cluster.web.outlier_detection.ejections_enforced_consecutive_5xx'
    expect(await millrace.stat(name)).toBe(1)
  })
})
