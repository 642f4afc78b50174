import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ClusterManager } from '../../../src/cluster/manager.ts'
import { type LoadedConfiguration, loadConfiguration } from '../../../src/config/index.ts'
import { Runtime } from '../../../src/runtime/runtime.ts'
import { Deployment } from '../../../src/server/deployment.ts'
import { LogFiles } from '../../../src/server/log_files.ts'
import { atOnce } from '../../../src/slices.ts'
import * as build from '../../integration/support/config.ts'
import { RecordingCore } from './recording_core.ts'

const kDrainMs = 1_000
let core: RecordingCore
let deployment: Deployment

beforeEach(() => {
  vi.useFakeTimers()
  core = new RecordingCore()
  const clusters = new ClusterManager(core.asCore())
  const logs = new LogFiles(core.asCore(), 1_000)
  deployment = new Deployment(core.asCore(), clusters, logs, new Runtime(), kDrainMs, (error) => {
    throw error
  })
})
afterEach(() => {
  vi.useRealTimers()
})

type Json = Readonly<Record<string, unknown>>

async function load(config: Json): Promise<LoadedConfiguration> {
  return loadConfiguration({ kind: 'text', name: 'test.json', text: JSON.stringify(config) })
}

/** One listener for each name; each sends everything to the cluster of its letter. */
function config(listeners: readonly Json[], clusters: Record<string, number>): Json {
  const list = Object.entries(clusters).map(([name, port]) => build.cluster(name, [port]))
  return build.bootstrap(listeners, list)
}
const listener = (name: string, to: string, more: object = {}): Json =>
  build.httpListener({ name, routes: [build.route('/', to)], ...more })

describe('a first configuration', () => {
  it('publishes clusters and routes before it binds', async () => {
    const changes = deployment.apply(await load(config([listener('main', 'a')], { a: 1 })))
    const kinds = core.take().map((call) => call.split(' ')[0])
    expect(kinds.indexOf('cluster')).toBeLessThan(kinds.indexOf('add'))
    expect(kinds.indexOf('routes')).toBeLessThan(kinds.indexOf('add'))
    expect(kinds.filter((kind) => kind === 'routes')).toHaveLength(1)
    expect(kinds.filter((kind) => kind === 'cluster')).toHaveLength(1)
    expect(changes).toMatchObject({ listenersAdded: ['main'], clustersPublished: ['a'] })
  })

  it('gives back everything when a listener cannot be bound', async () => {
    core.taken.add('two')
    const loaded = await load(config([listener('one', 'a'), listener('two', 'a')], { a: 1 }))
    expect(() => deployment.apply(loaded)).toThrow('EADDRINUSE')
    const calls = core.take()
    expect(calls).toContain('remove one 0 0')
    const allocated = calls.filter((call) => call.startsWith('allocate')).length
    const released = calls.filter((call) => call.startsWith('release')).length
    expect(released).toBe(allocated)
    expect(core.listeners.size).toBe(0)
    expect(deployment.counters.createFailure).toBe(1)
  })

  it('tells the core of the local cluster, once it is in force, and of none when it is gone', async () => {
    const local = {
      ...config([listener('main', 'a')], { a: 1, us: 2 }),
      cluster_manager: { local_cluster_name: 'us' },
      node: { locality: { zone: 'z' } },
    }
    deployment.apply(await load(local))
    const node = { region: '', zone: 'z', subZone: '', weight: 0, priority: 0 }
    const slot = core.take().flatMap((call) => /^cluster (\d+) us$/.exec(call)?.[1] ?? [])[0]
    expect(core.local).toEqual({ slot: Number(slot), node })
    deployment.apply(await load(config([listener('main', 'a')], { a: 1 })))
    expect(core.local).toEqual({ slot: 0 })
  })

  it('gives back everything when a log cannot be opened', async () => {
    const manager = { access_log: [build.fileLog('/yes'), build.fileLog('/no')] }
    const loaded = await load(config([listener('main', 'a', { manager })], { a: 1 }))
    expect(() => deployment.apply(loaded)).toThrow('ENOENT')
    const calls = core.take()
    expect(calls).toContain('open /yes')
    expect(calls).toContain('close 1')
  })
})

