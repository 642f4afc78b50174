// The cache of names of the dynamic forward proxy, under other rules than before.

import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { DnsCache, type DnsCacheUser } from '../../../src/cluster/discovery/dns_cache.ts'
import type { DnsCacheDefinition, HostDefinition } from '../../../src/config/index.ts'
import { kPatience } from '../../patience.ts'
import { ControlledDns } from './controlled_dns.ts'

const servers: ControlledDns[] = []
let cache: DnsCache | undefined

beforeEach(async () => {
  for (const address of ['10.0.0.1', '10.0.0.2']) {
    const dns = await ControlledDns.start()
    dns.set('a.test', [address])
    servers.push(dns)
  }
})
afterEach(() => {
  cache?.close()
  for (const dns of servers.splice(0)) dns.stop()
})

const definition = (
  server: number,
  more: Partial<DnsCacheDefinition> = {},
): DnsCacheDefinition => ({
  name: 'x',
  family: 'v4-only',
  resolver: {
    servers: [`127.0.0.1:${servers[server]?.port}`],
    serversAsFallback: false,
    search: false,
    routableOnly: false,
  },
  refresh: 3_600_000,
  minRefresh: 3_600_000,
  queryTimeout: 60_000,
  hostTtl: 3_600_000,
  maxHosts: 10,
  maxPending: 10,
  preresolve: ['a.test:80'],
  ...more,
})

/** The addresses of the hosts that a cluster has of the cache. */
class User implements DnsCacheUser {
  readonly hosts = new Map<string, HostDefinition>()
  change(set: readonly HostDefinition[], remove: readonly HostDefinition[]): void {
    for (const { hostname } of remove) this.hosts.delete(hostname)
    for (const host of set) this.hosts.set(host.hostname, host)
  }
  refuse(): void {}
  takeUsed(): readonly string[] {
    return []
  }
  waiting(): { now: number; overflows: number } {
    return { now: 0, overflows: 0 }
  }
  addresses(): (string | undefined)[] {
    return [...this.hosts.values()].map(({ address }) => ('ip' in address ? address.ip : undefined))
  }
}

it('a name is asked for at once where another server is to be asked', async () => {
  cache = new DnsCache(definition(0))
  const user = new User()
  cache.attach(user)
  await vi.waitFor(() => expect(user.addresses()).toEqual(['10.0.0.1']), kPatience)
  cache.configure(definition(0, { refresh: 1_800_000 }))
  expect(servers[0]?.answered('a.test')).toBe(1)
  cache.configure(definition(1))
  await vi.waitFor(() => expect(user.addresses()).toEqual(['10.0.0.2']), kPatience)
  expect(servers.map((dns) => dns.answered('a.test'))).toEqual([1, 1])
})

it('an answer of the server before, which comes late, is void', async () => {
  servers[0]?.hold('a.test')
  cache = new DnsCache(definition(0))
  const user = new User()
  cache.attach(user)
  cache.configure(definition(1))
  await vi.waitFor(() => expect(user.addresses()).toEqual(['10.0.0.2']), kPatience)
  servers[0]?.release('a.test')
  await vi.waitFor(() => expect(cache?.counters.querySuccess).toBe(2), kPatience)
  expect(user.addresses()).toEqual(['10.0.0.2'])
})
