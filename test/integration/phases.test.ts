// Every signal and every call of the admin interface in every phase of a process's life: each has a
// defined outcome, and none but those that end it ends it.
//
//   loading → resolving → warming → listening → reloading → draining → stopping

import { describe, expect, it } from 'vitest'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { get, RawClient } from './support/peers.ts'
import {
  fifo,
  fullFifo,
  heldService,
  kMain,
  replace,
  resolving,
  serving,
  servingTwice,
  warming,
} from './support/phases.ts'

/** A process that stays in its phase, until it is told to end. */
interface Held {
  readonly millrace: Millrace
  /** What holds it is over; it comes to its end after a signal that ends. */
  release(): void
}

const nothing = (): void => {}

async function loading(): Promise<Held> {
  const millrace = Millrace.spawn(['-c', fifo(temporaryFolder(), 'config'), '--admin', '0'])
  await millrace.log('waiting for the configuration')
  return { millrace, release: nothing }
}

async function waiting(cluster: Readonly<Record<string, unknown>>): Promise<Held> {
  const path = write(temporaryFolder(), 'config.json', serving(1, [cluster]))
  const millrace = Millrace.spawn(['-c', path, '--admin', '0'])
  await millrace.log('waiting for clusters')
  return { millrace, release: nothing }
}

async function listening(): Promise<Held> {
  const { port } = await heldService()
  const path = write(temporaryFolder(), 'config.json', serving(port))
  return { millrace: await Millrace.start(['-c', path]), release: nothing }
}

async function reloading(): Promise<Held> {
  const { port } = await heldService()
  const folder = temporaryFolder()
  const path = write(folder, 'config.json', serving(port))
  const millrace = await Millrace.start(['-c', path])
  replace(folder, path, servingTwice(port, [await resolving()]))
  millrace.signal('SIGHUP')
  await millrace.log('waiting for clusters')
  return { millrace, release: nothing }
}

async function draining(): Promise<Held> {
  const service = await heldService()
  const path = write(temporaryFolder(), 'config.json', serving(service.port))
  const millrace = await Millrace.start(['-c', path])
  const client = await RawClient.connect(millrace.port(kMain))
  client.send(get('/held'))
  await expect.poll(service.held).toBe(1)
  millrace.signal('SIGTERM')
  await millrace.log('draining')
  return { millrace, release: service.release }
}

/** The access log takes nothing, and is waited for. */
async function stopping(): Promise<Held> {
  const { port } = await heldService()
  const folder = temporaryFolder()
  const log = fullFifo(folder, 'log')
  const path = write(folder, 'config.json', serving(port, [], log.path))
  const millrace = await Millrace.start(['-c', path])
  expect(await (await fetch(millrace.url())).text()).toBe('answered')
  millrace.signal('SIGTERM')
  await millrace.log('draining')
  // The admin interface is closed before the core stops.
  await expect
    .poll(() =>
      fetch(millrace.admin('/ready')).then(
        () => '',
        () => 'gone',
      ),
    )
    .toBe('gone')
  return { millrace, release: log.close }
}

const phases = {
  loading,
  resolving: async () => waiting(await resolving()),
  warming: async () => waiting(await warming()),
  listening,
  reloading,
  draining,
  stopping,
} as const

type Phase = keyof typeof phases
const names = Object.keys(phases) as readonly Phase[]

/** What is said of a signal that does not end the process. */
const said: Readonly<Record<Phase, Readonly<Record<string, RegExp>>>> = {
  loading: {
    SIGHUP: /^the file will be loaded again: it is being read already$/,
    SIGUSR1: /^no log file is open yet$/,
  },
  resolving: { SIGHUP: /^configuration reloaded$|^$/, SIGUSR1: /^log files reopened$/ },
  warming: { SIGHUP: /^configuration reloaded$|^$/, SIGUSR1: /^log files reopened$/ },
  listening: { SIGHUP: /^configuration reloaded$/, SIGUSR1: /^log files reopened$/ },
  reloading: { SIGHUP: /^$/, SIGUSR1: /^log files reopened$/ },
  draining: {
    SIGHUP: /^reload refused: the process is ending$/,
    SIGUSR1: /^log files reopened$/,
  },
  // The main thread may wait for the logs, and then leaves before it hears of them.
  stopping: { SIGHUP: /^$/, SIGUSR1: /^$/, SIGUSR2: /^$/ },
}

const alive = ({ child }: Millrace): boolean => child.exitCode === null && child.signalCode === null

