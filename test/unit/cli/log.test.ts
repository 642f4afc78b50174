import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { writeAll } from '../../../src/cli/log.ts'
import { FlushFile } from '../../../src/flush/flush_file.ts'

it('writes a text that is longer than what the log holds', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-log-'))
  const path = join(folder, 'log')
  const file = new FlushFile({ path, maxBytes: 128 * 1024 })
  const text = Array.from({ length: 100_000 }, (_, i) => `${i} ü …`).join('\n')
  try {
    await writeAll(file, text, 60_000)
    await file.end()
    expect(readFileSync(path, 'utf8') === text).toBe(true)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

it('does not wait for a reader for longer than the deadline', async () => {
  let writes = 0
  const file = {
    write: () => ++writes < 2,
    once: () => file as never,
    off: () => file as never,
  }
  await writeAll(file, 'x'.repeat(1_000_000), 10)
  expect(writes).toBe(2)
})
