// A change of the configuration is in force whole or not at all: the core is made to refuse each of
// its calls in turn, and nothing may then be other than before.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ManagedCluster } from '../../../src/cluster/cluster.ts'
import { ClusterManager } from '../../../src/cluster/manager.ts'
import { type LoadedConfiguration, loadConfiguration } from '../../../src/config/index.ts'
import type {
  NativeCluster,
  NativeCore,
  NativeHostDelta,
  NativeListener,
} from '../../../src/native/index.ts'
import { Runtime } from '../../../src/runtime/runtime.ts'
import { Deployment } from '../../../src/server/deployment.ts'
import { LogFiles } from '../../../src/server/log_files.ts'
import * as build from '../../integration/support/config.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** What the core would have, and a call that it refuses. */
class FaultyCore {
  readonly slots = new Map<number, string>()
  readonly clusters = new Map<number, unknown>()
  readonly hosts = new Map<number, Map<number, unknown>>()
  readonly routes = new Map<number, unknown>()
  readonly listeners = new Map<string, NativeListener>()
  readonly draining = new Set<string>()
  /** Whose sockets are bound, and not in use yet. */
  readonly opened = new Set<string>()
  readonly logs = new Map<number, unknown>()
  directory: readonly unknown[] = []
  runtime: readonly unknown[] = []
  local: unknown = { slot: 0 }
  /** Calls until one is refused; 0: none. */
  left = 0
  refused: string | undefined
  #ids = 0