describe.each(names)('while it is %s', (phase) => {
  it('a signal that does not end it means what it means, or is refused with a word', async () => {
    const { millrace, release } = await phases[phase]()
    for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) {
      const from = millrace.lines.length
      millrace.signal(signal)
      const wanted = said[phase][signal] ?? /^this signal means nothing here$/
      if (wanted.test('')) continue // it may be joined with what goes on, and so say nothing
      await millrace.until(`${signal}: ${wanted}`, () => {
        return millrace.lines.slice(from).find(({ msg }) => wanted.test(msg))
      })
      expect(alive(millrace)).toBe(true)
    }
    expect(millrace.otherLines.join('\n')).not.toContain('Debugger')
    if (phase !== 'stopping') millrace.signal('SIGTERM')
    release()
    expect(await millrace.exited).toEqual({ code: 0, signal: null })
    expect(millrace.lines.at(-1)?.msg).toBe('stopped')
  })

  it.each(['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)('%s ends it with 0', async (signal) => {
    const { millrace, release } = await phases[phase]()
    millrace.signal(signal)
    if (phase !== 'draining' && phase !== 'stopping') {
      const waits = phase !== 'listening' && phase !== 'reloading'
      await millrace.log(waits ? 'ending before the start was over' : 'draining')
    } else if (phase === 'draining') {
      await millrace.log('ending at once') // the request is not waited for any more
    }
    expect(await millrace.exited).toEqual({ code: 0, signal: null })
    expect(millrace.lines.at(-1)?.msg).toBe('stopped')
    const listeners = millrace.lines.filter(({ msg }) => msg === 'listening')
    expect(listeners.some(({ listener }) => listener === 'second')).toBe(false)
    release()
  })
})

/** Without `loading` and `stopping`: then it does not listen. */
const answers: Readonly<Record<string, readonly (readonly [string, number, string])[]>> = {
  resolving: [
    ['GET /ready', 503, 'INITIALIZING\n'],
    ['POST /healthcheck/fail', 200, 'OK\n'],
    ['POST /healthcheck/ok', 200, 'OK\n'],
    ['POST /reopen_logs', 200, 'OK\n'],
    ['POST /drain_listeners', 409, 'not live yet'],
    ['POST /drain_listeners?graceful&skip_exit', 409, 'not live yet'],
    ['GET /stats', 200, 'server.state: 3\n'],
    ['GET /clusters', 200, ''],
    ['GET /config_dump', 200, ''],
    ['POST /quitquitquit', 200, 'OK\n'],
  ],
  listening: [
    ['POST /healthcheck/fail', 200, 'OK\n'],
    ['GET /ready', 503, 'DRAINING\n'],
    ['POST /healthcheck/ok', 200, 'OK\n'],
    ['GET /ready', 200, 'LIVE\n'],
    ['POST /reopen_logs', 200, 'OK\n'],
    ['GET /stats', 200, 'server.state: 0\n'],
    ['POST /drain_listeners?graceful&skip_exit', 200, 'OK\n'],
    ['GET /ready', 200, 'LIVE\n'],
    ['POST /drain_listeners', 200, 'OK\n'],
    ['POST /quitquitquit', 200, 'OK\n'],
  ],
  draining: [
    ['GET /ready', 503, 'DRAINING\n'],
    ['POST /healthcheck/fail', 200, 'OK\n'],
    ['POST /healthcheck/ok', 200, 'OK\n'],
    ['GET /ready', 503, 'DRAINING\n'],
    ['POST /reopen_logs', 200, 'OK\n'],
    ['POST /drain_listeners', 200, 'OK\n'],
    ['POST /drain_listeners?graceful&skip_exit', 200, 'OK\n'],
    ['GET /stats', 200, 'server.state: 1\n'],
    ['POST /quitquitquit', 200, 'OK\n'],
  ],
}

describe('the admin interface', () => {
  it.each([
    ['resolving', 'resolving'],
    ['warming', 'resolving'],
    ['listening', 'listening'],
    ['reloading', 'listening'],
    ['draining', 'draining'],
  ] as const)('answers while it is %s, as while %s', async (phase, like) => {
    const { millrace, release } = await phases[phase]()
    for (const [call, status, part] of answers[like] ?? []) {
      const [method = '', path = ''] = call.split(' ')
      const answer = await fetch(millrace.admin(path), { method })
      expect([call, answer.status]).toEqual([call, status])
      expect(await answer.text()).toContain(part)
    }
    expect(await millrace.exited).toEqual({ code: 0, signal: null })
    expect(millrace.lines.at(-1)?.msg).toBe('stopped')
    release()
  })

  it('stops listeners for good: a reload under way, and later ones, are refused', async () => {
    const { millrace } = await reloading()
    await fetch(millrace.admin('/drain_listeners'), { method: 'POST' })
    const refused = 'reload refused: the configuration in force stays'
    expect((await millrace.log(refused)).error).toContain('the listeners were stopped')
    millrace.signal('SIGHUP')
    expect((await millrace.log(refused, 1)).error).toContain('the listeners were stopped')
    expect(await (await fetch(millrace.admin('/listeners'))).text()).not.toContain('second')
    expect(await millrace.stop()).toEqual({ code: 0, signal: null })
  })
})
