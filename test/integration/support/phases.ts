// Processes and proxies held in one phase of their life, for as long as a test likes.

import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { bootstrap, cluster, fileLog, httpListener, route } from './config.ts'
import { badDns, records } from './dns.ts'
import { write } from './files.ts'
import { httpService, rawService } from './peers.ts'

type Json = Readonly<Record<string, unknown>>

const kResolver =
  'type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig'

/** A cluster of one name that this DNS server is asked for. */
export function named(name: string, host: string, dns: number): Json {
  const address = { socket_address: { address: host, port_value: 9 } }
  return {
    name,
    type: 'STRICT_DNS',
    dns_lookup_family: 'V4_ONLY',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
    typed_dns_resolver_config: {
      name: 'envoy.network.dns_resolver.cares',
      typed_config: {
        '@type': kResolver,
        resolvers: [{ socket_address: { address: '127.0.0.1', port_value: dns } }],
        dns_resolver_options: { no_default_search_domain: true },
      },
    },
  }
}

/** A cluster whose DNS server says nothing. */
export async function resolving(host = 'mute.test'): Promise<Json> {
  return named('mute', host, await badDns(() => undefined))
}

/** A cluster whose DNS server answers at once. */
export async function resolved(): Promise<Json> {
  return named('quick', 'quick.test', await badDns(records({ A: [['127.0.0.1', 60]] })))
}

/** A cluster whose host accepts connections, and never says how well it is. */
export async function warming(): Promise<Json> {
  const port = await rawService(() => {})
  const check = { http_health_check: { path: '/' }, unhealthy_threshold: 1, healthy_threshold: 1 }
  const health_checks = [{ timeout: '3600s', interval: '3600s', ...check }]
  return cluster('unchecked', [port], { health_checks })
}

export const kMain = 'main'

/** One listener, whose cluster answers; and others that nothing is sent to. */
export function serving(port: number, others: readonly Json[] = [], log?: string): Json {
  const manager = log === undefined ? {} : { access_log: [fileLog(log)] }
  const listener = httpListener({ name: kMain, routes: [route('/', 'web')], manager })
  return bootstrap([listener], [cluster('web', [port]), ...others])
}

/** With one more listener. */
export function servingTwice(port: number, others: readonly Json[] = []): Json {
  const routes = [route('/', 'web')]
  return bootstrap(
    [httpListener({ name: kMain, routes }), httpListener({ name: 'second', routes })],
    [cluster('web', [port]), ...others],
  )
}

/** Answers, but for `/held`, which waits for {@link release}. */
export async function heldService(): Promise<{ port: number; held(): number; release(): void }> {
  const waiting: (() => void)[] = []
  const port = await httpService((request, response) => {
    request.resume()
    if (request.url === '/held') waiting.push(() => response.end('held'))
    else response.end('answered')
  })
  const release = (): void => {
    for (const answer of waiting.splice(0)) answer()
  }
  return { port, held: () => waiting.length, release }
}

/** Puts another file in the place of `path`, at once. */
export function replace(folder: string, path: string, content: unknown): void {
  renameSync(write(folder, 'next', content), path)
}

export function fifo(folder: string, name: string): string {
  const path = join(folder, name)
  execFileSync('mkfifo', [path])
  return path
}

/** A FIFO that is full, and that nobody reads; `close` gives it up. */
export function fullFifo(folder: string, name: string): { path: string; close(): void } {
  const path = fifo(folder, name)
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  const filling = Buffer.alloc(4096, 'x')
  try {
    for (;;) writeSync(fd, filling)
  } catch {
    // EAGAIN: it is full.
  }
  return { path, close: () => closeSync(fd) }
}
