// The table of docs/pino.md, row by row: each has a case here that runs against sonic-boom and
// against ours, and has to come out as the row says.

import { execFileSync } from 'node:child_process'
import { type EventEmitter, once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Destination, destination } from '../../src/pino.ts'
import { kPatience } from '../patience.ts'
import { root } from './support/millrace.ts'

interface Boom extends EventEmitter {
  write(line: unknown): boolean
  flush(callback?: (error?: Error | null) => void): void
  flushSync(): void
  reopen(file?: string): void
  end(): void
  destroy(): void
}
type Make = (to?: unknown) => Boom

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-boom-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))
const at = (name: string): string => join(dir, name)
const text = (name = 'a.log'): string => readFileSync(at(name), 'utf8')

const ours: Make = (to) => destination(to as string) as unknown as Boom
const made: Boom[] = []
const theirs: Make = (to) => {
  const own = typeof to === 'object' && !(to instanceof URL) ? { sync: false, ...to } : to
  const boom = pino.destination(own as string) as unknown as Boom
  made.push(boom)
  return boom
}
// pino flushes at the end of the process, which throws for a file that could never be opened.
afterEach(() => {
  for (const boom of made.splice(0)) boom.flushSync = () => {}
})

/** What was written when it has ended. */
async function ended(boom: Boom, ...lines: unknown[]): Promise<string> {
  for (const line of lines) boom.write(line)
  boom.end()
  await once(boom, 'close')
  return existsSync(at('a.log')) ? text() : ''
}
const opened = async (boom: Boom): Promise<Boom> => {
  await once(boom, 'ready')
  return boom
}
const eventsOf = (boom: Boom, ...names: string[]): string[] => {
  const seen: string[] = []
  for (const name of names) boom.on(name, () => seen.push(name))
  return seen
}
const flushed = (boom: Boom): Promise<unknown> =>
  new Promise((resolve) => boom.flush((error) => resolve(error?.constructor.name ?? 'done')))

/** A program that logs a line to its stdout through what it is given. */
const toStdout = (make: Make, to: string): string => {
  const door = make === ours ? pathToFileURL(join(root, 'dist/pino.js')).href : 'pino'
  const code =
    `import { pino } from 'pino'; import * as door from ${JSON.stringify(door)}\n` +
    `const make = door.destination ?? pino.destination; make(${to}).write('out\\n')`
  const args = ['--input-type=module', '-e', code]
  return execFileSync(process.execPath, args, { cwd: root }).toString()
}

