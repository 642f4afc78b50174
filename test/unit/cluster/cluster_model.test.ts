// The real cluster manager against a plain model of what its hosts are to be, over random histories
// of definitions, answers of real DNS and of files, checks of real sockets, ejections, removals.
// MILLRACE_SEED replays one, MILLRACE_SHRINK=1 looks for the shortest.

import { once } from 'node:events'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { ClusterManager } from '../../../src/cluster/manager.ts'
import type {
  ClusterDefinition,
  DiscoveryDefinition,
  HostDefinition,
} from '../../../src/config/index.ts'
import type { NativeHost } from '../../../src/native/index.ts'
import { temporaryFolder } from '../../integration/support/files.ts'
import { kPatienceMs } from '../../patience.ts'
import { cluster } from '../admin/target.ts'
import { RecordingCore } from '../server/recording_core.ts'
import {
  ClusterModel,
  type Definition,
  type FileSays,
  type Place,
  serviceHost,
  type Target,
} from './cluster_model.ts'
import { ControlledDns } from './controlled_dns.ts'

const kPlaces: readonly Place[] = [1, 2, 3, 4, 5]
const kNames = ['a.test', 'b.test', 'c.test', '_http._tcp.s.test'] as const
const kFiles = 2
const kRuns = Number(process.env.MILLRACE_RUNS ?? 30)
const kPatience = { timeout: kPatienceMs, interval: 2 }

// ---- Who listens

/** Of the addresses 127.0.1.x at one port, those listen that a test wants to. */
class Peers {
  port = 0
  readonly #servers = new Map<Place, Server>()

  /** At the first port that is free at all of the addresses. */
  async start(): Promise<void> {
    for (let i = 0; ; i++) {
      try {
        for (const place of kPlaces) await this.listen(place, true)
        return
      } catch (error) {
        if (i > 20) throw error
        for (const place of kPlaces) await this.listen(place, false)
        this.port = 0
      }
    }
  }

  async listen(place: Place, on: boolean): Promise<void> {
    const server = this.#servers.get(place)
    if (on === (server !== undefined)) return
    if (server) {
      this.#servers.delete(place)
      await new Promise((resolve) => server.close(resolve))
      return
    }
    const next = createServer((socket) => socket.on('error', () => {}).end())
    next.listen(this.port, `127.0.1.${place}`)
    await once(next, 'listening')
    this.port = (next.address() as { port: number }).port
    this.#servers.set(place, next)
  }
}

let dns: ControlledDns
const peers = new Peers()
beforeAll(async () => {
  dns = await ControlledDns.start()
  await peers.start()
})
afterAll(async () => {
  dns.stop()
  for (const place of kPlaces) await peers.listen(place, false)
})

// ---- Definitions as the manager takes them

const hostAt = (place: Place): HostDefinition => ({
  address: { ip: `127.0.1.${place}`, port: peers.port },
  hostname: '',
  weight: 1,
  priority: 0,
  locality: 0,
  health: 'healthy',
})
const refused: HostDefinition = { ...hostAt(1), address: { ip: 'fe80::1%gone', port: 1 } }

function dnsTarget({ name, weight, priority }: Target) {
  const { address: _address, ...host } = { ...hostAt(1), weight, priority }
  const [, service, domain] = /^_(\w+)\._tcp\.(.*)$/.exec(name) ?? []
  return { name: domain ?? name, port: service ?? peers.port, host }
}

function discoveryOf(
  { kind, targets, file }: Definition,
  folder: string,
): DiscoveryDefinition | undefined {
  if (kind === 'static') return undefined
  if (kind === 'eds') {
    const path = join(folder, `${file}.json`)
    return { kind: 'eds', path, serviceName: 'x', namesService: false, listAsAny: false }
  }
  return {
    kind: 'dns',
    strict: kind === 'strict',
    targets: targets.slice(0, kind === 'strict' ? targets.length : 1).map(dnsTarget),
    refresh: 5,
    respectTtl: false,
    jitter: 0,
    family: 'v4-only',
    resolver: {
      servers: [`127.0.0.1:${dns.port}`],
      serversAsFallback: false,
      search: false,
      routableOnly: false,
    },
    waitForWarm: true,
  }
}