describe('a second configuration', () => {
  const first = config([listener('main', 'a')], { a: 1, b: 2 })
  beforeEach(async () => {
    deployment.apply(await load(first))
    core.take()
  })

  /** What happened, without what is always told again and costs nothing. */
  async function apply(next: Json): Promise<string[]> {
    deployment.apply(await load(next))
    await Promise.resolve()
    return core.take().filter((call) => !call.startsWith('runtime'))
  }

  it('that is the same does nothing', async () => {
    expect(await apply(first)).toEqual([])
  })

  it('that changes hosts of a cluster publishes those hosts', async () => {
    const calls = await apply(config([listener('main', 'a')], { a: 1, b: 3 }))
    expect(calls).toEqual([expect.stringMatching(/^hosts \d+ \+1 -0$/)])
  })

  it('that changes a route publishes that table', async () => {
    const calls = await apply(config([listener('main', 'b')], { a: 1, b: 2 }))
    expect(calls).toEqual([expect.stringMatching(/^routes \d+ /)])
  })

  it('that changes a filter updates the listener in place', async () => {
    const manager = { server_name: 'other' }
    const calls = await apply(config([listener('main', 'a', { manager })], { a: 1, b: 2 }))
    expect(calls).toEqual(['update main'])
  })

  it('that moves a listener exchanges its sockets', async () => {
    const moved = listener('main', 'a', { port: 20_001 })
    const calls = await apply(config([moved], { a: 1, b: 2 }))
    expect(calls).toEqual(['bind main', 'update main', 'use main'])
    expect(deployment.listeners().map(({ name, addresses }) => [name, addresses])).toEqual([
      ['main', ['127.0.0.1:2']],
    ])
    expect(deployment.draining).toBe(0)
  })

  it('that renames a listener updates it in place', async () => {
    const calls = await apply(config([listener('other', 'a')], { a: 1, b: 2 }))
    expect(calls.filter((call) => /^(add|bind|update|remove)/.test(call))).toEqual(['update main'])
    expect(deployment.listeners().map(({ name, coreName }) => [name, coreName])).toEqual([
      ['other', 'main'],
    ])
    const again = await apply(
      config([listener('other', 'a'), listener('main', 'a', { port: 20_002 })], { a: 1, b: 2 }),
    )
    expect(again.filter((call) => call.startsWith('add'))).toEqual(['add main#2'])
    expect(deployment.draining).toBe(0)
  })

  it('that cannot be bound leaves no socket behind', async () => {
    core.taken.add('more')
    const moved = listener('main', 'a', { port: 20_001 })
    const both = config([moved, listener('more', 'a', { port: 20_002 })], { a: 1, b: 2 })
    await expect(apply(both)).rejects.toThrow('EADDRINUSE')
    const sockets = core.take().filter((call) => /^(bind|add|drop|remove)/.test(call))
    expect(sockets).toEqual(['bind main', 'drop main'])
    expect(deployment.counters.createFailure).toBe(1)
  })

  it('that removes a cluster lets it linger for the drain time', async () => {
    const calls = await apply(config([listener('main', 'a')], { a: 1 }))
    expect(calls).toEqual([expect.stringMatching(/^directory a \d+$/)])
    vi.advanceTimersByTime(kDrainMs)
    expect(core.take()).toEqual([
      expect.stringMatching(/^withdraw/),
      expect.stringMatching(/^release/),
    ])
  })

  it('that brings it back in time keeps it', async () => {
    await apply(config([listener('main', 'a')], { a: 1 }))
    expect(await apply(first)).toEqual([expect.stringMatching(/^directory/)])
    vi.advanceTimersByTime(kDrainMs * 2)
    expect(core.take()).toEqual([])
  })

  it('that brings it back keeps it, though its time ends meanwhile', async () => {
    await apply(config([listener('main', 'a')], { a: 1 }))
    const steps = deployment.prepare(await load(first))
    steps.next()
    vi.advanceTimersByTime(kDrainMs)
    const commit = atOnce(steps).commit()
    commit.next()
    vi.advanceTimersByTime(kDrainMs)
    atOnce(commit)
    expect(core.take().filter((call) => /^(withdraw|release)/.test(call))).toEqual([])
    expect(await apply(first)).toEqual([])
  })

  it('that wanted it back, and fails, lets it go when its time ended meanwhile', async () => {
    await apply(config([listener('main', 'a')], { a: 1 }))
    const prepared = atOnce(deployment.prepare(await load(first)))
    vi.advanceTimersByTime(kDrainMs)
    expect(core.take().filter((call) => call.startsWith('withdraw'))).toEqual([])
    prepared.undo()
    expect(core.take().filter((call) => call.startsWith('withdraw'))).toHaveLength(1)
  })

  it('that fails leaves the first in force, and what it needs', async () => {
    core.taken.add('new')
    const next = config([listener('main', 'b'), listener('new', 'c')], { a: 9, b: 2, c: 3 })
    await expect(apply(next)).rejects.toThrow('EADDRINUSE')
    const calls = core.take()
    expect(calls.filter((call) => /^(update|drain|directory)/.test(call))).toEqual([])
    expect(calls).not.toContainEqual(expect.stringMatching(/^cluster \d+ a$/))
    expect(deployment.listeners().map(({ name }) => name)).toEqual(['main'])
    expect(await apply(first)).toEqual([])
  })
})
