// Files that are rotated: flush files, pino's, and access logs, with reloads meanwhile.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { gunzipSync } from 'node:zlib'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FlushFile, type FlushFileOptions } from '../../src/core.ts'
import { MillraceError } from '../../src/errors.ts'
import { destination } from '../../src/pino.ts'
import { kPatience } from '../patience.ts'
import { Millrace } from './support/millrace.ts'
import { sayingService } from './support/peers.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-rotate-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const at = (name: string): string => join(dir, name)
/** The old files of `name`, by age, and the one that is written. */
const filesOf = (name: string): string[] => [
  ...readdirSync(dir)
    .filter((file) => file.startsWith(`${name}.2`))
    .sort(),
  name,
]
const textOf = (file: string): string => {
  const bytes = readFileSync(at(file))
  return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()
}
const all = (name: string): string => filesOf(name).map(textOf).join('')

function refusal(options: FlushFileOptions): MillraceError {
  try {
    new FlushFile(options)
  } catch (error) {
    if (error instanceof MillraceError) return error
    throw error
  }
  throw new Error('it was not refused')
}

describe('a flush file', () => {
  it('that several threads write to loses no line, and compresses old files', async () => {
    const path = at('a.log')
    const file = new FlushFile({ path, onFull: 'block', rotate: { size: 10_000, gzip: true } })
    const source = `
      const { workerData } = require('node:worker_threads')
      import(workerData.core).then(async ({ FlushFile }) => {
        const file = FlushFile.attach(workerData.handle)
        for (let i = 0; i < 2000; i++) file.write(workerData.name + ' ' + i + ' some text\\n')
        await file.end()
      })`
    const core = new URL('../../dist/core.js', import.meta.url).href
    const threads = ['a', 'b', 'c'].map(
      (name) =>
        new Promise((resolve, reject) => {
          const workerData = { core, name, handle: file.handle }
          new Worker(source, { eval: true, workerData }).on('exit', resolve).on('error', reject)
        }),
    )
    await Promise.all(threads)
    await file.flush()
    const { bytes, rotations } = file.counters
    expect(rotations).toBeGreaterThan(5)
    await expect
      .poll(
        () =>
          filesOf('a.log')
            .slice(0, -1)
            .every((f) => f.endsWith('.gz')),
        kPatience,
      )
      .toBe(true)
    await file.end()
    expect(filesOf('a.log')).toHaveLength(rotations + 1)
    expect(Math.max(...filesOf('a.log').map((f) => textOf(f).length))).toBeLessThanOrEqual(10_000)
    const lines = all('a.log').split('\n').slice(0, -1)
    expect(all('a.log')).toHaveLength(bytes)
    for (const name of ['a', 'b', 'c']) {
      const own = lines.filter((line) => line.startsWith(name))
      expect(own).toEqual(Array.from({ length: 2000 }, (_, i) => `${name} ${i} some text`))
    }
  })

  it('keeps as many old files as it is told, and tells of each new one', async () => {
    let rotated = 0
    const file = new FlushFile({ path: at('a.log'), rotate: { size: '4k', keep: 2 } })
    file.on('rotate', () => rotated++)
    for (let i = 0; i < 6; i++) file.write(`${String(i).repeat(3000)}\n`)
    await file.flush()
    await expect.poll(() => [rotated, filesOf('a.log').length], kPatience).toEqual([5, 3])
    await file.end()
    expect(filesOf('a.log').map((f) => textOf(f)[0])).toEqual(['3', '4', '5'])
    expect(file.counters).toMatchObject({ rotations: 5, rotateErrors: 0, written: 6 })
  })

  it('says once that it cannot be rotated, and goes on in the old file', async () => {
    const errors: MillraceError[] = []
    const file = new FlushFile({ path: at('a.log'), rotate: { size: 4096 } })
    file.on('error', (error) => errors.push(error))
    writeFileSync(at('a.log.99991231-235959-999'), '')
    writeFileSync(at('a.log.100000101-000000-000'), '')
    for (let i = 0; i < 5; i++) file.write(`${String(i).repeat(3000)}\n`)
    await file.flush()
    await file.end()
    expect(textOf('a.log')).toHaveLength(5 * 3001)
    expect(errors.map(({ code }) => code)).toEqual(['ERR_MILLRACE_FLUSH_ROTATE'])
    expect(errors[0]?.message).toMatch(/^cannot rotate .*a\.log: EEXIST/)
  })

  it('refuses what it cannot be or is not', () => {
    const path = at('a.log')
    const wrong: [rotate: unknown, path: string][] = [
      [{}, 'rotate'],
      [{ keep: 3 }, 'rotate'],
      [{ size: 0 }, 'size'],
      [{ size: 4095 }, 'size'],
      [{ size: -1 }, 'size'],
      [{ size: Number.NaN }, 'size'],
      [{ size: 4096.5 }, 'size'],
      [{ size: 2 ** 53 }, 'size'],
      [{ size: '10' }, 'size'],
      [{ size: '99999999999999g' }, 'size'],
      [{ size: '10 apples' }, 'size'],
      [{ interval: 'weekly' }, 'interval'],
      [{ interval: 999 }, 'interval'],
      [{ interval: 2 ** 40 }, 'interval'],
      [{ size: 4096, keep: 0 }, 'keep'],
      [{ size: 4096, keep: 1.5 }, 'keep'],
      [{ size: 4096, keep: 2 ** 32 }, 'keep'],
      [{ size: 4096, gzip: 'yes' }, 'gzip'],
      [{ size: 4096, compress: true }, 'compress'],
      ['daily', 'rotate'],
    ]
    for (const [rotate, option] of wrong) {
      const { code, path: said } = refusal({ path, rotate } as FlushFileOptions)
      expect([code, said], JSON.stringify(rotate)).toEqual(['ERR_MILLRACE_ARGUMENT', option])
    }
    expect(refusal({ fd: 1, rotate: { size: 4096 } }).path).toBe('rotate')
    const pipe = refusal({ path: '/dev/null', rotate: { size: 4096 } })
    expect([pipe.code, pipe.message]).toEqual([
      'ERR_MILLRACE_FLUSH_ROTATION',
      '/dev/null cannot be rotated: only a regular file with a path can',
    ])
    expect(readdirSync(dir)).toEqual([])
  })

  it('is rotated in one way', async () => {
    const first = new FlushFile({ path: at('a.log'), rotate: { size: '1m', keep: 3 } })
    const other = refusal({ path: at('a.log') })
    expect([other.code, other.message]).toEqual([
      'ERR_MILLRACE_FLUSH_ROTATION',
      `${at('a.log')} is open in this process already, rotated at 1048576 bytes, 3 kept, and cannot ` +
        'be without rotation here: rotate it in one way, or share one file',
    ])
    const same = new FlushFile({ path: at('a.log'), rotate: { size: 2 ** 20, keep: 3 } })
    await Promise.all([first.end(), same.end()])
    await new FlushFile({ path: at('a.log') }).end()
  })
})

