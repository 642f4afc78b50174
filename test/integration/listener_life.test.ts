// Listeners come, go and change while clients connect: no connection that was made is lost.

import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { bootstrap, cluster, httpListener, route, simple } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Load } from './support/load.ts'
import { Millrace } from './support/millrace.ts'
import { closedPort, get, RawClient, sayingService } from './support/peers.ts'

type Json = Readonly<Record<string, unknown>>

/** Clients that connect, ask once, and come again, until told to stop. */
class Newcomers {
  answered = 0
  refused = 0
  /** Connected, and got no answer. */
  readonly lost: string[] = []
  readonly #loops: Promise<void>[]
  #stopping = false

  constructor(where: { port: number; host?: string } | { path: string }, count = 8) {
    this.#loops = Array.from({ length: count }, async () => {
      while (!this.#stopping) await this.#one(where)
    })
  }

  #one(where: { port: number; host?: string } | { path: string }): Promise<void> {
    return new Promise((resolve) => {
      let text = ''
      let connected = false
      let code = 'closed'
      const socket = connect(where as { port: number })
      socket.on('connect', () => {
        connected = true
        socket.write(get('/', 'Connection: close\r\n'))
      })
      socket.on('data', (chunk) => {
        text += chunk
      })
      socket.on('error', (error: NodeJS.ErrnoException) => {
        code = error.code ?? error.message
      })
      socket.on('close', () => {
        if (/^HTTP\/1\.1 200 /.test(text)) this.answered++
        else if (connected) this.lost.push(`${code} ${text.slice(0, 30)}`)
        else this.refused++
        setImmediate(resolve)
      })
    })
  }

  async stop(): Promise<this> {
    this.#stopping = true
    await Promise.all(this.#loops)
    return this
  }
}

const stopping = new Set<Newcomers | Load>()
afterEach(async () => {
  for (const each of stopping) await each.stop()
  stopping.clear()
})
function during<T extends Newcomers | Load>(load: T): T {
  stopping.add(load)
  return load
}

async function started(config: Json, ...args: string[]): Promise<[Millrace, (c: Json) => void]> {
  const folder = temporaryFolder()
  const path = write(folder, 'config.json', config)
  const millrace = await Millrace.start(['-c', path, '--concurrency', '2', ...args])
  return [
    millrace,
    (next) => {
      write(folder, 'config.json', next)
      millrace.signal('SIGHUP')
    },
  ]
}

const until = (seen: () => number, more: number): Promise<void> => {
  const from = seen()
  return expect.poll(() => seen() - from).toBeGreaterThan(more)
}

describe('SIGTERM', () => {
  it('answers whoever is connected, and loses nobody', async () => {
    for (let round = 0; round < 4; round++) {
      const [millrace] = await started(simple([await sayingService('x')]))
      const port = millrace.port()
      const newcomers = during(new Newcomers({ port, host: '127.0.0.1' }))
      await until(() => newcomers.answered, 50)
      millrace.signal('SIGTERM')
      expect(await millrace.exited).toEqual({ code: 0, signal: null })
      expect((await newcomers.stop()).lost).toEqual([])
      expect(millrace.lines.at(-1)).toMatchObject({ msg: 'stopped', connectionsCut: 0 })
    }
  })

  it('tells keep-alive clients with a response; each of their requests is answered', async () => {
    const [millrace] = await started(simple([await sayingService('x')]))
    const clients = await Promise.all(
      Array.from({ length: 6 }, () => RawClient.connect(millrace.port())),
    )
    const ask = async (client: RawClient): Promise<string> => {
      client.text = ''
      client.send(get('/'))
      return client.until((text) => text.endsWith('\r\n\r\nx') || client.ended)
    }
    await Promise.all(clients.map(ask))
    millrace.signal('SIGTERM')
    await millrace.log('draining')
    // They are idle, and ask again in the time that a drain gives them.
    for (const client of clients) {
      expect((await ask(client)).toLowerCase()).toContain('\r\nconnection: close\r\n')
    }
    expect(await millrace.exited).toEqual({ code: 0, signal: null })
  })
})

describe('a graceful drain that goes on accepting', () => {
  it('loses no request, of new connections and of old ones', async () => {
    const [millrace] = await started(simple([await sayingService('x')]), '--drain-time-s', '3')
    const newcomers = during(new Newcomers({ port: millrace.port(), host: '127.0.0.1' }, 4))
    const load = during(new Load(millrace.url(), 4))
    await until(() => load.completed, 50)
    await fetch(millrace.admin('/drain_listeners?graceful&skip_exit'), { method: 'POST' })
    await new Promise((resolve) => setTimeout(resolve, 4_000))
    await until(() => load.completed, 50)
    await until(() => newcomers.answered, 50)
    expect((await load.stop()).failures).toEqual([])
    const { lost, refused } = await newcomers.stop()
    expect([lost, refused]).toEqual([[], 0])
  })
})

