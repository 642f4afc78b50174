// What a user of pino knows of pino.destination(), drawn from sonic-boom's documentation, held by
// `millrace/pino`. Each case that sonic-boom can do as well runs against it too.
import { execFileSync } from 'node:child_process'
import { type EventEmitter, once } from 'node:events'
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MillraceError } from '../../src/errors.ts'
import { type DestinationOptions, destination } from '../../src/pino.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-pino-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))
const at = (name: string): string => join(dir, name)
const text = (name: string): string => readFileSync(at(name), 'utf8')

/** What both have, as far as these cases use it. */
interface Boom extends EventEmitter {
  write(line: string): boolean
  flush(callback?: (error?: Error | null) => void): void
  flushSync(): void
  reopen(file?: string): void
  end(): void
  destroy(): void
  readonly destroyed: boolean
}

const makers: [string, (options: DestinationOptions) => Boom][] = [
  ['millrace', (options) => destination(options) as unknown as Boom],
  [
    'sonic-boom',
    // Its flush() does nothing without a minLength.
    (options) => pino.destination({ minLength: 4096, ...options, sync: false } as object) as Boom,
  ],
]

async function opened(make: (options: DestinationOptions) => Boom, options: DestinationOptions) {
  const boom = make(options)
  await once(boom, 'ready')
  return boom
}
const flushed = (boom: Boom): Promise<void> =>
  new Promise((resolve, reject) => boom.flush((error) => (error ? reject(error) : resolve())))