  #call(name: string): void {
    if (this.left > 0 && --this.left === 0) {
      this.refused = name
      throw new TypeError(`${name} is refused`)
    }
  }
  hold(): void {}
  resume(): void {}
  takeOutlierEvents = (): never[] => []
  takeWantedHosts = (): never[] => []
  outlierWindow = (): never[] => []
  clusterHosts = (): never[] => []
  resetOutliers(): void {}
  reweigh(): void {}

  allocateSlot(name: string): number {
    this.#call('allocateSlot')
    this.slots.set(++this.#ids, name)
    return this.#ids
  }
  releaseSlot(slot: number): void {
    this.#call('releaseSlot')
    this.slots.delete(slot)
    this.routes.delete(slot)
    this.clusters.delete(slot)
  }
  publishRoutes(slot: number, table: unknown): void {
    this.#call('publishRoutes')
    this.routes.set(slot, table)
  }
  publishCluster(slot: number, cluster: NativeCluster): void {
    this.#call('publishCluster')
    const { hosts, ...rest } = cluster
    this.clusters.set(slot, rest)
    this.hosts.set(slot, new Map(hosts.map((host) => [host.id, host])))
  }
  updateHosts(slot: number, { set, remove }: NativeHostDelta): void {
    this.#call('updateHosts')
    for (const host of set) this.hosts.get(slot)?.set(host.id, host)
    for (const id of remove) this.hosts.get(slot)?.delete(id)
  }
  withdrawCluster(slot: number): void {
    this.#call('withdrawCluster')
    this.clusters.delete(slot)
    this.hosts.delete(slot)
  }
  setLocalCluster(local: unknown): void {
    this.#call('setLocalCluster')
    this.local = local
  }
  publishDirectory(names: readonly unknown[]): void {
    this.#call('publishDirectory')
    this.directory = names
  }
  publishRuntime(values: readonly unknown[]): void {
    this.#call('publishRuntime')
    this.runtime = values
  }
  openLog({ target, rotation }: { target: unknown; rotation: unknown }): number {
    this.#call('openLog')
    this.logs.set(++this.#ids, { target, rotation })
    return this.#ids
  }
  rotateLog(log: number, rotation: unknown): void {
    this.#call('rotateLog')
    this.logs.set(log, { ...(this.logs.get(log) as object), rotation })
  }
  closeLog(log: number): void {
    this.#call('closeLog')
    this.logs.delete(log)
  }
  addListener(listener: NativeListener): string[] {
    this.#call('addListener')
    this.listeners.set(listener.name, listener)
    return ['127.0.0.1:1']
  }
  updateListener(listener: NativeListener): void {
    this.#call('updateListener')
    this.listeners.set(listener.name, listener)
  }
  bindSockets(listener: NativeListener): string[] {
    this.#call('bindSockets')
    this.opened.add(listener.name)
    return ['127.0.0.1:2']
  }
  useSockets(name: string): void {
    this.opened.delete(name) // cannot be refused
  }
  dropSockets(name: string): void {
    this.opened.delete(name)
  }
  drainListener(name: string): void {
    this.#call('drainListener')
    this.draining.add(name)
  }
  removeListener(name: string): void {
    this.#call('removeListener')
    this.listeners.delete(name)
    this.draining.delete(name)
  }

  /** All that workers could tell apart: hosts without the numbers that the main thread gave them. */
  state(): unknown {
    const hosts = [...this.hosts].map(([slot, byId]) => [
      slot,
      [...byId.values()].map((host) => JSON.stringify({ ...(host as object), id: 0 })).sort(),
    ])
    return structuredClone({
      slots: this.slots,
      clusters: this.clusters,
      hosts: new Map(hosts as [number, unknown][]),
      routes: this.routes,
      listeners: this.listeners,
      draining: this.draining,
      opened: this.opened,
      logs: this.logs,
      directory: this.directory,
      // Keys that were asked for once keep their index; what nobody set is nothing.
      runtime: this.runtime.filter((value) => value !== null),
      local: this.local,
    })
  }
}

class Subject {
  readonly core = new FaultyCore()
  readonly runtime = new Runtime()
  readonly clusters: ClusterManager
  readonly deployment: Deployment
  /** What could not be taken back. */
  readonly failures: string[] = []

  constructor() {
    const core = this.core as unknown as NativeCore
    this.clusters = new ClusterManager(core)
    const logs = new LogFiles(core, 1_000)
    this.deployment = new Deployment(core, this.clusters, logs, this.runtime, 1_000, (error) =>
      this.failures.push(String(error)),
    )
  }

  state(): unknown {
    const { deployment, clusters, runtime } = this
    const { createFailure: _, ...counters } = deployment.counters
    return structuredClone({
      core: this.core.state(),
      listeners: deployment.listeners().map(({ updatedAt: _at, ...rest }) => rest),
      draining: deployment.draining,
      names: deployment.clusterNames(),
      routes: deployment.routeTables().map(({ key, table }) => [key, table]),
      counters,
      clusters: clusters.list().map(({ name, slot, cluster }) => [name, slot, cluster]),
      endpoints: clusters.list().map(({ name }) => clusters.endpoints(name).map(text).sort()),
      runtime: runtime.dump(),
      node: deployment.node,
    })
  }
}

const text = (value: unknown): string => JSON.stringify(value)

type Json = Readonly<Record<string, unknown>>
const load = (config: Json): Promise<LoadedConfiguration> =>
  loadConfiguration({ kind: 'text', name: 'x.json', text: JSON.stringify(config) })

/** The one log that all listeners write to, rotated after so many bytes. */
const rotatingLog = (max_bytes: number): Json => ({
  name: 'rotating',
  typed_config: {
    '@type': 'type.googleapis.com/millrace.access_loggers.rotating_file.v1.RotatingFileAccessLog',
    path: '/all.log',
    log_format: { text_format_source: { inline_string: 'x' } },
    rotation: { max_bytes },
  },
})

const listenerOf =
  (max_bytes: number) =>
  (name: string, to: string, port: number): Json =>
    build.httpListener({
      name,
      port,
      routes: [build.route('/', to)],
      manager: { access_log: [build.fileLog(`/${name}.${to}.log`), rotatingLog(max_bytes)] },
    })

const listener = listenerOf(4096)

const configurations = (): Promise<[LoadedConfiguration, LoadedConfiguration]> => {
  const [before, after] = [listenerOf(4096), listenerOf(8192)]
  return Promise.all([
    load({
      ...build.bootstrap(
        [
          before('kept', 'a', 1),
          before('same', 'a', 2),
          before('moved', 'b', 3),
          before('gone', 'b', 4),
        ],
        [
          build.cluster('a', [1]),
          build.cluster('b', [2, 3]),
          build.cluster('gone', [4]),
          build.cluster('us', [5]),
        ],
      ),
      cluster_manager: { local_cluster_name: 'us' },
      node: { id: 'one', cluster: 'c', locality: { zone: 'z' } },
      layered_runtime: { layers: [{ name: 'l', static_layer: { 'upstream.use_retry': 1, a: 1 } }] },
    }),
    load({
      ...build.bootstrap(
        [
          after('kept', 'b', 1),
          after('same', 'a', 2),
          after('moved', 'b', 5),
          after('new', 'new', 6),
        ],
        [
          build.cluster('a', [1, 9], { connect_timeout: '3s' }),
          build.cluster('b', [3, 8]),
          build.cluster('new', [6]),
        ],
      ),
      node: { id: 'two', cluster: 'c' },
      layered_runtime: { layers: [{ name: 'l', static_layer: { 'upstream.use_retry': 2, b: 1 } }] },
    }),
  ])
}

describe('a core that refuses a call', () => {
  it('leaves everything as it was, or what is gone behind, whichever call it is', async () => {
    const [first, second] = await configurations()
    const reference = new Subject()
    reference.deployment.apply(first)
    reference.deployment.apply(second)
    const refused: string[] = []
    for (let nth = 1; ; nth++) {
      const subject = new Subject()
      const { core, deployment } = subject
      deployment.apply(first)
      const before = subject.state()
      core.left = nth
      let failed = true
      try {
        deployment.apply(second)
        failed = false
      } catch (error) {
        expect(String(error)).toContain('is refused')
      }
      if (core.refused === undefined) break
      core.left = 0
      refused.push(`${core.refused}${failed ? '' : ' (in force)'}`)
      if (failed) {
        expect(subject.state(), `call ${nth}: ${core.refused}`).toEqual(before)
        expect(subject.failures).toEqual([])
        deployment.apply(second)
        const { core: after } = reference
        expect(deployment.clusterNames()).toEqual(reference.deployment.clusterNames())
        expect([...core.listeners.keys()].length).toBe(after.listeners.size)
        expect([...core.slots.values()].sort()).toEqual([...after.slots.values()].sort())
      } else {
        // Only what goes cannot be refused any more.
        expect(core.refused).toBe('removeListener')
        expect(subject.failures).toEqual([expect.stringContaining('removeListener is refused')])
        expect(deployment.clusterNames()).toEqual(reference.deployment.clusterNames())
        expect(deployment.listeners().map(({ name }) => name)).toEqual(
          reference.deployment.listeners().map(({ name }) => name),
        )
      }
    }
    const kinds = new Set(refused)
    for (const kind of [
      'addListener',
      'allocateSlot',
      'openLog',
      'rotateLog',
      'publishCluster',
      'publishDirectory',
      'publishRoutes',
      'publishRuntime',
      'setLocalCluster',
      'updateListener',
      'bindSockets',
      'removeListener (in force)',
    ]) {
      expect([...kinds]).toContain(kind)
    }
  })

  it('keeps nothing else that lingered from being given back, and is told of', async () => {
    const [first, second] = await configurations()
    const { core, deployment, failures } = new Subject()
    deployment.apply(first)
    deployment.apply(second)
    const logs = core.logs.size
    await vi.advanceTimersByTimeAsync(500) // workers are told of hosts
    core.left = 1
    await vi.advanceTimersByTimeAsync(2_000)
    expect(failures).toEqual([expect.stringContaining(`${core.refused} is refused`)])
    expect(core.logs.size).toBeLessThan(logs)
    expect([...core.slots.values()]).not.toContain('cluster us')
  })

  it('the first configuration leaves nothing', async () => {
    const [first] = await configurations()
    const empty = new Subject().state()
    for (let nth = 1; ; nth++) {
      const subject = new Subject()
      subject.core.left = nth
      try {
        subject.deployment.apply(first)
      } catch {}
      if (subject.core.refused === undefined) break
      expect(subject.state(), `call ${nth}: ${subject.core.refused}`).toEqual(empty)
    }
  })

  it('leaves the endpoints that a program set', async () => {
    const [first, second] = await configurations()
    for (let nth = 1; ; nth++) {
      const subject = new Subject()
      subject.deployment.apply(first)
      const [host] = subject.clusters.endpoints('a')
      if (!host) throw new Error('a host is wanted')
      const other = { ...host, address: { ip: '10.0.0.1', port: 1 } }
      subject.clusters.changeEndpoints('a', [other], [host])
      await vi.runAllTimersAsync()
      subject.core.left = nth
      let failed = false
      try {
        subject.deployment.apply(second)
      } catch {
        failed = true
      }
      if (subject.core.refused === undefined) break
      if (failed) expect(subject.clusters.endpoints('a'), `call ${nth}`).toEqual([other])
    }
  })
})

describe('a cluster that finds its hosts', () => {
  const config = 'type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig'
  const found = {
    name: 'x',
    lb_policy: 'CLUSTER_PROVIDED',
    cluster_type: { name: 'aggregate', typed_config: { '@type': config, clusters: ['a'] } },
  }
  const bootstrap = (a: Json, x: Json, more: Json = {}): Promise<LoadedConfiguration> =>
    load({ ...build.bootstrap([listener('l', 'x', 1)], [a, x]), ...more })

  it('goes on to after a change that was refused, whichever step refused it', async () => {
    const first = await bootstrap(build.cluster('a', [1]), found)
    const second = await bootstrap(build.cluster('a', [2]), build.cluster('x', [9]), {
      layered_runtime: { layers: [{ name: 'l', static_layer: { 'upstream.use_retry': 2 } }] },
    })
    let steps = 0
    for (let nth = 1; ; nth++) {
      const { core, clusters, deployment } = new Subject()
      deployment.apply(first)
      const [host] = clusters.endpoints('a')
      if (!host) throw new Error('a host is wanted')
      expect(clusters.endpoints('x').map(({ address }) => address)).toEqual([host.address])
      core.left = nth
      let failed = false
      try {
        deployment.apply(second)
      } catch {
        failed = true
      }
      if (core.refused === undefined) break
      core.left = 0
      if (!failed) continue
      steps++
      const other = { ...host, address: { ip: '10.0.0.1', port: 1 } }
      clusters.changeEndpoints('a', [other], [host])
      await vi.runAllTimersAsync()
      expect(
        clusters.endpoints('x').map(({ address }) => address),
        `call ${nth}: ${core.refused}`,
      ).toEqual([other.address])
    }
    expect(steps).toBeGreaterThan(0)
  })

  it('that came back in a refused configuration is as much gone as before', async () => {
    const first = await bootstrap(build.cluster('a', [1]), build.cluster('x', [9]))
    const without = await load(build.bootstrap([listener('l', 'a', 1)], [build.cluster('a', [1])]))
    const { core, clusters, deployment } = new Subject()
    deployment.apply(first)
    deployment.apply(without)
    const retired = vi.spyOn(ManagedCluster.prototype, 'retire')
    vi.spyOn(core, 'publishRoutes').mockImplementationOnce(() => {
      throw new TypeError('refused')
    })
    expect(() => deployment.apply(first)).toThrow('refused')
    expect(retired.mock.contexts).toContain(
      clusters.managed().find((one) => one.definition.name === 'x'),
    )
    retired.mockRestore()
  })
})

describe('a runtime key that is part of clusters', () => {
  it('is in force when the configuration is applied again, which is known of it', async () => {
    const [first] = await configurations()
    const subject = new Subject()
    const { core, deployment, runtime } = subject
    deployment.apply(first)
    const clusterA = (): { lb: object; breakers: { default: object } } =>
      [...core.clusters.values()].find((one) => (one as { name: string }).name === 'a') as never
    for (const [key, value] of [
      ['upstream.maintenance_mode.a', 100],
      ['circuit_breakers.a.default.max_requests', 7],
    ] as const) {
      runtime.override(key, value)
      const again = deployment.compiledWith(key)
      if (!again) throw new Error(`${key} is part of clusters`)
      expect(deployment.apply(again).clustersPublished).toEqual(['a'])
    }
    expect(clusterA().lb).toMatchObject({ maintenancePerMillion: 1_000_000 })
    expect(clusterA().breakers.default).toMatchObject({ maxRequests: 7 })
    runtime.override('upstream.maintenance_mode.a', undefined)
    deployment.apply(first)
    expect(clusterA().lb).not.toHaveProperty('maintenancePerMillion')
    expect(deployment.compiledWith('some.other.key')).toBeUndefined()
  })
})