it('pino writes to a file that is rotated', async () => {
  const to = destination({
    dest: at('a.log'),
    rotate: { size: 4096, interval: 'daily', keep: 100 },
  })
  const log = pino(to)
  for (let i = 0; i < 200; i++) log.info({ i }, 'hello')
  await new Promise<void>((resolve) => {
    to.on('close', resolve)
    to.end()
  })
  const lines = all('a.log').trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line).i)).toEqual(Array.from({ length: 200 }, (_, i) => i))
  expect(filesOf('a.log').length).toBeGreaterThan(3)
})

describe('an access log', () => {
  const write = (port: number, rotate: string): void =>
    writeFileSync(
      at('millrace.yaml'),
      `listen: 127.0.0.1:0\nroutes: { /: ${port} }\nadmin: 0\naccess_log: ` +
        `{ to: ${at('access.log')}, format: "%REQ(:PATH)%"${rotate} }\n`,
    )

  it('is rotated as its configuration says, which a reload changes', async () => {
    const port = await sayingService('x')
    write(port, ', rotate: { size: 4k, gzip: true }')
    const millrace = await Millrace.start([
      ...['-c', at('millrace.yaml'), '--admin', '0', '--file-flush-interval-msec', '20'],
    ])
    const paths = Array.from({ length: 120 }, (_, i) => `/${i}/${'x'.repeat(100)}`)
    const ask = async (): Promise<void> => {
      for (const path of paths) await (await fetch(millrace.url(path))).text()
    }
    await ask()
    await expect.poll(() => all('access.log').split('\n').length, kPatience).toBe(121)
    expect(filesOf('access.log').length).toBeGreaterThan(2)
    expect(await millrace.stat(`filesystem.${at('access.log')}.rotate`)).toBeGreaterThan(0)
    let reloads = 0
    const reload = async (): Promise<void> => {
      millrace.signal('SIGHUP')
      await millrace.log('configuration reloaded', reloads++)
    }
    // As one file, from now on, and whatever is there.
    write(port, '')
    await reload()
    const before = filesOf('access.log').length
    await ask()
    await expect.poll(() => all('access.log').split('\n').length, kPatience).toBe(241)
    expect(filesOf('access.log')).toHaveLength(before)
    write(port, ', rotate: { size: 4k, keep: 1 }')
    await reload()
    await ask()
    await expect.poll(() => filesOf('access.log').length, kPatience).toBe(2)
    expect((await millrace.stop()).code).toBe(0)
    const lines = all('access.log').trimEnd().split('\n')
    expect(lines).toEqual(paths.slice(-lines.length))
  })
})
