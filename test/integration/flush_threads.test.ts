// One flush file, several threads: each has a buffer of its own, and may go at any moment.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FlushFile } from '../../src/core.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-threads-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const at = (name: string): string => join(dir, name)

function start(workerData: object): Worker {
  const url = new URL('support/flush_worker.mjs', import.meta.url)
  return new Worker(url, { workerData })
}

/** How many lines each writer has in the file; fails when one is torn or out of order. */
function linesOf(path: string): Record<string, number> {
  const counts: Record<string, number> = {}
  const text = readFileSync(path, 'utf8')
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line is torn')
  for (const line of text.split('\n').slice(0, -1)) {
    const [name = '', number = '', filler = ''] = line.split(' ')
    const expected = counts[name] ?? 0
    if (Number(number) !== expected || filler !== 'x'.repeat(expected % 300)) {
      throw new Error(`after line ${expected - 1} of ${name} comes: ${line}`)
    }
    counts[name] = expected + 1
  }
  return counts
}

describe('several threads', () => {
  it('write whole lines, each in its own order', async () => {
    const file = new FlushFile({ path: at('a.log'), onFull: 'block' })
    const names = ['a', 'b', 'c', 'd']
    const lines = 5000
    const workers = names.map((name) => start({ handle: file.handle, name, lines }))
    const ready = workers.map((worker) => once(worker, 'message'))
    for (let i = 0; i < lines; i++) file.write(`main ${i} ${'x'.repeat(i % 300)}\n`)
    await Promise.all(ready)
    for (const worker of workers) worker.postMessage('go')
    await Promise.all(workers.map((worker) => once(worker, 'exit')))
    expect(await file.end()).toEqual({ lines: 0, bytes: 0 })
    expect(linesOf(at('a.log'))).toEqual({ a: lines, b: lines, c: lines, d: lines, main: lines })
    expect(file.counters).toMatchObject({ lines: 5 * lines, written: 5 * lines, dropped: 0 })
  })

  it('that exit at once lose nothing', async () => {
    const file = new FlushFile({ path: at('a.log'), flushInterval: 60_000 })
    const worker = start({ handle: file.handle, name: 'w', lines: 777, exit: true })
    await once(worker, 'exit')
    await file.flush()
    expect(linesOf(at('a.log'))).toEqual({ w: 777 })
    await file.end()
  })

  it('that are terminated at any moment lose no line that write() has returned from', async () => {
    const file = new FlushFile({ path: at('a.log'), onFull: 'block', flushInterval: 1 })
    const least: Record<string, number> = {}
    for (let round = 0; round < 20; round++) {
      const progress = new SharedArrayBuffer(4)
      const name = `w${round}`
      const worker = start({ handle: file.handle, name, lines: 1e9, progress })
      const counts = new Int32Array(progress)
      while (Atomics.load(counts, 0) === 0) await sleep(1)
      await sleep(round % 5)
      await worker.terminate()
      least[name] = Atomics.load(counts, 0)
    }
    expect(await file.end()).toEqual({ lines: 0, bytes: 0 })
    const found = linesOf(at('a.log'))
    for (const [name, count] of Object.entries(least)) {
      // One more: written, but the thread did not live to say so.
      expect([count, count + 1]).toContain(found[name])
    }
    expect(file.counters).toMatchObject({ dropped: 0, lost: 0, buffered: 0 })
  })

  it('may own the file: it outlives its owner while another thread has it', async () => {
    const open = { path: at('a.log'), flushInterval: 60_000 }
    const worker = start({ open, name: 'owner', lines: 100 })
    const [{ handle }] = await once(worker, 'message')
    const file = FlushFile.attach(handle)
    await worker.terminate()
    for (let i = 0; i < 50; i++) file.write(`main ${i} ${'x'.repeat(i % 300)}\n`)
    await file.flush()
    expect(linesOf(at('a.log'))).toEqual({ owner: 100, main: 50 })
    expect(await file.end()).toEqual({ lines: 0, bytes: 0 })
    expect(() => FlushFile.attach(handle)).toThrow('has ended')
  })

  it('may go without ending what they alone have: it is written all the same', async () => {
    const open = { path: at('a.log'), flushInterval: 60_000 }
    await once(start({ open, name: 'w', lines: 4000, exit: true }), 'exit')
    await expect.poll(() => linesOf(at('a.log'))).toEqual({ w: 4000 })
  })

  it('see that the file has ended: what they write is dropped and counted', async () => {
    const file = new FlushFile({ path: at('a.log') })
    const attached = FlushFile.attach(file.handle)
    const closed = once(attached, 'close')
    attached.write('a 0 \n')
    await file.end()
    await closed
    expect(() => attached.write('a 1 x\n')).toThrow('has ended')
    expect(linesOf(at('a.log'))).toEqual({ a: 1 })
  })

  it('end what they attached to for themselves alone', async () => {
    const file = new FlushFile({ path: at('a.log'), flushInterval: 60_000 })
    const attached = FlushFile.attach(file.handle)
    attached.write('a 0 \n')
    expect(await attached.end()).toEqual({ lines: 0, bytes: 0 })
    expect(linesOf(at('a.log'))).toEqual({ a: 1 })
    file.write('b 0 \n')
    await file.end()
    expect(linesOf(at('a.log'))).toEqual({ a: 1, b: 1 })
  })
})

describe('a sink that stalls', () => {
  it('makes nobody else wait: files, names, other threads', async () => {
    const files = Array.from({ length: 8 }, (_, i) => {
      execFileSync('mkfifo', [at(`fifo${i}`)])
      return new FlushFile({ path: at(`fifo${i}`), maxBytes: 64 * 1024, exitDeadline: 0 })
    })
    const line = `${'x'.repeat(265)}\n`
    for (const file of files) for (let i = 0; i < 3000; i++) file.write(line)
    // Each of them is stuck: libuv's four threads would be, if they were used.
    await expect.poll(() => files.every((file) => file.counters.dropped > 0)).toBe(true)
    const good = new FlushFile({ path: at('good.log') })
    good.write('good\n')
    await good.flush()
    const { lookup } = await import('node:dns/promises')
    for (let i = 0; i < 16; i++) await stat(dir)
    await lookup('localhost')
    expect(readFileSync(at('good.log'), 'utf8')).toBe('good\n')
    const ended = await Promise.all(files.map((file) => file.end({ deadline: 0 })))
    for (const [i, file] of files.entries()) {
      const { lines, written, lost } = file.counters
      expect(written + lost).toBe(lines)
      expect(ended[i]?.lines).toBe(lost)
    }
    await good.end()
  })

  it('does not hold a thread that waits for room and is terminated', async () => {
    execFileSync('mkfifo', [at('fifo')])
    const path = at('fifo')
    const progress = new SharedArrayBuffer(4)
    const open = { path, maxBytes: 64 * 1024, onFull: 'block', exitDeadline: 0 }
    const worker = start({ open, name: 'w', lines: 1e9, progress })
    const counts = new Int32Array(progress)
    let before = -1
    while (before !== Atomics.load(counts, 0) || before === 0) {
      before = Atomics.load(counts, 0)
      await sleep(200)
    }
    expect(await worker.terminate()).toBe(1)
  })
})
