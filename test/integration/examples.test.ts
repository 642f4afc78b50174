// The examples are what they say.

import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { kPatienceMs } from '../patience.ts'
import { millrace, root } from './support/millrace.ts'

const ending = (end: string): string[] =>
  readdirSync(join(root, 'examples')).filter((name) => name.endsWith(end))
const configurations = ending('.yaml')
const programs = ending('.mjs')

/** The lines of the comment `Prints:` at the head of a program. */
function promised(program: string): string {
  const [, lines = ''] = /^\/\/ Prints:\n((?:\/\/ {3}.*\n)+)/m.exec(program) ?? []
  return lines.replace(/^\/\/ {3}/gm, '')
}

describe('examples/', () => {
  it.each(programs)('%s prints what it says', async (name) => {
    const expected = promised(readFileSync(join(root, 'examples', name), 'utf8'))
    expect(expected).not.toBe('')
    const run = promisify(execFile)(process.execPath, [join('examples', name)], {
      cwd: root,
      timeout: kPatienceMs,
    })
    expect(await run).toEqual({ stdout: expected, stderr: '' })
  })
  it.each(configurations)('%s is valid', async (name) => {
    const path = join(root, 'examples', name)
    expect(await millrace(['validate', '-c', path])).toMatchObject({ code: 0, stderr: '' })
  })
  it('are all listed', () => {
    const list = readFileSync(join(root, 'examples/README.md'), 'utf8')
    for (const name of [...configurations, ...programs]) expect(list).toContain(`(${name})`)
  })
})
