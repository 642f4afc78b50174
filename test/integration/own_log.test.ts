// The program's own log, on stderr that takes nothing: it is bounded and counted, and stops nothing.

import { constants, openSync, readFileSync, readSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { freePort } from './support/dns.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace } from './support/millrace.ts'
import { sayingService } from './support/peers.ts'
import { fullFifo, serving } from './support/phases.ts'

const kClean = { code: 0, signal: null }

interface Started {
  readonly millrace: Millrace
  readonly path: string
  readonly folder: string
  admin(path: string): string
}

/** Its log is not seen, and so its admin interface has a port that is known before. */
async function started(stderr: (folder: string) => string): Promise<Started> {
  const folder = temporaryFolder()
  const path = write(folder, 'config.json', serving(await sayingService('served')))
  const port = await freePort()
  const millrace = Millrace.spawn(['-c', path, '--admin', String(port)], {
    shell: `exec 2>${stderr(folder)}`,
  })
  const admin = (at: string): string => `http://127.0.0.1:${port}${at}`
  const ready = (): Promise<string> =>
    fetch(admin('/ready')).then(
      (answer) => answer.text(),
      () => '',
    )
  await expect.poll(ready).toBe('LIVE\n')
  return { millrace, path, folder, admin }
}

async function served({ admin }: Started): Promise<string> {
  const listeners = await (await fetch(admin('/listeners'))).text()
  const at = /^main::(\S+)$/m.exec(listeners)?.[1]
  return (await fetch(`http://${at}/`)).text()
}

async function stat({ admin }: Started, name: string): Promise<number> {
  const text = await (await fetch(admin('/stats'))).text()
  return Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1])
}

/** A line for each of these problems is more than a pipe holds. */
function manyProblems(folder: string): string {
  const fields = Array.from({ length: 3000 }, (_, i) => [`no_such_field_${i}`, 1])
  return write(folder, 'wrong.json', { static_resources: Object.fromEntries(fields) })
}

describe('stderr', () => {
  it('on a full disk: failures are counted, and everything goes on', async () => {
    const it = await started(() => '/dev/full')
    it.millrace.signal('SIGUSR1')
    await expect.poll(() => stat(it, 'server.log.write_failed')).toBeGreaterThan(0)
    expect(await served(it)).toBe('served')
    it.millrace.signal('SIGTERM')
    expect(await it.millrace.exited).toEqual(kClean)
  })

  it('whose reader stalls: what does not fit is dropped, counted, and said in the end', async () => {
    let pipe: ReturnType<typeof fullFifo> | undefined
    const it = await started((folder) => {
      pipe = fullFifo(folder, 'stderr')
      return pipe.path
    })
    expect(await served(it)).toBe('served')
    write(it.folder, 'config.json', readFileSync(manyProblems(it.folder), 'utf8'))
    const dropped = (): Promise<number> => stat(it, 'server.log.lines_dropped')
    const rejected = (): Promise<number> => stat(it, 'configuration.reload_rejected')
    for (let n = 1; (await dropped()) === 0; n++) {
      it.millrace.signal('SIGHUP')
      await expect.poll(rejected).toBe(n)
    }
    expect(await served(it)).toBe('served')
    const reader = openSync(pipe?.path ?? '', constants.O_RDONLY | constants.O_NONBLOCK)
    const said = readsAll(reader)
    await expect.poll(said).toContain('lines of this log were dropped')
    it.millrace.signal('SIGTERM')
    await expect.poll(said).toContain('"msg":"stopped"')
    expect(await it.millrace.exited).toEqual(kClean)
    pipe?.close()
  })

  it('whose reader stalls does not hold up the end', async () => {
    let pipe: ReturnType<typeof fullFifo> | undefined
    const it = await started((folder) => {
      pipe = fullFifo(folder, 'stderr')
      return pipe.path
    })
    it.millrace.signal('SIGTERM')
    expect(await it.millrace.exited).toEqual(kClean)
    pipe?.close()
  })

  it('whose reader stalls does not hold up a start that fails', async () => {
    const folder = temporaryFolder()
    const pipe = fullFifo(folder, 'stderr')
    const shell = `exec 2>${pipe.path}`
    const millrace = Millrace.spawn(['-c', manyProblems(folder)], { shell })
    expect(await millrace.exited).toEqual({ code: 78, signal: null })
    pipe.close()
  })
})

/** What comes is collected with each call. */
function readsAll(fd: number): () => string {
  let text = ''
  const chunk = Buffer.alloc(1 << 20)
  return () => {
    try {
      for (;;) {
        const size = readSync(fd, chunk)
        if (size === 0) return text
        text += chunk.toString('utf8', 0, size)
      }
    } catch {
      return text // EAGAIN
    }
  }
}
