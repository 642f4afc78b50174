// The examples, and the configurations shown in the README, are what they say.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder, write } from './support/files.ts'
import { millrace, root } from './support/millrace.ts'

const examples = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.yaml'))

describe('examples/', () => {
  it.each(examples)('%s is valid', async (name) => {
    const path = join(root, 'examples', name)
    expect(await millrace(['validate', '-c', path])).toMatchObject({ code: 0, stderr: '' })
  })
  it('are all listed', () => {
    const list = readFileSync(join(root, 'examples/README.md'), 'utf8')
    for (const name of examples) expect(list).toContain(`(${name})`)
  })
})

describe('README.md', () => {
  it('shows a configuration that is valid', async () => {
    const readme = readFileSync(join(root, 'README.md'), 'utf8')
    const blocks = [...readme.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text)
    expect(blocks).toHaveLength(1)
    const path = write(temporaryFolder(), 'readme.yaml', blocks[0])
    expect(await millrace(['validate', '-c', path])).toMatchObject({ code: 0, stderr: '' })
  })
})
