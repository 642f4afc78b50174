// What of a change of the configuration is still to come when the server, or its listeners, end.

import { createSocket } from 'node:dgram'
import { get } from 'node:http'
import { connect } from 'node:net'
import { afterEach, expect, it, vi } from 'vitest'
import { loadConfiguration } from '../../src/config/index.ts'
import { Server } from '../../src/server/server.ts'
import { kPatience } from '../patience.ts'
import * as build from './support/config.ts'

type Json = Readonly<Record<string, unknown>>
const silent = (): void => {}
const log = { level: 'info', trace: silent, debug: silent, info: silent, warn: silent }
const errors: unknown[] = []
const ends: (() => unknown)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const load = (value: Json) => loadConfiguration({ kind: 'object', name: 'x', value })

async function started(value: Json): Promise<Server> {
  const error = (...what: unknown[]): unknown => errors.push(what)
  const server = new Server({
    concurrency: 1,
    fileFlushIntervalMs: 1_000,
    drainTimeMs: 1_000,
    log: { ...log, error } as never,
  })
  ends.push(() => server.stop())
  await server.start(await load(value))
  return server
}

const listener = (name: string): Json =>
  build.httpListener({ name, port: 0, routes: [build.route('/', 'a')] })

const accepts = (address: string): Promise<boolean> =>
  new Promise((resolve) => {
    const [host = '', port] = address.split(':')
    const socket = connect(Number(port), host, () => {
      socket.destroy()
      resolve(true)
    }).on('error', () => resolve(false))
  })

it('listeners that a change brings do not accept when they were stopped meanwhile', async () => {
  const server = await started(build.bootstrap([listener('a')], [build.cluster('a', [1])]))
  const { deployment } = server
  const prepare = deployment.prepare.bind(deployment)
  // Between two of its slices.
  vi.spyOn(deployment, 'prepare').mockImplementation(function* (loaded) {
    const prepared = yield* prepare(loaded)
    return {
      ...prepared,
      *commit(now) {
        server.stopListeners()
        return yield* prepared.commit(now)
      },
    }
  })
  const both = build.bootstrap([listener('a'), listener('b')], [build.cluster('a', [1])])
  const next = await load(both)
  await server.reload(() => next)
  const addresses = [...server.listenerAddresses().values()].flat()
  expect(addresses).toHaveLength(2)
  for (const address of addresses) {
    await vi.waitFor(async () => expect(await accepts(address)).toBe(false), kPatience)
  }
  await expect(server.reload(() => next)).rejects.toMatchObject({ code: 'ERR_MILLRACE_DRAINING' })
  // Nothing was wrong with it.
  expect(server.reloads).toEqual({ success: 1, rejected: 0 })
})

it('a drain is over in time, whatever is being put in force', async () => {
  const value = build.bootstrap([listener('a')], [build.cluster('a', [1])])
  const server = await started(value)
  const { deployment } = server
  const prepare = deployment.prepare.bind(deployment)
  let go = false
  vi.spyOn(deployment, 'prepare').mockImplementation(function* (loaded) {
    while (!go) yield
    return yield* prepare(loaded)
  })
  const next = await load({ ...value, node: { id: 'other' } })
  const reloaded = server.reload(() => next).catch((error) => error.code)
  await new Promise(setImmediate)
  await server.drain(100)
  expect(server.listenerAddresses().size).toBe(1)
  go = true
  expect(await reloaded).toBe('ERR_MILLRACE_DRAINING')
})

it('the admin interface does not come back after the end', async () => {
  const dns = createSocket('udp4') // never answers
  await new Promise<void>((resolve) => dns.bind(0, '127.0.0.1', resolve))
  ends.push(() => dns.close())
  const admin = (address: string, port: number): Json => ({
    admin: { address: { socket_address: { address, port_value: port } } },
  })
  const clusters = [build.cluster('a', [1])]
  const server = await started({ ...admin('127.0.0.1', 0), ...build.bootstrap([], clusters) })
  const first = server.adminUrl
  const port = Number(new URL(first ?? '').port)
  const type = 'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig'
  const resolver = { socket_address: { address: '127.0.0.1', port_value: dns.address().port } }
  const waits = build.cluster('d', [1], {
    type: 'STRICT_DNS',
    typed_dns_resolver_config: {
      name: 'x',
      typed_config: { '@type': `type.googleapis.com/${type}`, resolvers: [resolver] },
    },
    load_assignment: {
      cluster_name: 'd',
      endpoints: [
        {
          lb_endpoints: [
            { endpoint: { address: { socket_address: { address: 'x.test', port_value: 1 } } } },
          ],
        },
      ],
    },
  })
  const moved = await load({
    ...admin('0.0.0.0', port),
    ...build.bootstrap([], [...clusters, waits]),
  })
  const asked = new Promise((resolve) => dns.once('message', resolve))
  const reloaded = server.reload(() => moved).catch((error) => error.code)
  await asked
  await server.stop()
  expect(await reloaded).toBe('ERR_MILLRACE_CLOSED')
  const answer = await new Promise((resolve) => {
    get(`${first}/ready`, { agent: false }, () => resolve('answers')).on('error', (error) =>
      resolve((error as NodeJS.ErrnoException).code),
    )
  })
  expect(answer).toBe('ECONNREFUSED')
  expect(errors).toEqual([])
})

it('a runtime key that clusters cannot have is as it was', async () => {
  const server = await started(build.bootstrap([], [build.cluster('a', [1])]))
  const key = 'upstream.healthy_panic_threshold'
  await server.setRuntime(key, 30)
  vi.spyOn(server.deployment, 'apply').mockImplementationOnce(() => {
    throw new TypeError('no')
  })
  await expect(server.setRuntime(key, 40)).rejects.toThrow('no')
  expect(server.runtime.get(key)).toBe(30)
  await server.setRuntime(key, undefined)
  expect(server.runtime.get(key)).toBeUndefined()
})
