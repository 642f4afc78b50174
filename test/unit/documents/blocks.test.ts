// The blocks of code in README.md and docs/*.md: each is of a kind that a test reads, and what is
// shown as a configuration is one. Commands and programs run in test/integration/documents.test.ts.

import { readdirSync, readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { effectiveYaml } from '../../../src/config/index.ts'
import { type Block, blocks, page } from '../../support/pages.ts'
import { load, said } from '../config/helpers.ts'

/** Blocks that nothing executes, by page and first line, and why. */
const kNotExecuted: ReadonlyMap<string, string> = new Map([
  ['docs/architecture.md main thread (Node)', 'a drawing'],
  ['docs/filters.md client ──▶ filter', 'a drawing'],
  ['docs/filters.md measuring: few requests', 'a drawing'],
  ['docs/filters.md ((requests', 'a formula: admission_control_test.cc has its values'],
  [
    'docs/clusters.md endpoint-load-metrics',
    'headers of a response: load_report_test.cc reads them',
  ],
  [
    'docs/core.md millrace: 5012 lines',
    'numbers of a full disk: process_end.test.ts reads such a line',
  ],
  ['docs/running.md millrace [command]', 'tables.test.ts compares it with --help'],
  ['docs/operations.md /var/log/millrace', "logrotate's: access_log.test.ts rotates so"],
])

const isFor = (block: Block, key: string): boolean => {
  const line = block.text.trimStart()
  return key.startsWith(`${block.page} `) && line.startsWith(key.slice(block.page.length + 1))
}
const named = (block: Block): [string, Block] => [`${block.page}:${block.line}`, block]
const configurations = blocks.filter(({ language }) => ['yaml', 'json'].includes(language))

describe('blocks of code', () => {
  it('are of a kind that is executed, or in the list of those that are not', () => {
    const executed = ['yaml', 'json', 'ts', 'js', 'sh', 'console']
    const unknown = blocks.filter(
      (block) =>
        !executed.includes(block.language) &&
        ![...kNotExecuted.keys()].some((key) => isFor(block, key)),
    )
    expect(unknown).toEqual([])
  })

  it('that are not executed are there, and of a kind that is not', () => {
    for (const key of kNotExecuted.keys()) {
      const found = blocks.filter((block) => isFor(block, key))
      expect(found, key).toHaveLength(1)
      expect(['text', 'logrotate'], key).toContain(found[0]?.language)
    }
  })
})

describe('README.md', () => {
  const { text, blocks: shown } = page('README.md')

  it('sets up with two commands, of scripts that there are', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: object }
    const commands = shown.map((block) => block.text.trim()).filter((each) => /^npm /.test(each))
    expect(commands).toEqual(['npm ci && npm run build && npm start', 'npm ci && npm test'])
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['build', 'start', 'test']))
    expect(text).toMatch(/The first build [^.]*:\nabout \w+ minutes/)
  })

  it('has the figures of the result that it links to', () => {
    const [, part = ''] = /<!-- bench:begin -->([\s\S]*)<!-- bench:end -->/.exec(text) ?? []
    const [, file = ''] = /\]\((bench\/results\/[\w.-]+)\)/.exec(part) ?? []
    const rows = part.split('\n').filter((line) => line.startsWith('|'))
    const result = readFileSync(file, 'utf8')
    expect(rows.length).toBeGreaterThan(10)
    expect(rows.filter((row) => !result.includes(row))).toEqual([])
  })
})

describe('a configuration', () => {
  it.each(configurations.map(named))('%s', async (_, { text }) => {
    expect(await said(whole(text))).toEqual([])
  })

  it.each(configurations.map(named))('%s means the same as its expansion', async (_, { text }) => {
    const loaded = await load(whole(text))
    const again = await load(effectiveYaml(loaded))
    expect(isDeepStrictEqual(again.effective(), loaded.effective())).toBe(true)
    expect(again.form).toBe('envoy')
  })

  const examples = readdirSync('examples').filter((name) => /\.(yaml|yml|json)$/.test(name))
  it.each(examples)('examples/%s', async (name) => {
    expect(await said(readFileSync(`examples/${name}`, 'utf8'))).toEqual([])
  })

  it('that is wrong is told as the page shows', async () => {
    const console = page('docs/configuration.md').blocks.find(
      (block) => block.language === 'console',
    )
    const [, text = ''] = /^\$ cat .*\n([\s\S]*?)^\$ /m.exec(console?.text ?? '') ?? []
    const [found] = await said(text)
    expect(console?.text).toContain(found?.replace(' unknown-field', ':'))
  })
})

/** What a page shows, or the bootstrap that a part of a cluster is a part of. */
function whole(text: string): string {
  const value = parse(text) as Readonly<Record<string, unknown>>
  const isWhole = ['listen', 'static_resources', 'layered_runtime'].some((key) => key in value)
  if (isWhole) return text
  const hosts = {
    load_assignment: {
      cluster_name: 'web',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: '/run/web' } } } }] }],
    },
  }
  const cluster = 'name' in value ? value : { name: 'web', ...hosts, ...value }
  return JSON.stringify({ static_resources: { clusters: [cluster] } })
}
