// Every call of a proxy in every phase of its life: each is carried out, or refused by name, and
// nothing that waits is forgotten.
//
//   loading → resolving → warming → listening → reloading → draining → stopping

import { afterEach, describe, expect, it } from 'vitest'
import { MillraceError, type ProxyConfiguration, Proxy as TestedProxy } from '../../dist/index.js'
import { temporaryFolder, write } from './support/files.ts'
import { get, RawClient } from './support/peers.ts'
import {
  fifo,
  fullFifo,
  heldService,
  kMain,
  resolving,
  serving,
  servingTwice,
  warming,
} from './support/phases.ts'

/** A proxy that stays in its phase, and what waits in it. */
interface Held {
  readonly proxy: TestedProxy
  /** The start, or an apply, that waits. */
  readonly waiting?: Promise<unknown>
  readonly next: ProxyConfiguration
  readonly release?: () => void
}

const open = new Set<TestedProxy>()
afterEach(async () => {
  await Promise.all([...open].map((proxy) => proxy.close()))
  open.clear()
})

function make(configuration: unknown): TestedProxy {
  const proxy = new TestedProxy(configuration as ProxyConfiguration, { concurrency: 1 })
  open.add(proxy)
  return proxy
}

/** Resolves when the proxy says that it waits for clusters. */
function saysWaiting(proxy: TestedProxy): Promise<void> {
  return new Promise((resolve) => {
    proxy.on('log', ({ message }) => {
      if (message === 'waiting for clusters') resolve()
    })
  })
}

async function loading(): Promise<Held> {
  const proxy = make({ file: fifo(temporaryFolder(), 'config') })
  const waiting = proxy.start()
  return { proxy, waiting, next: serving(1) as never }
}

async function starting(cluster: Readonly<Record<string, unknown>>): Promise<Held> {
  const proxy = make(serving(1, [cluster]))
  const says = saysWaiting(proxy)
  const waiting = proxy.start()
  await says
  return { proxy, waiting, next: serving(1) as never }
}

async function listening(): Promise<Held> {
  const { port } = await heldService()
  const proxy = make(serving(port))
  await proxy.start()
  return { proxy, next: servingTwice(port) as never }
}

async function reloading(): Promise<Held> {
  const { port } = await heldService()
  const proxy = make(serving(port))
  await proxy.start()
  const says = saysWaiting(proxy)
  const waiting = proxy.apply(servingTwice(port, [await resolving()]) as never)
  await says
  return { proxy, waiting, next: serving(port) as never }
}

async function draining(): Promise<Held> {
  const service = await heldService()
  const proxy = make(serving(service.port))
  await proxy.start()
  const client = await RawClient.connect(proxy.addresses[0]?.port ?? 0)
  client.send(get('/held'))
  await expect.poll(service.held).toBe(1)
  const waiting = proxy.drain()
  return { proxy, waiting, next: serving(1) as never, release: service.release }
}

async function stopping(): Promise<Held> {
  const { port } = await heldService()
  const log = fullFifo(temporaryFolder(), 'log')
  const proxy = make(serving(port, [], log.path))
  await proxy.start()
  await (await fetch(`http://${proxy.addresses[0]?.text}/`)).text()
  const waiting = proxy.close()
  return { proxy, waiting, next: serving(1) as never, release: log.close }
}

const phases = {
  loading,
  resolving: async () => starting(await resolving()),
  warming: async () => starting(await warming()),
  listening,
  reloading,
  draining,
  stopping,
} as const

type Phase = keyof typeof phases

const calls = {
  start: ({ proxy }: Held) => proxy.start(),
  apply: ({ proxy, next }: Held) => proxy.apply(next),
  'apply of a file': ({ proxy, next }: Held) =>
    proxy.apply({ file: write(temporaryFolder(), 'next.json', next) }),
  'apply of what is wrong': ({ proxy }: Held) => proxy.apply('listen: []' as never),
  setEndpoints: async ({ proxy }: Held) => proxy.cluster('web').setEndpoints([1]),
  updateEndpoints: async ({ proxy }: Held) => proxy.cluster('web').updateEndpoints({ set: [2] }),
  'runtime.set': async ({ proxy }: Held) => proxy.runtime.set('a', 1),
  stats: async ({ proxy }: Held) => (await proxy.stats({ interval: 1 }).next()).value,
  reopenLogs: async ({ proxy }: Held) => proxy.reopenLogs(),
  drain: ({ proxy }: Held) => proxy.drain({ deadline: 0 }),
  close: ({ proxy }: Held) => proxy.close(),
} as const

type Call = keyof typeof calls

const kNotStarted = 'ERR_MILLRACE_NOT_STARTED'
const kDraining = 'ERR_MILLRACE_DRAINING'
const kClosed = 'ERR_MILLRACE_CLOSED'
const all = Object.keys(calls) as readonly Call[]
const others = (code: string, own: Partial<Record<Call, string>>): Record<Call, string> =>
  Object.fromEntries(all.map((call) => [call, own[call] ?? code])) as Record<Call, string>

const kConfig = 'ERR_MILLRACE_CONFIG'
const early = others(kNotStarted, { start: 'waits', close: 'ok' })
const live = others('ok', { 'apply of what is wrong': kConfig })
const outcomes: Readonly<Record<Phase, Readonly<Record<Call, string>>>> = {
  loading: early,
  resolving: early,
  warming: early,
  listening: live,
  reloading: live,
  draining: others(kDraining, { start: 'ok', drain: 'waits', close: 'ok' }),
  stopping: others(kClosed, { start: 'ok', close: 'ok' }),
}

/** What becomes of what waits. */
const fates: Readonly<Partial<Record<Phase, Partial<Record<Call, string>>>>> = {
  loading: { close: kClosed },
  resolving: { close: kClosed },
  warming: { close: kClosed },
  reloading: {
    apply: 'ERR_MILLRACE_SUPERSEDED',
    'apply of a file': 'ERR_MILLRACE_SUPERSEDED',
    drain: kDraining,
    close: kClosed,
  },
  draining: { close: 'ok' },
  stopping: { close: 'ok' },
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'ok',
    (error: unknown) => (error instanceof MillraceError ? error.code : String(error)),
  )
}

const cells = (Object.keys(phases) as Phase[]).flatMap((phase) =>
  all.map((call) => ({ phase, call, outcome: outcomes[phase][call] })),
)

describe('a proxy', () => {
  it.each(cells)('while it is $phase, $call: $outcome', async ({ phase, call, outcome }) => {
    const held = await phases[phase]()
    const waiting = held.waiting && codeOf(held.waiting)
    // It is made already, and what is refused is refused at once.
    const made = codeOf((async () => calls[call](held))())
    if (outcome !== 'waits') expect(await made).toBe(outcome)
    const fate = fates[phase]?.[call]
    if (fate !== undefined) expect(await waiting).toBe(fate)
    if (fate !== 'ok' && phase !== 'listening') {
      const opened = held.proxy.addresses.map(({ listener }) => listener)
      expect(opened.filter((name) => name !== kMain)).toEqual([])
    }
    held.release?.()
    await held.proxy.close()
    expect(await Promise.all([made, waiting])).not.toContain('waits')
    expect(held.proxy.state).toBe('closed')
  })
})
