// FlushFile on real files, pipes and descriptors.
import { execFileSync } from 'node:child_process'
import {
  closeSync,
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
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FlushFile, type FlushFileOptions } from '../../src/core.ts'
import { MillraceError } from '../../src/errors.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-flush-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const at = (name: string): string => join(dir, name)
const text = (name: string): string => readFileSync(at(name), 'utf8')

function refusal(make: () => unknown): MillraceError {
  try {
    make()
  } catch (error) {
    if (error instanceof MillraceError) return error
    throw error
  }
  throw new Error('it was not refused')
}

/** A file that nobody reads, and that fills up: a FIFO. */
function fifo(name = 'fifo'): string {
  execFileSync('mkfifo', [at(name)])
  return at(name)
}

describe('writing', () => {
  it('takes strings and bytes, and writes them in order as UTF-8', async () => {
    const file = new FlushFile({ path: at('a.log') })
    expect(file.write('plain\n')).toBe(true)
    expect(file.write(Buffer.from('bytes é\n'))).toBe(true)
    expect(file.write(new Uint8Array([0x61, 0x0a]))).toBe(true)
    expect(file.write('é→😀\n')).toBe(true)
    expect(file.write('lone \ud800\n')).toBe(true)
    expect(file.write('')).toBe(true)
    await file.flush()
    expect(text('a.log')).toBe('plain\nbytes é\na\né→😀\nlone \ufffd\n')
    expect(file.counters).toMatchObject({ lines: 5, written: 5, buffered: 0, dropped: 0 })
    expect(await file.end()).toEqual({ lines: 0, bytes: 0 })
  })

  it('takes lines of any length up to the buffer, at the borders of what is copied at once', async () => {
    const file = new FlushFile({ path: at('a.log') })
    let expected = ''
    for (const size of [1, 16_370, 16_375, 16_376, 16_377, 16_384, 16_390, 70_000, 3_000_000]) {
      for (const letter of ['x', 'é', '→']) {
        const line = `${letter.repeat(size)}\n`
        file.write(line)
        expected += line
      }
    }
    await file.end()
    expect(text('a.log') === expected).toBe(true)
  })

  it('is visible after the interval, without a flush', async () => {
    const file = new FlushFile({ path: at('a.log'), flushInterval: 5 })
    file.write('soon\n')
    await expect.poll(() => text('a.log')).toBe('soon\n')
    await file.end()
  })

  it('flushSync() waits until all is written', async () => {
    const file = new FlushFile({ path: at('a.log'), flushInterval: 60_000 })
    file.write('now\n')
    expect(file.flushSync()).toBe(true)
    expect(text('a.log')).toBe('now\n')
    await file.end()
  })

  it('appends, or empties the file with append: false; mode and mkdir', async () => {
    writeFileSync(at('a.log'), 'old\n')
    const appending = new FlushFile({ path: at('a.log') })
    appending.write('new\n')
    await appending.end()
    expect(text('a.log')).toBe('old\nnew\n')
    const emptying = new FlushFile({ path: at('a.log'), append: false })
    emptying.write('only\n')
    await emptying.end()
    expect(text('a.log')).toBe('only\n')
    const deep = new FlushFile({ path: at('x/y/z.log'), mkdir: true, mode: '600', fsync: true })
    deep.write('deep\n')
    await deep.flush()
    await deep.end()
    expect(text('x/y/z.log')).toBe('deep\n')
    expect(statSync(at('x/y/z.log')).mode & 0o777).toBe(0o600)
  })

  it('writes to a descriptor, and goes on when its owner closes it', async () => {
    const fd = openSync(at('a.log'), 'w')
    const file = new FlushFile({ fd })
    file.write('one\n')
    closeSync(fd)
    file.write('two\n')
    await file.end()
    expect(text('a.log')).toBe('one\ntwo\n')
  })

  it('reopens after a rotation: before to the old file, after to the new one', async () => {
    const file = new FlushFile({ path: at('a.log'), flushInterval: 60_000 })
    file.write('before\n')
    renameSync(at('a.log'), at('a.log.1'))
    await file.reopen()
    file.write('after\n')
    await file.end()
    expect(text('a.log.1')).toBe('before\n')
    expect(text('a.log')).toBe('after\n')
    expect(file.counters.reopens).toBe(1)
  })

  it('ends with await using, once', async () => {
    {
      await using file = new FlushFile({ path: at('a.log') })
      file.write('used\n')
      expect(file.end()).toBe(file.end())
    }
    expect(text('a.log')).toBe('used\n')
  })
})