/** By row: what a user sees of it. */
const cases: Record<string, (make: Make) => Promise<unknown>> = {
  "destination('path')": async (make) => ended(make(at('a.log')), 'x\n'),
  'destination()': async (make) => toStdout(make, ''),
  'destination(1)': async (make) => toStdout(make, '1'),
  'destination(file: URL)': async (make) => ended(make(pathToFileURL(at('a.log'))), 'x\n'),
  dest: async (make) => ended(make({ dest: at('a.log') }), 'x\n'),
  fd: async (make) => ended(make({ fd: openSync(at('a.log'), 'w') }), 'x\n'),
  minLength: async (make) => {
    const boom = await opened(make({ dest: at('a.log'), minLength: 4096 }))
    boom.write('x'.repeat(5000))
    await expect.poll(() => text().length, kPatience).toBe(5000)
    return ended(boom, 'y')
  },
  maxLength: async (make) => {
    const boom = make({ dest: at('a.log'), maxLength: 8192 })
    const dropped: unknown[] = []
    boom.on('drop', (line) => dropped.push(line))
    return [await ended(boom, 'x'.repeat(9000), 'y'), dropped]
  },
  'maxLength below 4096': async (make) => {
    const boom = make({ dest: at('a.log'), maxLength: 10 })
    return ended(boom, 'more than ten bytes\n')
  },
  maxWrite: async (make) => ended(make({ dest: at('a.log'), maxWrite: 1000 }), 'x'),
  periodicFlush: async (make) => {
    const boom = await opened(make({ dest: at('a.log'), minLength: 4096, periodicFlush: 20 }))
    boom.write('x\n')
    await expect.poll(() => text(), kPatience).toBe('x\n')
    return ended(boom)
  },
  'sync: false': async (make) => ended(make({ dest: at('a.log'), sync: false }), 'x\n'),
  'sync: true': async (make) => ended(make({ dest: at('a.log'), sync: true }), 'x\n'),
  fsync: async (make) => ended(make({ dest: at('a.log'), fsync: true }), 'x\n'),
  append: async (make) => {
    writeFileSync(at('a.log'), 'old\n')
    const first = await ended(make({ dest: at('a.log'), append: false }), 'x\n')
    return [first, await ended(make({ dest: at('a.log') }), 'y\n')]
  },
  mode: async (make) => {
    await ended(make({ dest: at('a.log'), mode: 0o600 }), 'x\n')
    return statSync(at('a.log')).mode & 0o777
  },
  contentMode: async (make) =>
    ended(make({ dest: at('a.log'), contentMode: 'buffer' }), Buffer.from('x\n')),
  mkdir: async (make) => {
    const boom = make({ dest: at('new/a.log'), mkdir: true })
    await ended(boom, 'x\n')
    return text('new/a.log')
  },
  retryEAGAIN: async (make) => ended(make({ dest: at('a.log'), retryEAGAIN: () => true }), 'x'),
  'write(text)': async (make) => {
    const boom = await opened(make({ dest: at('a.log') }))
    return [boom.write('é\n'), await ended(boom, 7, null)]
  },
  'write(bytes)': async (make) => ended(make({ dest: at('a.log') }), new Uint8Array([120, 10])),
  'write() after end()': async (make) => {
    const boom = await opened(make({ dest: at('a.log') }))
    await ended(boom)
    return [
      () => boom.write('x'),
      () => boom.flush(),
      () => boom.flushSync(),
      () => boom.end(),
    ].map((call) => {
      try {
        return call()
      } catch (error) {
        return error instanceof Error
      }
    })
  },
  'flush(cb)': async (make) => {
    const boom = await opened(make({ dest: at('a.log'), minLength: 4096 }))
    boom.write('x\n')
    const seen = [await flushed(boom), text()]
    return [...seen, await ended(boom)]
  },
  'flush(cb) without minLength': async (make) => {
    const boom = await opened(make({ dest: at('a.log') }))
    boom.write('x'.repeat(1_000_000))
    await flushed(boom)
    const there = text().length
    await ended(boom)
    return there
  },
  'flushSync()': async (make) => {
    const boom = await opened(make({ dest: at('a.log'), minLength: 4096 }))
    boom.write('x\n')
    boom.flushSync()
    return [text(), await ended(boom)]
  },
  'reopen()': async (make) => {
    const boom = await opened(make({ dest: at('a.log') }))
    boom.write('x\n')
    await expect.poll(() => text(), kPatience).toBe('x\n')
    renameSync(at('a.log'), at('b.log'))
    boom.reopen()
    await once(boom, 'ready')
    return [await ended(boom, 'y\n'), text('b.log')]
  },
  'reopen(file)': async (make) => {
    const boom = await opened(make({ dest: at('a.log') }))
    boom.reopen(at('b.log'))
    await once(boom, 'ready')
    await ended(boom, 'y\n')
    return [text(), text('b.log')]
  },
  'end()': async (make) => {
    const boom = make({ dest: at('a.log') })
    const seen = eventsOf(boom, 'finish', 'close')
    return [(await ended(boom, 'x'.repeat(100_000))).length, seen]
  },
  'destroy()': async (make) => {
    const boom = await opened(make({ dest: at('a.log') }))
    const seen = eventsOf(boom, 'finish', 'close')
    boom.destroy()
    await once(boom, 'close')
    return seen
  },
  ready: async (make) => {
    const boom = make({ dest: at('a.log') })
    const seen = eventsOf(boom, 'ready')
    await once(boom, 'ready')
    await ended(boom)
    return seen
  },
  drain: async (make) => {
    const boom = await opened(make({ dest: at('a.log') }))
    const seen: boolean[] = []
    for (const line of ['x', 'y']) {
      seen.push(boom.write(line))
      await once(boom, 'drain')
    }
    return [seen, await ended(boom)]
  },
  drop: async (make) => {
    const boom = make({ dest: at('a.log'), maxLength: 8192 })
    const drop = once(boom, 'drop')
    boom.write('x'.repeat(10_000))
    const [line] = await drop
    await ended(boom)
    return String(line).length
  },
  'error, of a file that cannot be opened': async (make) => {
    mkdirSync(at('a.log'))
    try {
      const [error] = await once(make({ dest: at('a.log') }), 'error')
      return ['event', error.code]
    } catch (error) {
      const { cause, code } = error as { cause?: { code?: string }; code?: string }
      return ['thrown', cause?.code ?? code]
    }
  },
  'error, of a write': async (make) => {
    const boom = await opened(make({ dest: '/dev/full' }))
    const error = once(boom, 'error')
    boom.write('x\n')
    const [{ cause, code }] = await error
    boom.destroy()
    return cause?.code ?? code
  },
  'error, unheard': async (make) => {
    const boom = await opened(make({ dest: '/dev/full' }))
    // Ours emits none that nobody hears; pino hands on to a listener, or throws.
    const how = (): string => {
      try {
        return boom.emit('error', new Error('as a write that fails')) ? 'heard' : 'unheard'
      } catch {
        return 'thrown'
      }
    }
    if (make === theirs) return how()
    boom.write('x\n')
    await expect.poll(() => (boom as unknown as Destination).counters.failing, kPatience).toBe(true)
    boom.on('error', () => {})
    boom.destroy()
    await new Promise((resolve) => boom.once('close', resolve))
    return 'not thrown'
  },
  finish: async (make) => {
    const boom = make({ dest: at('a.log') })
    const seen = eventsOf(boom, 'finish')
    await ended(boom, 'x')
    return seen
  },
  close: async (make) => {
    const boom = make({ dest: at('a.log') })
    const seen = eventsOf(boom, 'close')
    await ended(boom, 'x')
    return seen
  },
  'write, the event': async (make) => {
    const boom = make({ dest: at('a.log') })
    const seen = eventsOf(boom, 'write')
    await ended(boom, 'x')
    return seen
  },
  'pino.transport({ target, options })': async (make) => {
    const require = createRequire(import.meta.url)
    const target = make === ours ? join(root, 'dist/pino.js') : require.resolve('pino/file')
    const options = make === ours ? { dest: at('a.log') } : { destination: at('a.log') }
    const transport = pino.transport({ target, options })
    await once(transport, 'ready')
    pino({ timestamp: false, base: null }, transport).info('x')
    transport.end()
    await once(transport, 'close')
    return text()
  },
}