const kCheck = {
  timeout: 5_000,
  interval: 3,
  initialJitter: 0,
  intervalJitter: 0,
  intervalJitterPercent: 0,
  unhealthyThreshold: 1,
  healthyThreshold: 1,
  reuseConnection: false,
  noTrafficInterval: 3,
  noTrafficHealthyInterval: 3,
  unhealthyInterval: 3,
  unhealthyEdgeInterval: 3,
  healthyEdgeInterval: 3,
  minInterval: 1,
  maxInterval: 1_000,
  eventLogs: [],
  alwaysLogFailures: false,
  alwaysLogSuccess: false,
  check: { kind: 'tcp', send: new Uint8Array(), receive: [] },
} as const

const kEjecting = {
  interval: 3_600_000,
  baseEjectionTime: 3_600_000,
  maxEjectionTime: 3_600_000,
  maxEjectionTimeJitter: 0,
  maxEjectionPercent: 100,
  alwaysEjectOneHost: true,
  split: false,
  enforcingConsecutive5xx: 100,
  enforcingConsecutiveGatewayFailure: 0,
  enforcingConsecutiveLocalOriginFailure: 0,
  enforcingSuccessRate: 0,
  enforcingLocalOriginSuccessRate: 0,
  successRateMinimumHosts: 99,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1900,
  failurePercentageThreshold: 85,
  enforcingFailurePercentage: 0,
  enforcingFailurePercentageLocalOrigin: 0,
  failurePercentageMinimumHosts: 99,
  failurePercentageRequestVolume: 50,
  successfulCheckUnejects: false,
  eventLog: '',
} as const

function clusterOf(definition: Definition, folder: string): ClusterDefinition {
  const discovery = discoveryOf(definition, folder)
  return {
    ...cluster('x', 1),
    hosts: definition.kind === 'static' ? definition.places.map(hostAt) : [],
    connectTimeout: definition.connectTimeout,
    ignoreHealthOnHostRemoval: definition.ignoreHealth,
    ...(discovery && { discovery }),
    ...(definition.checked && { healthCheck: kCheck }),
    ...(definition.ejects && { outlierDetection: kEjecting }),
  }
}

const together: ClusterDefinition = {
  ...cluster('together', 1),
  hosts: [],
  discovery: { kind: 'aggregate', clusters: ['x'] },
}

// ---- What happens

const places = fc.uniqueArray(fc.constantFrom(...kPlaces), { maxLength: 4 })
const place = fc.constantFrom(...kPlaces)
const name = fc.constantFrom(...kNames)
const target = fc.record({
  name,
  weight: fc.integer({ min: 1, max: 2 }),
  priority: fc.integer({ min: 0, max: 1 }),
})
const definition: fc.Arbitrary<Definition> = fc.record({
  kind: fc.constantFrom('static', 'strict', 'strict', 'strict', 'logical', 'eds'),
  places,
  targets: fc.uniqueArray(target, { minLength: 1, maxLength: 3, selector: (one) => one.name }),
  file: fc.nat(kFiles - 1),
  checked: fc.boolean(),
  ejects: fc.boolean(),
  ignoreHealth: fc.boolean(),
  connectTimeout: fc.constantFrom(5, 6),
})
const op = <T extends string>(what: T, more: Record<string, fc.Arbitrary<unknown>> = {}) =>
  fc.record({ op: fc.constant(what), ...more })
const history = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: op('define', { definition }) },
    // Some of the one in force is another one.
    {
      weight: 4,
      arbitrary: op('vary', {
        part: fc.constantFrom('checked', 'ejects', 'ignoreHealth', 'targets'),
        definition,
      }),
    },
    { weight: 6, arbitrary: op('answer', { name, places }) },
    { weight: 2, arbitrary: op('fail', { name }) },
    { weight: 2, arbitrary: op('hold', { name }) },
    { weight: 2, arbitrary: op('release', { name }) },
    { weight: 3, arbitrary: op('file', { file: fc.nat(kFiles - 1), places: fc.option(places) }) },
    { weight: 2, arbitrary: op('override', { set: places, remove: places, bad: fc.boolean() }) },
    { weight: 3, arbitrary: op('listen', { place, on: fc.boolean() }) },
    { weight: 2, arbitrary: op('eject', { place }) },
    { weight: 2, arbitrary: op('retire') },
    { weight: 1, arbitrary: op('withdraw') },
  ),
  { minLength: 5, maxLength: 16, size: 'max' },
) as unknown as fc.Arbitrary<Operation[]>

