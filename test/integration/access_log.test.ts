// Access logs on real files: complete at the end, rotated, and harmless when the disk is full.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fileLog, simple } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Load } from './support/load.ts'
import { Millrace } from './support/millrace.ts'
import { sayingService } from './support/peers.ts'

async function logging(file: string, format?: string, ...args: string[]): Promise<Millrace> {
  const port = await sayingService('x')
  const manager = { access_log: [fileLog(file, format)] }
  const path = write(temporaryFolder(), 'config.json', simple([port], { manager }))
  return Millrace.start(['-c', path, ...args])
}

const linesOf = (file: string): string[] => readFileSync(file, 'utf8').split('\n').slice(0, -1)
const never = ['--file-flush-interval-msec', '3600000']

describe('an access log', () => {
  it('has a line for every request when the process has ended', async () => {
    const file = join(temporaryFolder(), 'access.log')
    const millrace = await logging(file, '%REQ(:METHOD)% %RESPONSE_CODE%\n', ...never)
    const load = new Load(millrace.url(), 8)
    await expect.poll(() => load.completed).toBeGreaterThan(2_000)
    const { completed, failures } = await load.stop()
    expect(failures).toEqual([])
    expect((await millrace.stop()).code).toBe(0)
    const lines = linesOf(file)
    expect(lines).toHaveLength(completed)
    expect(new Set(lines)).toEqual(new Set(['GET 200']))
  })

  it('is written at the interval', async () => {
    const file = join(temporaryFolder(), 'access.log')
    const millrace = await logging(file, undefined, '--file-flush-interval-msec', '50')
    await fetch(millrace.url('/seen'))
    await expect.poll(() => linesOf(file)).toEqual(['/seen 200 -'])
  })

  it('has the default format, and JSON', async () => {
    const folder = temporaryFolder()
    const text = join(folder, 'text.log')
    const json = join(folder, 'json.log')
    const plain = fileLog(text) as { typed_config: Record<string, unknown> }
    const { log_format: _format, ...bare } = plain.typed_config
    const fields = { path: '%REQ(:PATH)%', status: '%RESPONSE_CODE%', agent: '%REQ(USER-AGENT)%' }
    const manager = {
      access_log: [
        { ...plain, typed_config: bare },
        { ...plain, typed_config: { ...bare, path: json, log_format: { json_format: fields } } },
      ],
    }
    const port = await sayingService('x')
    const path = write(folder, 'config.json', simple([port], { manager }))
    const millrace = await Millrace.start(['-c', path])
    await fetch(millrace.url('/a?b=c'), { headers: { 'user-agent': 'me' } })
    await millrace.stop()
    expect(linesOf(text)).toHaveLength(1)
    expect(linesOf(text)[0]).toMatch(
      /^\[\d{4}-\d\d-\d\dT[\d:.]+Z\] "GET \/a\?b=c HTTP\/1\.1" 200 - 0 1 \d+ \d+ "-" "me"/,
    )
    expect(JSON.parse(linesOf(json)[0] ?? '')).toEqual({
      path: '/a?b=c',
      status: 200,
      agent: 'me',
    })
  })

  it.each([
    ['SIGUSR1', (m: Millrace) => m.signal('SIGUSR1')],
    ['POST /reopen_logs', (m: Millrace) => fetch(m.admin('/reopen_logs'), { method: 'POST' })],
  ])('is rotated by %s, without losing a line', async (_name, rotate) => {
    const folder = temporaryFolder()
    const file = join(folder, 'access.log')
    const millrace = await logging(file, '%REQ(:PATH)%\n', ...never)
    const load = new Load(millrace.url(), 4)
    for (let i = 1; i <= 3; i++) {
      const before = load.completed
      await expect.poll(() => load.completed).toBeGreaterThan(before + 100)
      renameSync(file, join(folder, `access.${i}.log`))
      await rotate(millrace)
      await expect.poll(() => existsSync(file)).toBe(true)
    }
    const { completed, failures } = await load.stop()
    expect(failures).toEqual([])
    await millrace.stop()
    const files = [1, 2, 3].map((i) => join(folder, `access.${i}.log`))
    const lines = [...files, file].flatMap(linesOf)
    expect(lines).toHaveLength(completed)
    expect(lines.every((line) => line === '/')).toBe(true)
  })

  it('that cannot be opened is refused at the start, by name', async () => {
    const file = join(temporaryFolder(), 'no', 'such', 'folder', 'access.log')
    await expect(logging(file)).rejects.toThrow(file)
  })
})

describe('a full disk', () => {
  it('stops no request; lines are kept up to a bound, then counted as dropped', async () => {
    const millrace = await logging('/dev/full', undefined, '--file-flush-interval-msec', '20')
    const load = new Load(millrace.url(), 4)
    await expect.poll(() => load.completed).toBeGreaterThan(500)
    expect((await load.stop()).failures).toEqual([])
    await expect.poll(() => millrace.stat('filesystem./dev/full.write_failed')).toBeGreaterThan(0)
    expect((await millrace.stop()).code).toBe(0)
    const lost = millrace.lines.find(({ msg }) => msg === 'log lines could not be written')
    expect(lost).toMatchObject({ file: '/dev/full' })
    expect(lost?.lines).toBeGreaterThan(0)
    expect(lost?.bytes).toBeGreaterThan(0)
  })

  const canMount = process.getuid?.() === 0 && process.platform === 'linux'
  it.skipIf(!canMount)(
    'that has room again gets what was kept (needs root for tmpfs)',
    async () => {
      const folder = temporaryFolder()
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder])
      } catch {
        return // no right to mount in this container: the case above still stands
      }
      try {
        const file = join(folder, 'access.log')
        const filler = write(folder, 'filler', 'x'.repeat(60_000))
        const millrace = await logging(file, '%REQ(:PATH)%\n', '--file-flush-interval-msec', '20')
        const requests = 2_000
        const load = new Load(millrace.url(`/${'y'.repeat(40)}`), 4)
        await expect.poll(() => load.completed).toBeGreaterThan(requests)
        const { completed, failures } = await load.stop()
        expect(failures).toEqual([])
        await expect.poll(() => millrace.stat(`filesystem.${file}.write_failed`)).toBeGreaterThan(0)
        execFileSync('mount', ['-o', 'remount,size=8m', folder])
        write(folder, 'filler', '')
        expect(existsSync(filler)).toBe(true)
        expect((await millrace.stop()).code).toBe(0)
        expect(linesOf(file)).toHaveLength(completed)
      } finally {
        execFileSync('umount', ['-l', folder])
      }
    },
  )
})