describe('a reload that changes a listener', () => {
  const main = (fields: Json, name = 'main'): Json =>
    httpListener({ name, routes: [route('/', 'web')], fields })
  const tcp = (port: number, address = '127.0.0.1'): Json => ({
    socket_address: { address, port_value: port },
  })
  const pipe = (path: string): Json => ({ pipe: { path, mode: 0o600 } })

  /** Reloads back and forth while clients connect. */
  async function changes(
    where: { port: number; host: string } | { path: string },
    configs: readonly Json[],
  ): Promise<Newcomers> {
    const web = [cluster('web', [await sayingService('x')])]
    const whole = configs.map((listener) => bootstrap([listener], web))
    const [millrace, rewrite] = await started(whole[0] as Json, '--drain-time-s', '1')
    const newcomers = during(new Newcomers(where))
    for (let i = 1; i <= 8; i++) {
      await until(() => newcomers.answered, 10)
      rewrite(whole[i % whole.length] as Json)
      await millrace.log('configuration reloaded', i - 1)
    }
    await until(() => newcomers.answered, 10)
    return newcomers.stop()
  }

  it.each([
    ['options that touch no socket', {}],
    ['one socket for all workers', { enable_reuse_port: false }],
  ])('%s', async (_what, more) => {
    const address = tcp(await closedPort())
    const { port_value: port } = (address as { socket_address: { port_value: number } })
      .socket_address
    const { lost, refused } = await changes({ port, host: '127.0.0.1' }, [
      main({ address, ...more }),
      main({ address, ...more, stat_prefix: 'other', drain_type: 'MODIFY_ONLY' }),
      main({ address, ...more, tcp_backlog_size: 77 }),
      main({ address, ...more, additional_addresses: [{ address: tcp(0, '127.0.0.2') }] }),
      main({ address, ...more }, 'renamed'),
    ])
    expect([lost, refused]).toEqual([[], 0])
  })

  it('a unix socket', async () => {
    const path = join(temporaryFolder(), 'proxy.sock')
    const { lost, refused } = await changes({ path }, [
      main({ address: pipe(path) }),
      main({ address: pipe(path), tcp_backlog_size: 99 }),
      main({ address: pipe(path) }, 'renamed'),
    ])
    expect([lost, refused]).toEqual([[], 0])
  })

  it('one that leaves an address answers whoever had connected there', async () => {
    const stays = await closedPort()
    const goes = await closedPort()
    const web = [cluster('web', [await sayingService('x')])]
    const both = main({ address: tcp(stays), additional_addresses: [{ address: tcp(goes) }] })
    const [millrace, rewrite] = await started(bootstrap([both], web), '--drain-time-s', '1')
    const newcomers = during(new Newcomers({ port: goes, host: '127.0.0.1' }))
    const old = await RawClient.connect(goes)
    await until(() => newcomers.answered, 20)
    rewrite(bootstrap([main({ address: tcp(stays) })], web))
    await millrace.log('configuration reloaded')
    await until(() => newcomers.refused, 5)
    expect((await newcomers.stop()).lost).toEqual([])
    old.send(get('/'))
    expect(await old.until((text) => text.endsWith('\r\n\r\nx'))).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('refuses what an open socket cannot become', async () => {
    const address = tcp(await closedPort())
    const web = [cluster('web', [await sayingService('x')])]
    const [millrace, rewrite] = await started(bootstrap([main({ address })], web))
    rewrite(bootstrap([main({ address, enable_reuse_port: false })], web))
    const refused = await millrace.log('reload refused: the configuration in force stays')
    expect(refused.error).toContain('enable_reuse_port')
    expect((await fetch(millrace.url())).status).toBe(200)
  })
})

describe('a port that another process has', () => {
  it('is refused with the address and what to do, and shared when asked', async () => {
    const address = { socket_address: { address: '127.0.0.1', port_value: await closedPort() } }
    const listener = httpListener({ routes: [route('/', 'web')], fields: { address } })
    const config = bootstrap([listener], [cluster('web', [await sayingService('x')])])
    const path = write(temporaryFolder(), 'config.json', config)
    const args = ['-c', path, '--concurrency', '2', '--admin', '0']
    const first = await Millrace.start(args)
    const second = Millrace.spawn(args)
    expect((await second.exited).code).toBe(1)
    const said = [...second.otherLines, ...second.lines.map((line) => JSON.stringify(line))].join()
    expect(said).toContain(`127.0.0.1:${address.socket_address.port_value}`)
    expect(said).toContain('--reuse-port')
    const third = await Millrace.start([...args, '--reuse-port'])
    expect(await first.stop()).toEqual({ code: 0, signal: null })
    expect((await fetch(third.url())).status).toBe(200)
  })
})

describe('the admin interface', () => {
  it('moves from one address to another of the same port, and stays when that fails', async () => {
    const port = await closedPort()
    const web = [cluster('web', [await sayingService('x')])]
    const at = (address: string, more: Json = {}): Json => ({
      ...bootstrap([httpListener({ routes: [route('/', 'web')], ...more })], web),
      admin: { address: { socket_address: { address, port_value: port } } },
    })
    const folder = temporaryFolder()
    const path = write(folder, 'config.json', at('127.0.0.1'))
    const millrace = Millrace.spawn(['-c', path, '--concurrency', '1'])
    await millrace.log('ready')
    const ready = (host: string): Promise<number | undefined> =>
      new Promise((resolve) => {
        const asked = httpRequest({ host, port, path: '/ready', agent: false }, (response) => {
          response.resume()
          resolve(response.statusCode)
        })
        asked.on('error', () => resolve(undefined))
        asked.end()
      })
    expect(await ready('127.0.0.2')).toBeUndefined()
    write(folder, 'config.json', at('0.0.0.0'))
    millrace.signal('SIGHUP')
    await millrace.log('configuration reloaded')
    expect(await ready('127.0.0.1')).toBe(200)
    expect(await ready('127.0.0.2')).toBe(200)
    const taken = await sayingService('taken')
    write(folder, 'config.json', at('127.0.0.1', { port: taken }))
    millrace.signal('SIGHUP')
    await millrace.log('reload refused: the configuration in force stays')
    expect(await ready('127.0.0.2')).toBe(200)
  })
})
