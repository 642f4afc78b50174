// At the limits of the system: descriptors run out; connections come and go by the hundred
// thousand.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { simple } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { get, RawClient, sayingService, sleep } from './support/peers.ts'

const linux = process.platform === 'linux'

const descriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length
const residentKiB = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
/** CPU time of all threads so far, in clock ticks (10 ms). */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return Number(fields[11]) + Number(fields[12])
}

describe.runIf(linux)('the descriptor limit', () => {
  it('makes accepting pause without spinning, and go on when there is room', async () => {
    const port = await sayingService('x')
    const path = write(temporaryFolder(), 'config.json', simple([port]))
    const args = ['-c', path, '--concurrency', '1']
    const millrace = await Millrace.start(args, { shell: 'ulimit -n 80' })
    const clients = Array.from({ length: 120 }, () => new RawClient(millrace.port()))
    await millrace.until('accepting pauses', () => {
      return millrace.lines.some(({ kind }) => kind === 'accept-paused') ? true : undefined
    })
    // Some are left: who asks whether the proxy lives is answered, however many clients wait.
    for (let i = 0; i < 5; i++) {
      const ready = await fetch(millrace.admin('/ready'), { headers: { connection: 'close' } })
      expect(ready.status).toBe(200)
    }
    expect(descriptors(millrace.pid)).toBeLessThan(78)
    const before = cpuTicks(millrace.pid)
    await sleep(1_000)
    expect(cpuTicks(millrace.pid) - before).toBeLessThan(50) // half of one CPU would be spinning
    for (const client of clients) client.socket.destroy()
    await expect
      .poll(() =>
        fetch(millrace.url())
          .then((r) => r.text())
          .catch(String),
      )
      .toBe('x')
    expect(millrace.lines).toContainEqual(
      expect.objectContaining({ kind: 'accept-paused', subject: 'main' }),
    )
  })
})

describe.runIf(linux)('100,000 connections', () => {
  it('opened and aborted leave descriptors and memory as they were', async () => {
    const port = await sayingService('x')
    const path = write(temporaryFolder(), 'config.json', simple([port]))
    const millrace = await Millrace.start(['-c', path])
    const abort = async (count: number): Promise<void> => {
      const script = join(import.meta.dirname, 'support/abort_connections.mjs')
      const child = fork(script, [String(millrace.port()), String(count)])
      const [code] = await once(child, 'exit')
      expect(code).toBe(0)
      await expect.poll(() => millrace.stat('http.main.downstream_cx_active')).toBe(0)
    }
    await abort(10_000) // pools and the allocator reach their size
    const before = { fds: descriptors(millrace.pid), kib: residentKiB(millrace.pid) }
    await abort(90_000)
    // None may be active while some still wait to be accepted.
    await expect
      .poll(() => millrace.stat('http.main.downstream_cx_total'))
      .toBeGreaterThanOrEqual(99_000)
    // Pooled ones come and go.
    await expect.poll(() => descriptors(millrace.pid)).toBeLessThan(before.fds + 100)
    // 90,000 leaked connections of even 100 bytes would be 9 MB.
    await expect.poll(() => residentKiB(millrace.pid)).toBeLessThan(before.kib + 8 * 1024)
    expect(await (await fetch(millrace.url())).text()).toBe('x')
    const client = await RawClient.connect(millrace.port())
    client.send(get('/', 'Connection: close\r\n'))
    expect(await client.all()).toMatch(/^HTTP\/1\.1 200 /)
  })
})
