// Files that hang, and what they leave to others of the four threads that read files.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import { temporaryFolder, write } from './support/files.ts'
import { hangingOpen } from './support/hanging.ts'
import { root } from './support/millrace.ts'

const kScript = `
  import { readFile } from 'node:fs/promises'
  const [module, folder] = process.argv.slice(1)
  const { readWithin } = await import(module)
  const limits = { bytesMax: 100, deadlineMs: 2_000 }
  const messages = async (paths) => {
    const settled = await Promise.allSettled(paths.map((path) => readWithin(path, limits)))
    const said = ({ value, reason }) => value?.toString() ?? reason.code + ' ' + reason.message
    return settled.map(said)
  }
  const six = messages([0, 1, 2, 3, 4].map((i) => folder + i + '.hung').concat(folder + 'good'))
  // Neither waits for those.
  const other = await readFile(folder + 'good', 'utf8')
  const first = await readWithin(folder + 'good', { ...limits, deadlineMs: 60_000, first: true })
  const said = { other, first: first.toString(), six: await six }
  said.again = await messages([folder + '0.hung', folder + '2.hung'])
  process.stdout.write(JSON.stringify(said), () => process.kill(process.pid, 'SIGKILL'))
`

it('that hang take two threads, and those that wait for them say so', () => {
  const folder = `${temporaryFolder()}/`
  for (const name of ['0.hung', '1.hung', '2.hung', '3.hung', '4.hung']) write(folder, name, 'hung')
  write(folder, 'good', 'good')
  const module = pathToFileURL(join(root, 'dist/read_file.js')).href
  const args = ['--input-type=module', '-e', kScript, module, folder]
  const env = { ...process.env, LD_PRELOAD: hangingOpen(folder) }
  let stdout = ''
  try {
    execFileSync(process.execPath, args, {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 60_000,
    })
  } catch (error) {
    stdout = String((error as { stdout: Buffer }).stdout)
  }
  const late = `ETIMEDOUT not within 2 s: files before it hang (${folder}0.hung, ${folder}1.hung)`
  expect(JSON.parse(stdout)).toEqual({
    other: 'good',
    first: 'good',
    six: [...Array(2).fill('ETIMEDOUT not within 2 s'), ...Array(4).fill(late)],
    again: ['ETIMEDOUT an earlier try to read it waits still', late],
  })
})