type Operation =
  | { op: 'define'; definition: Definition }
  | { op: 'vary'; part: keyof Definition; definition: Definition }
  | { op: 'answer'; name: string; places: Place[] }
  | { op: 'fail' | 'hold' | 'release'; name: string }
  | { op: 'file'; file: number; places: Place[] | null }
  | { op: 'override'; set: Place[]; remove: Place[]; bad: boolean }
  | { op: 'listen'; place: Place; on: boolean }
  | { op: 'eject'; place: Place }
  | { op: 'retire' | 'withdraw' }

// ---- One history

class History {
  readonly #core = new RecordingCore()
  readonly #manager = new ClusterManager(this.#core.asCore())
  readonly #folder = temporaryFolder()
  readonly #model = new ClusterModel(kPlaces)
  #files = 0

  async start(): Promise<void> {
    this.#core.zonesGone.add('gone')
    for (const n of kNames) {
      dns.release(n)
      dns.set(n, [])
    }
    for (const one of kPlaces) {
      dns.set(serviceHost(one), [`127.0.1.${one}`])
      await peers.listen(one, true)
    }
    mkdirSync(join(this.#folder, 'new'))
    for (let i = 0; i < kFiles; i++) this.#writeFile(i, null)
    this.#manager.publish(together)
    this.#manager.publishDirectory(['together'])
  }

  async end(): Promise<void> {
    for (const n of kNames) dns.release(n)
    await this.#manager.close()
  }

  async run(operation: Operation): Promise<void> {
    switch (operation.op) {
      case 'define':
        return this.#define(operation.definition)
      case 'vary': {
        const now = this.#model.definition
        const { part, definition: other } = operation
        return now && this.#define({ ...now, [part]: other[part] })
      }
      case 'answer':
        return this.#say(operation.name, answerOf(operation.name, operation.places))
      case 'fail':
        return this.#say(operation.name, 'fails')
      case 'hold':
        dns.hold(operation.name)
        this.#model.held.add(operation.name)
        return
      case 'release':
        dns.release(operation.name)
        this.#model.held.delete(operation.name)
        return this.#asked([operation.name])
      case 'file':
        return this.#file(operation.file, operation.places)
      case 'override':
        return this.#override(operation.set, operation.remove, operation.bad)
      case 'listen':
        await peers.listen(operation.place, operation.on)
        if (operation.on) this.#model.listening.add(operation.place)
        else this.#model.listening.delete(operation.place)
        return this.#model.listen()
      case 'eject':
        return this.#eject(operation.place)
      case 'retire':
        return this.#retire()
      case 'withdraw':
        if (!this.#model.retired) return
        this.#manager.withdraw('x')
        this.#model.withdraw()
    }
  }

  async #define(next: Definition): Promise<void> {
    const reads = this.#reads()
    const { definition: before, retired } = this.#model
    const sameFile = before?.kind === 'eds' && before.file === next.file && !retired
    this.#manager.publish(clusterOf(next, this.#folder))
    this.#manager.publishDirectory(['x', 'together'])
    this.#model.define(next)
    if (next.kind === 'eds' && !sameFile) await this.#read(reads)
    await this.#asked(next.targets.map((one) => one.name))
  }

  /** What these names say has been asked for, and taken. */
  async #asked(names: readonly string[]): Promise<void> {
    const asks = names.filter((one) => this.#model.asks(one))
    const before = new Map(asks.map((one) => [one, dns.answered(one)]))
    this.#model.ask()
    // The second question is asked when the first one's answer was taken.
    for (const one of asks) {
      await vi.waitFor(() => {
        expect(dns.answered(one), `answers for ${one}`).toBeGreaterThan((before.get(one) ?? 0) + 1)
      }, kPatience)
    }
  }

  async #say(n: string, says: readonly string[] | 'fails'): Promise<void> {
    dns.set(n, says)
    this.#model.dns.set(n, says)
    await this.#asked([n])
  }

  #reads(): number {
    const found = this.#manager.managed().find(({ definition: { name: n } }) => n === 'x')
    return found ? found.discoveryCounters.success + found.discoveryCounters.rejected : 0
  }