describe('a full buffer', () => {
  it('drops and counts, says so once a turn, and tells when there is room again', async () => {
    const path = fifo()
    const file = new FlushFile({ path, maxBytes: 64 * 1024 })
    const drops: { lines: number; bytes: number }[] = []
    file.on('drop', (loss) => drops.push(loss))
    const line = `${'x'.repeat(265)}\n`
    let refused = 0
    for (let i = 0; i < 2000; i++) if (!file.write(line)) refused++
    expect(refused).toBeGreaterThan(0)
    await new Promise(setImmediate)
    const { lines, dropped, buffered, droppedBytes } = file.counters
    expect(lines + dropped).toBe(2000)
    expect(dropped).toBeGreaterThan(0)
    expect(drops).toEqual([{ lines: dropped, bytes: droppedBytes }])
    expect(droppedBytes).toBe(dropped * 266)
    expect(buffered * 282).toBeLessThanOrEqual(64 * 1024 + 256 * 1024)
    const drained = new Promise<void>((resolve) => file.once('drain', resolve))
    const reader = openSync(path, 'r')
    const chunk = Buffer.alloc(1 << 20)
    let read = 0
    while (read < lines * 266) read += readSync(reader, chunk)
    await drained
    expect(file.write(line)).toBe(true)
    expect(await file.end()).toEqual({ lines: 0, bytes: 0 })
    closeSync(reader)
    expect(file.counters).toMatchObject({ written: lines + 1, lost: 0 })
  })

  it('waits with onFull: block, and loses nothing', async () => {
    const file = new FlushFile({ path: at('a.log'), maxBytes: 4096, onFull: 'block' })
    const line = (i: number): string => `${String(i).padStart(8)} ${'y'.repeat(90)}\n`
    for (let i = 0; i < 20_000; i++) file.write(line(i))
    expect(await file.end()).toEqual({ lines: 0, bytes: 0 })
    const lines = text('a.log').split('\n')
    expect(lines).toHaveLength(20_001)
    expect(lines.slice(0, -1).every((l, i) => `${l}\n` === line(i))).toBe(true)
  })

  it('drops a line that is longer than it will ever be, even with onFull: block', async () => {
    const file = new FlushFile({ path: at('a.log'), maxBytes: 4096, onFull: 'block' })
    expect(file.write('z'.repeat(5000))).toBe(false)
    await file.end()
    expect(file.counters).toMatchObject({ dropped: 1, droppedBytes: 5000, lines: 0 })
  })
})

