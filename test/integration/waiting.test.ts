// Starts and reloads that wait: for clusters, for a file. What a newer configuration, a signal, and
// a file that never comes mean for them.

import {
  closeSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder, write } from './support/files.ts'
import { hangingOpen } from './support/hanging.ts'
import { type LogLine, Millrace, millrace, root } from './support/millrace.ts'
import { get, RawClient, sayingService } from './support/peers.ts'
import {
  fifo,
  heldService,
  kMain,
  replace,
  resolved,
  resolving,
  serving,
  servingTwice,
  warming,
} from './support/phases.ts'

const said = async (millrace: Millrace): Promise<string> =>
  (await fetch(millrace.url('/', kMain))).text()

describe('what waits for clusters', () => {
  it('says for which, and for what of each', async () => {
    const path = write(
      temporaryFolder(),
      'config.json',
      serving(1, [await resolving('dead.test'), await warming()]),
    )
    const millrace = Millrace.spawn(['-c', path])
    const { clusters, state } = await millrace.log('waiting for clusters')
    expect(state).toBe('INITIALIZING')
    expect(clusters).toEqual([
      { cluster: 'mute', awaits: ['the addresses of dead.test (DNS)'] },
      {
        cluster: 'unchecked',
        awaits: [expect.stringMatching(/^the first health check of 127\.0\.0\.1:\d+$/)],
      },
    ])
  })

  it('as a reload gives way to a correction, whole', async () => {
    const [first, second] = [await sayingService('first'), await sayingService('second')]
    const folder = temporaryFolder()
    const path = write(folder, 'config.json', serving(first))
    const millrace = await Millrace.start(['-c', path])
    replace(folder, path, servingTwice(first, [await resolving()]))
    millrace.signal('SIGHUP')
    await millrace.log('waiting for clusters')
    replace(folder, path, serving(second))
    millrace.signal('SIGHUP')
    expect(await millrace.log('configuration reloaded')).toMatchObject({ listenersAdded: [] })
    const givenUp = millrace.lines.find(({ msg }) => msg.startsWith('reload given up'))
    expect(givenUp?.msg).toContain('a newer configuration')
    expect(await said(millrace)).toBe('second')
    expect(await (await fetch(millrace.admin('/clusters'))).text()).not.toContain('mute')
    expect(await millrace.stat('configuration.reload_success')).toBe(1)
  })

  it('as a start gives way to a correction', async () => {
    const folder = temporaryFolder()
    const path = write(folder, 'config.json', serving(1, [await resolving()]))
    const millrace = Millrace.spawn(['-c', path, '--admin', '0'])
    await millrace.log('waiting for clusters')
    expect((await fetch(millrace.admin('/ready'))).status).toBe(503)
    replace(folder, path, serving(await sayingService('corrected'), [await resolved()]))
    millrace.signal('SIGHUP')
    await millrace.log('ready')
    expect(await said(millrace)).toBe('corrected')
    expect(await (await fetch(millrace.admin('/ready'))).text()).toBe('LIVE\n')
    expect(await millrace.stop()).toEqual({ code: 0, signal: null })
  })

  it('does not give way to one that is wrong, nor begins anew for the same', async () => {
    const folder = temporaryFolder()
    const config = serving(1, [await resolving()])
    const path = write(folder, 'config.json', config)
    const millrace = Millrace.spawn(['-c', path, '--admin', '0'])
    await millrace.log('waiting for clusters')
    const attempts = (): Promise<number> => millrace.stat('cluster.mute.update_attempt')
    expect(await attempts()).toBe(1)
    replace(folder, path, config)
    millrace.signal('SIGHUP')
    replace(folder, path, '{"static_resources": 1}')
    millrace.signal('SIGHUP')
    const refused = 'reload refused: the configuration in force stays'
    expect((await millrace.log(refused)).problems).toHaveLength(1)
    expect(await attempts()).toBe(1)
    expect(millrace.lines.some(({ msg }) => msg.startsWith('reload given up'))).toBe(false)
    expect(await (await fetch(millrace.admin('/ready'))).text()).toBe('INITIALIZING\n')
    expect(await millrace.stop()).toEqual({ code: 0, signal: null })
  })

  it('as a reload is given up by SIGTERM: it opens nothing, requests finish', async () => {
    const service = await heldService()
    const folder = temporaryFolder()
    const path = write(folder, 'config.json', serving(service.port))
    const millrace = await Millrace.start(['-c', path])
    const client = await RawClient.connect(millrace.port(kMain))
    client.send(get('/held'))
    await expect.poll(service.held).toBe(1)
    replace(folder, path, servingTwice(service.port, [await warming()]))
    millrace.signal('SIGHUP')
    await millrace.log('waiting for clusters')
    millrace.signal('SIGTERM')
    const line = await millrace.log('reload refused: the configuration in force stays')
    expect(line.error).toContain('the server drains')
    expect(await (await fetch(millrace.admin('/listeners'))).text()).not.toContain('second')
    expect(await (await fetch(millrace.admin('/clusters'))).text()).not.toContain('unchecked')
    service.release()
    expect(await client.all()).toContain('held')
    expect(await millrace.exited).toEqual({ code: 0, signal: null })
  })
})

