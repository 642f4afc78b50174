// How a proxy ends: SIGTERM lets requests finish, a second one does not wait.

import { describe, expect, it } from 'vitest'
import { fileLog, simple } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { get, httpService, RawClient, sayingService, sleep } from './support/peers.ts'
import { fullFifo } from './support/phases.ts'

async function started(port: number, ...args: string[]): Promise<Millrace> {
  const path = write(temporaryFolder(), 'config.json', simple([port]))
  return Millrace.start(['-c', path, ...args])
}

/** A service that answers when it is told to. */
async function heldService(): Promise<{ port: number; arrived: () => number; answer: () => void }> {
  const waiting: (() => void)[] = []
  const port = await httpService((request, response) => {
    request.resume()
    waiting.push(() => response.end('finished'))
  })
  return {
    port,
    arrived: () => waiting.length,
    answer: () => {
      for (const finish of waiting.splice(0)) finish()
    },
  }
}

describe('SIGTERM', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('%s ends an idle proxy with 0', async (signal) => {
    const millrace = await started(await sayingService('x'))
    millrace.signal(signal)
    expect(await millrace.exited).toEqual({ code: 0, signal: null })
    expect(millrace.lines.at(-1)).toMatchObject({ msg: 'stopped', connectionsCut: 0 })
  })

  it('lets a request in flight finish, tells its client to close, accepts no more', async () => {
    const service = await heldService()
    const millrace = await started(service.port)
    const client = await RawClient.connect(millrace.port())
    client.send(get('/'))
    await expect.poll(service.arrived).toBe(1)
    millrace.signal('SIGTERM')
    await millrace.log('draining')
    await expect
      .poll(() => RawClient.connect(millrace.port()).catch((error: Error) => error.message))
      .toContain('ECONNREFUSED')
    service.answer()
    const answer = await client.all()
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(answer.toLowerCase()).toContain('\r\nconnection: close\r\n')
    expect(answer).toMatch(/finished$|finished\r\n/)
    expect(await millrace.exited).toEqual({ code: 0, signal: null })
  })

  it('closes idle keep-alive connections', async () => {
    const millrace = await started(await sayingService('x'))
    const client = await RawClient.connect(millrace.port())
    client.send(get('/'))
    await client.until((text) => text.endsWith('x'))
    expect(await millrace.stop()).toEqual({ code: 0, signal: null })
    await client.closed
    expect(client.error).toBeUndefined()
  })

  it('shows DRAINING to those who ask', async () => {
    const service = await heldService()
    const millrace = await started(service.port)
    const client = await RawClient.connect(millrace.port())
    client.send(get('/'))
    await expect.poll(service.arrived).toBe(1)
    millrace.signal('SIGTERM')
    await millrace.log('draining')
    const ready = await fetch(millrace.admin('/ready'))
    expect([ready.status, await ready.text()]).toEqual([503, 'DRAINING\n'])
    service.answer()
    expect((await millrace.exited).code).toBe(0)
  })

  it('a second time ends at once, and says what was cut', async () => {
    const service = await heldService()
    const millrace = await started(service.port)
    const client = await RawClient.connect(millrace.port())
    client.send(get('/'))
    await expect.poll(service.arrived).toBe(1)
    millrace.signal('SIGTERM')
    await millrace.log('draining')
    millrace.signal('SIGTERM')
    expect(await millrace.exited).toEqual({ code: 0, signal: null })
    expect(millrace.lines.at(-1)).toMatchObject({ msg: 'stopped', connectionsCut: 1 })
    await client.closed
  })

  it('ends when the drain time is over, whatever is left', async () => {
    const service = await heldService()
    const millrace = await started(service.port, '--drain-time-s', '1')
    const client = await RawClient.connect(millrace.port())
    client.send(get('/'))
    await expect.poll(service.arrived).toBe(1)
    const began = performance.now()
    millrace.signal('SIGTERM')
    expect(await millrace.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - began).toBeGreaterThan(900)
    expect(millrace.lines.at(-1)).toMatchObject({ connectionsCut: 1 })
  })
})

describe('POST /quitquitquit', () => {
  it('answers, and ends the process', async () => {
    const millrace = await started(await sayingService('x'))
    const answer = await fetch(millrace.admin('/quitquitquit'), { method: 'POST' })
    expect(await answer.text()).toBe('OK\n')
    expect(await millrace.exited).toEqual({ code: 0, signal: null })
  })
})

describe('POST /drain_listeners', () => {
  it('stops accepting and leaves connections alone', async () => {
    const millrace = await started(await sayingService('x'))
    const client = await RawClient.connect(millrace.port())
    client.send(get('/'))
    await client.until((text) => text.endsWith('x'))
    expect((await fetch(millrace.admin('/drain_listeners'), { method: 'POST' })).status).toBe(200)
    await expect
      .poll(() => RawClient.connect(millrace.port()).catch((error: Error) => error.message))
      .toContain('ECONNREFUSED')
    client.send(get('/'))
    await client.until((text) => text.match(/200 OK/g)?.length === 2)
    await sleep(50)
    expect(millrace.child.exitCode).toBeNull()
  })
})

describe('access logs that take nothing', () => {
  it('cost one deadline at the end, however many they are', async () => {
    const folder = temporaryFolder()
    const logs = Array.from({ length: 5 }, (_, i) => fullFifo(folder, `log-${i}`))
    const manager = { access_log: logs.map(({ path }) => fileLog(path)) }
    const config = simple([await sayingService('x')], { manager })
    const millrace = await Millrace.start(['-c', write(folder, 'config.json', config)])
    expect(await (await fetch(millrace.url())).text()).toBe('x')
    millrace.signal('SIGTERM')
    const { time: from } = await millrace.log('draining')
    expect(await millrace.exited).toEqual({ code: 0, signal: null })
    const lost = millrace.lines.filter(({ msg }) => msg === 'log lines could not be written')
    expect(lost).toHaveLength(logs.length)
    // Five seconds, and what a slow machine needs; each of them alone would make it 25.
    expect(Number(millrace.lines.at(-1)?.time) - Number(from)).toBeLessThan(15_000)
    for (const log of logs) log.close()
  })
})