describe('bad input is an error with a code, a path, and what to do', () => {
  const wrong: [name: string, path: string, options: unknown][] = [
    ['nothing', 'options', undefined],
    ['a string', 'options', 'a.log'],
    ['neither path nor fd', 'path', {}],
    ['both path and fd', 'path', { path: 'x', fd: 1 }],
    ['an empty path', 'path', { path: '' }],
    ['a zero byte', 'path', { path: 'a\0b' }],
    ['a number as path', 'path', { path: 7 }],
    ['a URL of another kind', 'path', { path: new URL('http://x/') }],
    ['a negative fd', 'fd', { fd: -1 }],
    ['a fractional fd', 'fd', { fd: 1.5 }],
    ['maxBytes as text', 'maxBytes', { path: 'x', maxBytes: '1' }],
    ['maxBytes too small', 'maxBytes', { path: 'x', maxBytes: 10 }],
    ['onFull unknown', 'onFull', { path: 'x', onFull: 'wait' }],
    ['flushInterval of 0', 'flushInterval', { path: 'x', flushInterval: 0 }],
    ['flushInterval NaN', 'flushInterval', { path: 'x', flushInterval: Number.NaN }],
    ['fsync as text', 'fsync', { path: 'x', fsync: 'yes' }],
    ['mode not octal', 'mode', { path: 'x', mode: '999' }],
    ['an unknown option', 'colour', { path: 'x', colour: 1 }],
    ['exitDeadline negative', 'exitDeadline', { path: 'x', exitDeadline: -1 }],
  ]
  it.each(wrong)('%s', (_, path, options) => {
    const error = refusal(() => new FlushFile(options as FlushFileOptions))
    expect(error).toMatchObject({ code: 'ERR_MILLRACE_ARGUMENT', path })
    expect(error.hint).toBeTruthy()
  })

  it.each<[string, () => FlushFileOptions, string]>([
    ['a file in a missing folder', () => ({ path: at('no/a.log') }), 'ENOENT'],
    ['a folder', () => ({ path: dir }), 'EISDIR'],
    ['a path below a file', () => ({ path: '/etc/passwd/a.log' }), 'ENOTDIR'],
    ['a path that nobody may make', () => ({ path: '/proc/millrace.log' }), 'ENOENT'],
    ['mkdir where nobody may', () => ({ path: '/proc/x/a.log', mkdir: true }), 'ENOENT'],
    ['a closed descriptor', () => ({ fd: 999_999 }), 'EBADF'],
  ])('%s', (_, options, errno) => {
    const error = refusal(() => new FlushFile(options()))
    expect(error.code).toBe('ERR_MILLRACE_FLUSH_OPEN')
    expect(error.message).toContain(errno)
    const { path, fd } = options()
    expect(error.path).toBe(path ?? `descriptor ${fd}`)
    expect(error.hint).toBeTruthy()
  })

  it('a descriptor that is open for reading only', () => {
    const fd = openSync('/etc/passwd', 'r')
    expect(refusal(() => new FlushFile({ fd })).message).toContain('EBADF')
    closeSync(fd)
  })

  it('a path that has become a folder: reopen() rejects, and the old file goes on', async () => {
    const file = new FlushFile({ path: at('a.log') })
    file.write('one\n')
    await file.flush()
    renameSync(at('a.log'), at('old.log'))
    mkdirSync(at('a.log'))
    await expect(file.reopen()).rejects.toMatchObject({
      code: 'ERR_MILLRACE_FLUSH_OPEN',
      path: at('a.log'),
      hint: expect.stringContaining('folder'),
    })
    file.write('two\n')
    await file.end()
    expect(text('old.log')).toBe('one\ntwo\n')
  })

  it('a full disk: told once, kept, and counted as lost at the end', async () => {
    const file = new FlushFile({ path: '/dev/full', flushInterval: 5 })
    const told = new Promise<MillraceError>((resolve) => file.once('error', resolve))
    file.write('nowhere\n')
    expect(await told).toMatchObject({ code: 'ERR_MILLRACE_FLUSH_WRITE', path: '/dev/full' })
    await expect(file.flush()).rejects.toThrow('ENOSPC')
    expect(file.flushSync(50)).toBe(false)
    expect(file.counters).toMatchObject({ failing: true, buffered: 1 })
    expect(file.counters.lastError).toContain('ENOSPC')
    expect(await file.end({ deadline: 50 })).toEqual({ lines: 1, bytes: 8 })
    expect(file.counters).toMatchObject({ lost: 1, lostBytes: 8, buffered: 0 })
  })

  it('a full disk that nobody listens to throws nothing', async () => {
    const file = new FlushFile({ path: '/dev/full', flushInterval: 5 })
    file.write('nowhere\n')
    await expect.poll(() => file.counters.writeErrors).toBeGreaterThan(0)
    await file.end({ deadline: 10 })
  })

  it('what is not a line, and what comes after the end', async () => {
    const file = new FlushFile({ path: at('a.log') })
    for (const line of [undefined, null, 1, {}, new Uint16Array(2), new ArrayBuffer(2)]) {
      const error = refusal(() => file.write(line as string))
      expect(error).toMatchObject({ code: 'ERR_MILLRACE_ARGUMENT', path: 'line' })
    }
    expect(refusal(() => file.flushSync(-1)).path).toBe('timeout')
    expect(refusal(() => file.end({ deadline: 'x' as unknown as number })).path).toBe('deadline')
    await file.end()
    expect(refusal(() => file.write('late\n')).code).toBe('ERR_MILLRACE_FLUSH_ENDED')
    await expect(file.reopen()).rejects.toMatchObject({ code: 'ERR_MILLRACE_FLUSH_ENDED' })
    await file.flush()
    expect(file.flushSync()).toBe(true)
    expect(text('a.log')).toBe('')
  })

  it('handles of nothing, of another process, and of a file that has ended', async () => {
    const file = new FlushFile({ path: at('a.log') })
    for (const handle of [undefined, null, {}, { type: 'millrace.FlushFile' }, 'x']) {
      expect(refusal(() => FlushFile.attach(handle as never)).path).toBe('handle')
    }
    const elsewhere = { ...file.handle, pid: 1 }
    expect(refusal(() => FlushFile.attach(elsewhere)).code).toBe('ERR_MILLRACE_FLUSH_HANDLE')
    await file.end()
    expect(refusal(() => FlushFile.attach(file.handle)).code).toBe('ERR_MILLRACE_FLUSH_ENDED')
  })
})