  #read(before: number): Promise<void> {
    return vi.waitFor(() => expect(this.#reads(), 'reads').toBeGreaterThan(before), kPatience)
  }

  /** null: one with a host that the core refuses, or that is no file of endpoints. */
  #writeFile(file: number, says: FileSays): void {
    const endpoint = (address: string) => ({
      endpoint: { address: { socket_address: { address, port_value: peers.port } } },
    })
    const listed = (says ?? [1, 2]).map((one) => endpoint(`127.0.1.${one}`))
    if (!says) listed.push(endpoint('fe80::1%gone'))
    const type = 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment'
    const assignment = { '@type': type, cluster_name: 'x', endpoints: [{ lb_endpoints: listed }] }
    const text = says || file === 0 ? JSON.stringify({ resources: [assignment] }) : '{'
    const path = join(this.#folder, 'new', `${this.#files++}`)
    writeFileSync(path, text)
    renameSync(path, join(this.#folder, `${file}.json`))
  }

  async #file(file: number, says: FileSays): Promise<void> {
    const reads = this.#reads()
    this.#writeFile(file, says)
    this.#model.files[file] = says
    if (!this.#model.readsFile(file)) return
    this.#model.ask()
    await this.#read(reads)
  }

  #override(set: readonly Place[], remove: readonly Place[], bad: boolean): void {
    const change = (hosts: readonly HostDefinition[]): void =>
      this.#manager.changeEndpoints(
        'x',
        hosts,
        remove.filter((one) => !set.includes(one)).map(hostAt),
      )
    if (bad && this.#model.definition) {
      expect(() => change([...set.map(hostAt), refused])).toThrow(/no interface/)
      return
    }
    change(set.map(hostAt))
    this.#model.setEndpoints(
      set,
      remove.filter((one) => !set.includes(one)),
    )
  }

  #eject(one: Place): void {
    const slot = this.#manager.get('x')?.slot
    const found = [...(this.#core.hosts.get(slot ?? 0)?.values() ?? [])].find(
      ({ address }) => 'ip' in address && address.ip === `127.0.1.${one}`,
    )
    if (slot === undefined || !found) return
    this.#core.outlierEvents.push({ slot, host: found.id, kind: 'consecutive-5xx' })
    this.#manager.takeOutlierEvents()
    this.#model.eject(one)
  }

  /** It is neither checked any more, nor anything else than it was. */
  async #retire(): Promise<void> {
    this.#manager.publishDirectory(['together'])
    this.#model.retire()
    const found = this.#manager.managed().find(({ definition: { name: n } }) => n === 'x')
    const attempts = found?.checkCounters.attempt
    await new Promise((resolve) => setTimeout(resolve, 15))
    expect(found?.checkCounters.attempt).toBe(attempts)
  }

  #told(n: string): unknown {
    const slot = this.#manager.get(n)?.slot
    const hosts = [...(this.#core.hosts.get(slot ?? 0)?.values() ?? [])]
    const shown = hosts.map(({ address, weight, priority, health, additionalAddresses = [] }) => ({
      place: placeOf(address),
      weight,
      priority,
      ...(additionalAddresses.length > 0 && { more: additionalAddresses.map(placeOf) }),
      healthy: health === 'healthy',
    }))
    return shown.sort((a, b) => a.place - b.place)
  }

  settled(): Promise<void> {
    return vi.waitFor(() => {
      const wanted = this.#model.hosts()
      expect(this.#told('x')).toEqual(wanted)
      expect(this.#told('together')).toEqual(wanted)
    }, kPatience)
  }
}

function placeOf(address: NativeHost['address']): Place {
  return 'ip' in address ? Number(address.ip.split('.')[3]) : -1
}

function answerOf(n: string, found: readonly Place[]): string[] {
  if (n.startsWith('_')) return found.map((one) => `${peers.port} ${serviceHost(one)}`)
  return found.map((one) => `127.0.1.${one}`)
}

it('hosts are what the last definition and the last answers say, after any history', async () => {
  const seed = Number(process.env.MILLRACE_SEED ?? Date.now() % 2 ** 31)
  console.log(`seed ${seed}`)
  const property = fc.asyncProperty(history, async (operations) => {
    const one = new History()
    await one.start()
    try {
      for (const operation of operations) {
        await one.run(operation)
        await one.settled()
      }
    } finally {
      await one.end()
    }
  })
  await fc.assert(property, { numRuns: kRuns, seed, endOnFailure: !process.env.MILLRACE_SHRINK })
})
