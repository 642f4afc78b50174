// docs/errors.md is made from src/error_codes.ts: `npm run test:unit -- errors -u` writes it anew.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type ErrorCodeEntry, kErrorCodes } from '../../../src/error_codes.ts'

const kPage = '../../../docs/errors.md'

const kHead = `# Errors

Every error of Millrace has a \`code\`, a \`message\` that says what is wrong, and where it applies a \`path\`, a \`hint\` and a
\`cause\`. Codes are stable and meant for programs; messages are for people and may become better. Errors that are said to
be events come as \`error\` of the proxy or of the file, and nothing ends by them. Codes without \`ERR_MILLRACE_\` are those of
the system, as Node names them (\`EACCES\`).
`

const kTitles: Record<ErrorCodeEntry['of'], string> = {
  all: 'Anywhere',
  'command line': 'The command line',
  configuration: 'The configuration',
  proxies: 'Proxies in programs',
  'slot tables': 'Slot tables',
  'flush files': 'Flush files',
}

function page(): string {
  const entries = Object.entries(kErrorCodes)
  const sections = Object.entries(kTitles).map(([of, title]) => {
    const rows = entries.filter(([, entry]) => entry.of === of)
    const lines = rows.map(([code, { when, what }]) => `| \`${code}\` | ${when} | ${what} |`)
    return `\n## ${title}\n\n| code | when | what to do |\n|---|---|---|\n${lines.join('\n')}\n`
  })
  return kHead + sections.join('')
}

/** Every code that stands in the sources, comments left out. */
function written(): Set<string> {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', 'src', 'native']
  const files = execFileSync('git', args, { encoding: 'utf8' }).trim().split('\n')
  const codes = files
    .filter((path) => /\.(ts|cts|cc|h)$/.test(path) && path !== 'src/error_codes.ts')
    .flatMap((path) => readFileSync(path, 'utf8').match(/(?<=["'])ERR_MILLRACE_\w+(?=["'])/g) ?? [])
  return new Set(codes.filter((code) => code !== 'ERR_MILLRACE_FLUSH'))
}

describe('codes of errors', () => {
  it('are those of the table, and each is thrown somewhere', () => {
    expect([...written()].sort()).toEqual(Object.keys(kErrorCodes).sort())
  })

  it('are in docs/errors.md with what to do', async () => {
    await expect(page()).toMatchFileSnapshot(kPage)
  })
})