describe('a signal that comes while the program is being loaded', () => {
  const early = (signal: string): Millrace => {
    const preload = join(import.meta.dirname, 'support/early_signal.mjs')
    const env = { NODE_OPTIONS: `--import=${preload}`, EARLY_SIGNAL: signal }
    const path = write(temporaryFolder(), 'config.json', serving(1))
    return Millrace.spawn(['-c', path, '--admin', '0'], { env })
  }

  it.each(['SIGTERM', 'SIGINT', 'SIGQUIT'])('%s ends it before it listens', async (signal) => {
    const millrace = early(signal)
    expect(await millrace.exited).toEqual({ code: 0, signal: null })
    expect(millrace.lines.map(({ msg }) => msg)).toEqual([
      'ending before the start was over',
      'stopped',
    ])
  })

  it('SIGHUP is answered: the file was not read yet', async () => {
    const millrace = early('SIGHUP')
    await millrace.log('the configuration is still to be loaded')
    await millrace.log('ready')
    expect(await millrace.stat('configuration.reload_success')).toBe(0)
  })

  it.each(['SIGUSR1', 'SIGUSR2'])('%s is told of, and opens no debugger', async (signal) => {
    const millrace = early(signal)
    await millrace.until('a word', () => millrace.lines.find((line) => line.signal === signal))
    await millrace.log('ready')
    expect(millrace.otherLines).toEqual([])
  })

  it('is caught, as the first file of the program loads nothing before', () => {
    const file = (name: string): string => readFileSync(join(root, 'src/cli', name), 'utf8')
    const imports = (text: string): string[] => text.match(/^(import|export) .* from .*$/gm) ?? []
    expect(imports(file('signals.ts'))).toEqual([])
    expect(imports(file('main.ts'))).toEqual(["import { Signals } from './signals.ts'"])
  })
})