const page = readFileSync(join(root, 'docs/pino.md'), 'utf8')
const rows = [...page.matchAll(/^\| `(.+?)`(?:, (.+?))? \| (same|different|refused) \|/gm)].map(
  ([, name, more, how]): [string, string] => [
    more === undefined ? `${name}` : `${name}, ${more}`,
    `${how}`,
  ],
)

async function outcome(make: Make, run: (make: Make) => Promise<unknown>): Promise<unknown> {
  try {
    return await run(make)
  } catch (error) {
    return `refused: ${(error as { code?: string }).code ?? (error as Error).name}`
  }
}

describe('a row of docs/pino.md', () => {
  it('is here for every case, and the other way round', () => {
    expect(rows.map(([name]) => name).sort()).toEqual(Object.keys(cases).sort())
  })

  it.each(rows)('%s: %s', async (name, how) => {
    const run = cases[name]
    if (run === undefined) throw new Error(`no case for ${name}`)
    const their = await outcome(theirs, run)
    rmSync(dir, { recursive: true })
    mkdirSync(dir)
    const our = await outcome(ours, run)
    if (how === 'same') expect(our).toEqual(their)
    else expect(our).not.toEqual(their)
    expect(String(our).startsWith('refused'), String(our)).toBe(how === 'refused')
    if (how === 'refused') expect(our).toBe('refused: ERR_MILLRACE_ARGUMENT')
  })
})