describe.each(makers)('the contract, by %s', (_, make) => {
  it("emits 'ready', then writes what it was given", async () => {
    const boom = await opened(make, { dest: at('a.log') })
    expect(boom.write('hello\n')).toBe(true)
    boom.end()
    await once(boom, 'close')
    expect(text('a.log')).toBe('hello\n')
  })

  it('takes lines before it is ready', async () => {
    const boom = make({ dest: at('a.log') })
    boom.write('early\n')
    await once(boom, 'ready')
    boom.end()
    await once(boom, 'close')
    expect(text('a.log')).toBe('early\n')
  })

  it('writes to a descriptor', async () => {
    const fd = openSync(at('a.log'), 'w')
    const boom = await opened(make, { dest: fd })
    boom.write('by number\n')
    boom.end()
    await once(boom, 'close')
    expect(text('a.log')).toBe('by number\n')
  })

  it('write() turns what is not a string into one', async () => {
    const boom = await opened(make, { dest: at('a.log') })
    boom.write(7 as unknown as string)
    boom.end()
    await once(boom, 'close')
    expect(text('a.log')).toBe('7')
  })

  it("end() writes everything; 'finish', then 'close'", async () => {
    const boom = await opened(make, { dest: at('a.log') })
    const events: string[] = []
    for (const event of ['finish', 'close', 'error']) boom.on(event, () => events.push(event))
    for (let i = 0; i < 1000; i++) boom.write(`line ${i}\n`)
    boom.end()
    boom.end()
    await once(boom, 'close')
    expect(events).toEqual(['finish', 'close'])
    expect(boom.destroyed).toBe(true)
    expect(text('a.log').split('\n')).toHaveLength(1001)
  })

  it('throws from write, reopen, flushSync and end, and fails flush, when it is closed', async () => {
    const boom = await opened(make, { dest: at('a.log') })
    boom.end()
    await once(boom, 'close')
    expect(() => boom.write('x')).toThrow()
    expect(() => boom.reopen()).toThrow()
    expect(() => boom.flushSync()).toThrow()
    expect(() => boom.end()).toThrow()
    expect(() => boom.flush()).toThrow()
    await expect(flushed(boom)).rejects.toThrow()
  })

  it("destroy() closes, without 'finish'; twice is once", async () => {
    const boom = await opened(make, { dest: at('a.log') })
    const events: string[] = []
    for (const event of ['finish', 'close']) boom.on(event, () => events.push(event))
    boom.destroy()
    boom.destroy()
    expect(boom.destroyed).toBe(true)
    expect(() => boom.write('x')).toThrow()
    await once(boom, 'close')
    expect(events).toEqual(['close'])
  })

  it('flush(cb) calls back when all is in the file, also when there is nothing', async () => {
    const boom = await opened(make, { dest: at('a.log') })
    boom.write('one\n')
    await flushed(boom)
    expect(text('a.log')).toBe('one\n')
    await flushed(boom)
    boom.end()
    await once(boom, 'close')
  })

  it('flush() without a callback, and with what is not one', async () => {
    const boom = await opened(make, { dest: at('a.log') })
    boom.write('one\n')
    boom.flush()
    await expect.poll(() => text('a.log')).toBe('one\n')
    expect(() => boom.flush('x' as never)).toThrow()
    boom.end()
    await once(boom, 'close')
  })

  it('flushSync() returns when all is in the file', async () => {
    const boom = await opened(make, { dest: at('a.log') })
    boom.write('one\n')
    boom.write('two\n')
    boom.flushSync()
    expect(text('a.log')).toBe('one\ntwo\n')
    boom.end()
    await once(boom, 'close')
  })

  it("reopen() follows a rotation, and says 'ready' again", async () => {
    const boom = await opened(make, { dest: at('a.log') })
    boom.write('before\n')
    await flushed(boom)
    renameSync(at('a.log'), at('a.log.1'))
    boom.reopen()
    await once(boom, 'ready')
    boom.write('after\n')
    boom.end()
    await once(boom, 'close')
    expect(text('a.log.1')).toBe('before\n')
    expect(text('a.log')).toBe('after\n')
  })

  it('reopen(file) goes on in another file', async () => {
    const boom = await opened(make, { dest: at('a.log') })
    boom.write('here\n')
    await flushed(boom)
    boom.reopen(at('b.log'))
    await once(boom, 'ready')
    boom.write('there\n')
    boom.end()
    await once(boom, 'close')
    expect(text('a.log')).toBe('here\n')
    expect(text('b.log')).toBe('there\n')
  })

  it("reopen() where the path cannot be opened: 'error', and the old file goes on", async () => {
    const boom = await opened(make, { dest: at('a.log') })
    boom.write('one\n')
    await flushed(boom)
    renameSync(at('a.log'), at('old.log'))
    mkdirSync(at('a.log'))
    boom.reopen()
    const [error] = await once(boom, 'error')
    expect(error.message).toContain('EISDIR')
    boom.write('two\n')
    boom.end()
    await once(boom, 'close')
    expect(text('old.log')).toBe('one\ntwo\n')
  })

  it('cannot reopen a descriptor', async () => {
    const fd = openSync(at('a.log'), 'w')
    const boom = await opened(make, { dest: fd })
    expect(() => boom.reopen()).toThrow(/descriptor/)
    boom.end()
    await once(boom, 'close')
  })

  it('append, mode and mkdir', async () => {
    writeFileSync(at('a.log'), 'old\n')
    const more = await opened(make, { dest: at('a.log'), append: true })
    more.write('new\n')
    more.end()
    await once(more, 'close')
    expect(text('a.log')).toBe('old\nnew\n')
    const emptied = await opened(make, { dest: at('a.log'), append: false })
    emptied.write('only\n')
    emptied.end()
    await once(emptied, 'close')
    expect(text('a.log')).toBe('only\n')
    const made = await opened(make, { dest: at('x/y/b.log'), mkdir: true, mode: 0o600 })
    made.end()
    await once(made, 'close')
    expect(statSync(at('x/y/b.log')).mode & 0o777).toBe(0o600)
  })

  it("maxLength: drops what does not fit, with the line in 'drop'; write() false, then 'drain'", async () => {
    execFileSync('mkfifo', [at('fifo')])
    const reader = openSync(at('fifo'), constants.O_RDONLY | constants.O_NONBLOCK)
    const boom = await opened(make, { dest: at('fifo'), maxLength: 256 * 1024 })
    const dropped: string[] = []
    boom.on('drop', (line) => dropped.push(line))
    let last = true
    const line = (i: number): string => `${i} ${'x'.repeat(500)}\n`
    for (let i = 0; i < 4000; i++) last = boom.write(line(i))
    expect(last).toBe(false)
    expect(dropped.at(-1)).toBe(line(3999))
    const drained = once(boom, 'drain')
    const chunk = Buffer.alloc(1 << 20)
    const timer = setInterval(() => {
      try {
        while (readSync(reader, chunk) > 0) {} // 0: nobody writes any more
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      }
    }, 1)
    await drained
    expect(boom.write('room\n')).toBe(true)
    boom.end()
    await once(boom, 'close')
    clearInterval(timer)
    closeSync(reader)
  })

  it('periodicFlush writes by and by what is less than minLength', async () => {
    const boom = await opened(make, { dest: at('a.log'), periodicFlush: 20, minLength: 5000 })
    boom.write('little\n')
    await expect.poll(() => text('a.log')).toBe('little\n')
    boom.end()
    await once(boom, 'close')
  })

  it('fsync', async () => {
    const boom = await opened(make, { dest: at('a.log'), fsync: true })
    boom.write('kept\n')
    await flushed(boom)
    expect(text('a.log')).toBe('kept\n')
    boom.end()
    await once(boom, 'close')
  })

  it('serves pino: logger.flush(), levels, fatal', async () => {
    const boom = await opened(make, { dest: at('a.log') })
    const log = pino({ base: null, timestamp: false }, boom)
    log.info({ a: 1 }, 'one')
    log.fatal('two')
    await new Promise<void>((resolve, reject) => {
      log.flush((error) => (error ? reject(error) : resolve()))
    })
    expect(text('a.log')).toBe('{"level":30,"a":1,"msg":"one"}\n{"level":60,"msg":"two"}\n')
    boom.end()
    await once(boom, 'close')
  })
})

