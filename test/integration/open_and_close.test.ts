// Whoever opens and closes over and over is left with nothing: closing releases at once, and what
// the garbage collector gives back later is all of it.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from './support/files.ts'

const script = join(import.meta.dirname, 'support/open_and_close.mjs')
const exec = promisify(execFile)

interface Left {
  readonly descriptors: number
  readonly mostDescriptors: number
  readonly threads: number
  readonly heapEach: number
  readonly residentEach: number
}

describe.runIf(process.platform === 'linux')('a thousand, opened and closed', () => {
  it.each([
    ['proxies', 96 * 1024], // threads come and go, and the allocator keeps what they had
    ['files', 64 * 1024],
    ['tables', 64 * 1024],
  ] as const)(
    '%s',
    async (kind, resident) => {
      const args = ['--expose-gc', script, kind, '1000']
      const { stdout } = await exec(process.execPath, args, { cwd: temporaryFolder() })
      const left = JSON.parse(stdout) as Left
      expect(left).toMatchObject({ descriptors: 0, threads: 0 })
      // One proxy has two workers, a socket for each, and a log at the most: no second one is there.
      expect(left.mostDescriptors).toBeLessThan(20)
      expect(left.heapEach).toBeLessThan(2_048)
      expect(left.residentEach).toBeLessThan(resident)
    },
    600_000,
  )
})

it.runIf(process.platform === 'linux')(
  'no descriptor left: the error says so, and what to do',
  async () => {
    const program = `
    import { createProxy } from ${JSON.stringify(join(import.meta.dirname, '../../dist/index.js'))}
    const config = { listen: '127.0.0.1:0', routes: { '/': 'http://127.0.0.1:1' } }
    await createProxy(config, { concurrency: 200 }).then(
      () => console.log('?'),
      (error) => console.log(error.code, error.message),
    )
    process.exit(0)`
    const args = [
      '-c',
      'ulimit -n 128; exec "$0" --input-type=module -e "$1"',
      process.execPath,
      program,
    ]
    const { stdout } = await exec('/bin/bash', args)
    expect(stdout).toContain('EMFILE')
    expect(stdout).toContain('ulimit -n')
  },
)
