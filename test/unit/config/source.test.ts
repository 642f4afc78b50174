// What is read at all: bad files, bad YAML, and that JSON read fast is the tree that YAML gives.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConfigError, loadConfiguration } from '../../../src/config/index.ts'
import { Problems } from '../../../src/config/problems.ts'
import { parseJson } from '../../../src/config/source/json.ts'
import { parseSource } from '../../../src/config/source/parse.ts'
import { SourceText } from '../../../src/config/source/text.ts'
import { toJson } from '../../../src/config/source/tree.ts'
import { atOnce } from '../../../src/slices.ts'
import { bootstrap, load, said } from './helpers.ts'

describe('files', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-config-'))
    mkdirSync(join(folder, 'folder'))
    writeFileSync(join(folder, 'binary'), Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 1, 2]))
    writeFileSync(join(folder, 'latin1'), Buffer.from([0x61, 0xe9]))
    writeFileSync(join(folder, 'large'), `a:\n${'  - {x: 1, y: text}\n'.repeat(500_000)}`)
    writeFileSync(join(folder, 'bom.yaml'), `\ufeff${bootstrap()}`)
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const cases: [name: string, message: RegExp][] = [
    ['missing', /does not exist/],
    ['folder', /is a directory/],
    ['binary', /is not text in UTF-8/],
    ['latin1', /is not text in UTF-8/],
    ['large', /has \d+ bytes, and a configuration has at most 8 MiB/],
  ]
  it.each(cases)('%s is refused', async (name, message) => {
    const loading = loadConfiguration({ kind: 'file', path: join(folder, name) })
    await expect(loading).rejects.toThrow(message)
    await expect(loading).rejects.toMatchObject({
      code: 'ERR_MILLRACE_CONFIG',
      problems: [{ code: 'unreadable', file: join(folder, name), line: 1, column: 1 }],
    })
  })

  it('a byte order mark is no part of the text', async () => {
    const loaded = await loadConfiguration({ kind: 'file', path: join(folder, 'bom.yaml') })
    expect(loaded.form).toBe('envoy')
  })
})

describe('texts', () => {
  const cases: [name: string, text: string, expected: RegExp][] = [
    ['empty', '', /^1:1 missing : nothing is in it/],
    ['only a comment', '# nothing\n', /missing : nothing is in it/],
    ['null', '~', /missing/],
    ['a scalar', 'hello', /wrong-type : is a configuration, not the text "hello"/],
    ['a list', '[1]', /wrong-type : is a configuration, not a list/],
    [
      'two documents',
      'listen: 1\n---\nlisten: 2\n',
      /^2:1 syntax : a configuration is one document/,
    ],
    ['a tab', 'a:\n\tb: 1\n', /^2:1 syntax : Tabs are not allowed as indentation/],
    ['no space', 'listen:80\nroutes: 1\n', /^1:1 syntax .*a colon needs a space behind it/],
    ['an open quote', 'a: "b\n', /syntax/],
    ['an open bracket', '{a: [1', /syntax/],
    [
      'a repeated key',
      'listen: 1\nroutes: {}\nlisten: 2\n',
      /^3:1 duplicate listen: this key is in the same map twice/,
    ],
    ['a repeated key of JSON', '{"listen": 1,\n "listen": 2}', /^2:2 duplicate listen/],
    ['a missing anchor', 'a: *b\n', /syntax/],
    ['an anchor in itself', 'a: &b [1, *b]\n', /contains itself/],
    ['a tag', 'listen: !port 80\n', /^1:15 syntax listen: the tag !port is not known here/],
    ['a map as key', '? {a: 1}\n: 2\n', /a key is a plain word/],
    ['depth', `${'['.repeat(150)}${']'.repeat(150)}`, /nested deeper than 100 levels/],
    ['great depth', '['.repeat(20_000), /syntax/],
  ]
  it.each(cases)('%s', async (_name, text, expected) => {
    expect((await said(text)).join('\n')).toMatch(expected)
  })

  it('an alias bomb is refused before it is followed', async () => {
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
    for (let i = 1; i < 12; i++)
      bomb.push(
        `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      )
    expect((await said(bomb.join('\n'))).join('\n')).toMatch(
      /aliases stand for more than 100000 values/,
    )
  })

  it('anchors, merges, and keys to be ignored work', async () => {
    const text = `
!ignore shared: &shared {timeout: 3s}
listen: 8080
upstreams: {web: &web {to: 3000}, other: *web}
routes:
  /a: {<<: *shared, to: web}
  /b: {<<: [*shared], to: other, timeout: 4s}
`
    const loaded = await load(text)
    const clusters = loaded.bootstrap.static_resources?.clusters?.map((cluster) => cluster.name)
    expect(clusters).toEqual(['web', 'other'])
    const host = JSON.stringify(loaded.bootstrap.static_resources?.listeners)
    expect(host).toContain('"timeout":3000')
    expect(host).toContain('"timeout":4000')
  })
})

describe('JSON', () => {
  it('is read as YAML would read it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.boolean(), (json, indent) => {
        const text = indent ? JSON.stringify(JSON.parse(json), null, 2) : json
        fc.pre(/^\s*[{[]/.test(text) && !text.includes('__proto__'))
        const fast = atOnce(parseJson(text))
        const source = new SourceText('x', text)
        const slow = atOnce(parseSource(source, new Problems(source)))
        if (fast === undefined || slow === undefined) return
        expect(toJson(fast)).toEqual(toJson(slow))
        expect(fast).toMatchObject({ kind: slow.kind, start: slow.start, end: slow.end })
      }),
      { numRuns: 200 },
    )
  })

  it('of 4 MiB is read: in more than linear time it would outlast the test', () => {
    const entry = '{"name": "a", "numbers": [1, 2.5, -3e2], "text": "\\u00e9\\n"}'
    const text = `[${Array(65_000).fill(entry).join(',\n')}]`
    const tree = atOnce(parseJson(text))
    expect(tree?.kind === 'list' && tree.items.length).toBe(65_000)
    expect(tree?.kind === 'list' && tree.items[0] && toJson(tree.items[0])).toEqual({
      name: 'a',
      numbers: [1, 2.5, -300],
      text: 'é\n',
    })
  })

  it('leaves everything else to YAML', () => {
    for (const text of [
      '{a: 1}',
      '{"a": 1, "a": 2}',
      '{"a": 1,}',
      '[01]',
      '{"a"}',
      '"a"',
      '[1] x',
    ]) {
      expect(atOnce(parseJson(text))).toBeUndefined()
    }
  })
})

it('the error carries every problem', async () => {
  const failure = await load('listen: x\nroute: {}\n').catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(ConfigError)
  expect((failure as ConfigError).problems).toHaveLength(3)
})