describe('what is its own', () => {
  const refusal = (make: () => unknown): MillraceError => {
    try {
      make()
    } catch (error) {
      if (error instanceof MillraceError) return error
      throw error
    }
    throw new Error('it was not refused')
  }

  it('takes a path, a descriptor, a file URL, or options', async () => {
    const fd = openSync(at('b.log'), 'w')
    for (const to of [at('a.log'), fd, pathToFileURL(at('c.log')), { path: at('d.log') }]) {
      await using made = destination(to)
      made.write('x\n')
    }
    for (const name of ['a.log', 'b.log', 'c.log', 'd.log']) expect(text(name)).toBe('x\n')
  })

  it('refuses what it does not build, by name', () => {
    const cases: [object, string][] = [
      [{ dest: at('a.log'), sync: true }, 'sync'],
      [{ dest: at('a.log'), retryEAGAIN: () => true }, 'retryEAGAIN'],
      [{ dest: at('a.log'), maxWrite: 1 }, 'maxWrite'],
      [{ dest: at('a.log'), path: at('a.log') }, 'dest'],
      [{ dest: at('a.log'), minLength: 'much' }, 'minLength'],
    ]
    for (const [options, path] of cases) {
      const error = refusal(() => destination(options as DestinationOptions))
      expect(error).toMatchObject({ code: 'ERR_MILLRACE_ARGUMENT', path })
      expect(error.hint).toBeTruthy()
    }
  })

  it('throws at once where the file cannot be opened', () => {
    const error = refusal(() => destination(at('no/a.log')))
    expect(error).toMatchObject({ code: 'ERR_MILLRACE_FLUSH_OPEN', path: at('no/a.log') })
  })

  it("a full disk: 'error' once, what end() could not write is an error, never a throw", async () => {
    const full = destination({ dest: '/dev/full', flushInterval: 5 })
    full.write('x\n')
    const [error] = await once(full, 'error')
    expect(error.message).toContain('ENOSPC')
    const events: string[] = []
    full.on('error', (lost) => events.push((lost as MillraceError).code))
    full.on('finish', () => events.push('finish'))
    full.end()
    await new Promise<void>((resolve) => full.on('close', resolve))
    expect(events).toEqual(['ERR_MILLRACE_FLUSH_LOST'])
  })
})

describe('where it meets what users of sonic-boom do', () => {
  it('makes files with the mode that node:fs does, less the umask', async () => {
    const umask = process.umask(0o002)
    try {
      const boom = await opened(makers[0]?.[1] as never, { dest: at('a.log') })
      boom.end()
      await once(boom, 'close')
      expect(statSync(at('a.log')).mode & 0o777).toBe(0o664)
    } finally {
      process.umask(umask)
    }
  })

  it('takes a maxLength below what it buffers at least, as that', async () => {
    const to = destination({ dest: at('a.log'), maxLength: 100 })
    expect(to.write(`${'x'.repeat(1000)}\n`)).toBe(true)
    to.end()
    await once(to, 'close')
    expect(text('a.log')).toHaveLength(1001)
    expect(() => destination({ dest: at('b.log'), maxLength: -1 })).toThrow(MillraceError)
  })

  it('is a transport by itself, whatever pino adds to its options', async () => {
    writeFileSync(
      at('transport.mjs'),
      `export { destination as default } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, '../../dist/pino.js')).href)}\n`,
    )
    const stream = pino.transport({ target: at('transport.mjs'), options: { dest: at('a.log') } })
    await once(stream, 'ready')
    pino({ base: null, timestamp: false }, stream).info('by a transport')
    stream.end()
    await once(stream, 'close')
    expect(text('a.log')).toBe('{"level":30,"msg":"by a transport"}\n')
  })

  it('destroy() says how many lines it lost', async () => {
    execFileSync('mkfifo', [at('fifo')])
    const reader = openSync(at('fifo'), constants.O_RDONLY | constants.O_NONBLOCK)
    const to = destination({ dest: at('fifo') })
    for (let i = 0; i < 2000; i++) to.write(`${'x'.repeat(99)}\n`)
    const error = new Promise((resolve) => to.once('error', resolve))
    const close = new Promise<void>((resolve) => to.once('close', () => resolve()))
    to.destroy()
    expect(await error).toMatchObject({
      code: 'ERR_MILLRACE_FLUSH_LOST',
      message: expect.stringMatching(/^\d+ lines \(\d+ bytes\) not written to /),
    })
    await close
    closeSync(reader)
  })
})
