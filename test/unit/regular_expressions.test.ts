// Every regular expression in src/ is tried with texts that make bad ones slow: whoever writes a
// text that this thread reads must not be able to stop it. JavaScript's expressions go back, and one
// that can divide a text in many ways tries all of them.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseSync } from 'vite'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

interface Found {
  readonly where: string
  readonly source: string
  readonly flags: string
}

/** Files that build expressions from parts, all of which were looked at. */
const kBuilt = new Set([
  'src/config/check/rules.ts', // patterns of the schema: tried below
  'src/server/concurrency.ts', // a fixed name, in a file of the kernel's
  'src/stats/tags.ts', // rules of statistics: tried in test/unit/stats
])

interface AnyNode {
  readonly type: string
  readonly start?: number
  readonly regex?: { readonly pattern: string; readonly flags: string }
  readonly callee?: { readonly name?: string }
}

function visit(node: unknown, seen: (node: AnyNode) => void): void {
  if (typeof node !== 'object' || node === null) return
  if ('type' in node && typeof node.type === 'string') seen(node as AnyNode)
  for (const inner of Object.values(node)) visit(inner, seen)
}

function expressions(): { found: Found[]; built: string[] } {
  const list = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '--', 'src/*.ts'], {
    cwd: root,
    encoding: 'utf8',
  })
  const found: Found[] = []
  const built: string[] = []
  for (const path of list.split('\n')) {
    if (path === '' || path.includes('.generated.')) continue
    const text = readFileSync(join(root, path), 'utf8')
    visit(parseSync(path, text).program, ({ type, start = 0, regex, callee }) => {
      const line = text.slice(0, start).split('\n').length
      if (regex) found.push({ where: `${path}:${line}`, source: regex.pattern, flags: regex.flags })
      if (/^(New|Call)Expression$/.test(type) && callee?.name === 'RegExp') built.push(path)
    })
  }
  return { found, built: [...new Set(built)] }
}

/** What an expression may go on with: the characters that it names, and some of each kind. */
function pumps(source: string): string[] {
  const named = source.replace(/\\[a-zA-Z]/g, '').replace(/[\\^$()[\]?:|{}]/g, '')
  const letters = [...new Set([...named, ...'aA0 \t\n"=.-_/:%[](){}*'])]
  return [
    ...letters,
    'a.',
    '1.',
    'a-',
    'a:',
    '[a',
    '0:',
    ' \n',
    '\\"',
    '%a',
    'a/',
    '*.',
    ', ',
    'a=',
  ]
}

/** Ways into an expression: nothing, or what it begins with as it is written. */
function prefixes(source: string): string[] {
  const plain = source.replace(/^\^|\(\?[:=!<]*|\\s\*/g, '').replaceAll('\\', '')
  const ways = ['', 'a', '1', '"', '[', '%', '/', ':']
  for (let length = 1; length <= Math.min(24, plain.length); length++) {
    ways.push(plain.slice(0, length))
  }
  return [...new Set(ways)]
}

const kSmall = 1_000
const kTimes = 8

function time(pattern: RegExp, text: string): number {
  pattern.lastIndex = 0
  const start = performance.now()
  if (pattern.global) text.replace(pattern, '')
  else pattern.exec(text)
  return performance.now() - start
}

/**
 * Whether time grows faster than the text. What is linear takes microseconds here, so that only what
 * takes long at all is looked at twice; the least of several times is free of what else the machine
 * does.
 */
function explodes(pattern: RegExp, text: (length: number) => string): boolean {
  for (const length of [16, 20, 24, 28, 32, 64]) {
    if (time(pattern, text(length)) > 100 && time(pattern, text(length)) > 100) return true
  }
  if (time(pattern, text(kSmall * kTimes)) < 5) return false
  const [small, large] = [kSmall, kSmall * kTimes].map((length) => least(pattern, text(length)))
  return (large ?? 0) > 3 && (large ?? 0) > 3 * kTimes * (small ?? 0)
}

const least = (pattern: RegExp, text: string): number =>
  Math.min(...[1, 2, 3].map(() => time(pattern, text)))

function worst({ source, flags }: Found): string | undefined {
  const pattern = new RegExp(source, flags)
  for (const prefix of prefixes(source)) {
    for (const pump of pumps(source)) {
      for (const suffix of ['', '\u0001']) {
        const text = (length: number): string =>
          prefix + pump.repeat(Math.ceil(length / pump.length)) + suffix
        if (explodes(pattern, text)) {
          return `${JSON.stringify(prefix)}, then ${JSON.stringify(pump)} again and again`
        }
      }
    }
  }
  return undefined
}

describe('the search for bad expressions', () => {
  it('finds those that are known to be bad', () => {
    const bad = ['"(?:[^"]+|\\\\.)*"', '^(\\d+\\.?\\d*|\\.\\d+)$', '=+$', '^(a|a)*$', '\\s+$']
    for (const source of bad) expect(worst({ where: '', source, flags: '' }), source).toBeDefined()
  })
})

describe('expressions of src/', () => {
  const { found, built } = expressions()

  it('are linear in what they read', () => {
    const problems = found.flatMap((each) => {
      const text = worst(each)
      return text === undefined ? [] : [`${each.where}: /${each.source}/: ${text}`]
    })
    expect(found.length).toBeGreaterThan(80)
    expect(problems).toEqual([])
  })

  it('and of the schema', () => {
    const schema = readFileSync(join(root, 'src/config/schema/schema.generated.ts'), 'utf8')
    const patterns = [...schema.matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)]
    expect(patterns.length).toBeGreaterThan(1)
    for (const [, literal = ''] of patterns) {
      // The schema is JSON in a template.
      const source = JSON.parse(literal.replaceAll('\\\\', '\\')) as string
      expect(worst({ where: '', source, flags: 'u' }), source).toBeUndefined()
    }
  })

  it('that are put together from parts are few, and none comes from a user', () => {
    expect(built.filter((path) => !kBuilt.has(path))).toEqual([])
  })
})