describe('a file that blocks', () => {
  const reading = (line: LogLine): boolean => line.msg === 'waiting for the configuration'

  it('as a FIFO at the start: what is written to it in the end is in force', async () => {
    const path = fifo(temporaryFolder(), 'config')
    const millrace = Millrace.spawn(['-c', path, '--admin', '0'])
    await millrace.until('a word', () => millrace.lines.find(reading))
    writeFileSync(path, JSON.stringify(serving(await sayingService('from a FIFO'))))
    await millrace.log('ready')
    expect(await said(millrace)).toBe('from a FIFO')
  })

  it('as a FIFO in a reload: everything else goes on', async () => {
    const folder = temporaryFolder()
    const path = write(folder, 'config.json', serving(await sayingService('before')))
    const millrace = await Millrace.start(['-c', path])
    rmSync(path)
    fifo(folder, 'config.json')
    millrace.signal('SIGHUP')
    await millrace.until('a word', () => millrace.lines.find(reading))
    expect(await (await fetch(millrace.admin('/ready'))).text()).toBe('LIVE\n')
    millrace.signal('SIGUSR1')
    await millrace.log('log files reopened')
    writeFileSync(path, JSON.stringify(serving(await sayingService('after'))))
    await millrace.log('configuration reloaded')
    expect(await said(millrace)).toBe('after')
  })

  it('is read again when it was to be while it was read', async () => {
    const folder = temporaryFolder()
    const path = fifo(folder, 'config.json')
    const millrace = Millrace.spawn(['-c', path, '--admin', '0'])
    await millrace.until('a word', () => millrace.lines.find(reading))
    millrace.signal('SIGHUP')
    await millrace.log('the file will be loaded again: it is being read already')
    const next = write(folder, 'next', serving(await sayingService('second')))
    const first = JSON.stringify(serving(await sayingService('first')))
    // The FIFO is open for reading; from now on its name leads to the next file.
    const writer = openSync(path, 'w')
    renameSync(next, path)
    writeSync(writer, first)
    closeSync(writer)
    await millrace.log('ready')
    await expect.poll(() => said(millrace)).toBe('second')
  })

  it('as a file of endpoints: the start says so, and SIGTERM ends it', async () => {
    const folder = temporaryFolder()
    const eds = {
      name: 'listed',
      type: 'EDS',
      eds_cluster_config: {
        eds_config: { path_config_source: { path: fifo(folder, 'endpoints') } },
      },
    }
    const path = write(folder, 'config.json', serving(1, [eds]))
    const millrace = Millrace.spawn(['-c', path, '--admin', '0'])
    const { clusters } = await millrace.log('waiting for clusters')
    expect(clusters).toEqual([{ cluster: 'listed', awaits: [`the file ${folder}/endpoints`] }])
    expect((await fetch(millrace.admin('/ready'))).status).toBe(503)
    expect(await millrace.stop()).toEqual({ code: 0, signal: null })
  })

  it('as the body of a direct response is refused at once, with its place', async () => {
    const folder = temporaryFolder()
    const text = JSON.stringify(serving(1)).replace(
      '"route":{"cluster":"web"}',
      `"direct_response":{"status":200,"body":{"filename":"${fifo(folder, 'body')}"}}`,
    )
    const { code, stderr } = await millrace(['validate', '-c', write(folder, 'body.json', text)])
    expect(code).toBe(78)
    expect(stderr).toContain('body.filename: cannot be read: it is no regular file')
  })

  it('as a mount that hangs: SIGTERM ends the process at once', async () => {
    const folder = temporaryFolder()
    const path = write(folder, 'config.hung', serving(1))
    const millrace = Millrace.spawn(['-c', path], { env: { LD_PRELOAD: hangingOpen(folder) } })
    await millrace.until('a word', () => millrace.lines.find(reading))
    expect(await millrace.stop()).toEqual({ code: 0, signal: null })
    expect(millrace.lines.at(-1)?.msg).toBe('stopped')
  })

  it('as files of endpoints that hang, however many: a correction is read', async () => {
    const folder = temporaryFolder()
    const listed = Array.from({ length: 5 }, (_, i) => {
      const path_config_source = { path: write(folder, `${i}.hung`, {}) }
      const eds_cluster_config = { eds_config: { path_config_source } }
      return { name: `listed${i}`, type: 'EDS', eds_cluster_config }
    })
    const path = write(folder, 'config.json', serving(1, listed))
    const millrace = Millrace.spawn(['-c', path], { env: { LD_PRELOAD: hangingOpen(folder) } })
    await millrace.log('waiting for clusters')
    replace(folder, path, serving(await sayingService('corrected')))
    millrace.signal('SIGHUP')
    await millrace.log('ready')
    expect(await said(millrace)).toBe('corrected')
    expect(await millrace.stop()).toEqual({ code: 0, signal: null })
  })
})
