// Expressions: the tables and programs that the native core runs decide as RE2 does.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileMatch, compileRewrite, RegexError } from '../../../src/config/regex/regex.ts'
import type { NativeDfa } from '../../../src/native/index.ts'
import { firstMatch, matches, rewrite } from './regex-machines.ts'

const isMatch = (pattern: string, text: string): boolean =>
  matches(compileMatch(pattern), Buffer.from(text, 'utf8'))

describe('what RE2 knows', () => {
  const cases: [pattern: string, yes: string[], no: string[]][] = [
    ['/users/[0-9]+(/.*)?', ['/users/1', '/users/12/x'], ['/users/', '/users/1x', 'x/users/1']],
    ['a|ab|abc', ['a', 'ab', 'abc'], ['', 'abcd']],
    ['(?i)foo', ['foo', 'FOO', 'fOo'], ['fo']],
    ['(?i:f)oo', ['foo', 'Foo'], ['FOO']],
    ['(?i)a(?-i)b', ['ab', 'Ab'], ['AB']],
    ['(?P<id>\\d+)-(?<x>\\w)', ['12-a'], ['-a', '12-']],
    ['^abc$', ['abc'], ['xabc', 'abcx']],
    ['\\Aabc\\z', ['abc'], ['abc\n']],
    ['(^a|b)c', ['ac', 'bc'], ['aac']],
    ['.*', ['', 'x', 'é'], ['a\nb']],
    ['(?s).*', ['a\nb'], []],
    ['[[:alpha:]_]+', ['ab_C'], ['a1', '']],
    ['[[:^digit:]]', ['a'], ['1']],
    ['[^/]+', ['abc', 'é'], ['a/b', '']],
    ['[]a]+', [']a]'], ['b']],
    ['[a-c\\d-]+', ['b-7'], ['e']],
    ['\\x41\\x{42}\\103', ['ABC'], ['abc']],
    ['\\Qa.b\\E+', ['a.b', 'a.bb'], ['axb']],
    ['a{2,3}', ['aa', 'aaa'], ['a', 'aaaa']],
    ['a{2,}', ['aa', 'aaaaaa'], ['a']],
    ['a{,2}', ['a{,2}'], ['a']],
    ['x{2}{', ['xx{'], ['xx']],
    ['a*?b+?c??', ['b', 'aabbc'], ['ac']],
    ['\\s\\S', [' a', '\tb'], ['  ', '\va']],
    ['café', ['café'], ['cafe']],
    ['[à-ü]x', ['éx', 'àx', 'üx'], ['ex', 'ÿx']],
    ['[a-ÿ€😀]', ['b', 'ÿ', '€', '😀'], ['A', '😁']],
    ['', [''], ['a']],
    ['(?:)', [''], ['a']],
    ['a$|b', ['a', 'b'], ['ab']],
    ['\\.\\/\\-\\_', ['./-_'], ['a/-_']],
  ]
  it.each(cases)('%s', (pattern, yes, no) => {
    expect(yes.filter((text) => !isMatch(pattern, text))).toEqual([])
    expect(no.filter((text) => isMatch(pattern, text))).toEqual([])
  })
})

describe('what is refused, and where', () => {
  const cases: [pattern: string, message: RegExp, from: number][] = [
    ['a(?=b)', /look-around/, 1],
    ['a(?<!b)', /look-around/, 1],
    ['(a)\\1', /backreference/, 3],
    ['(?P<n>a)(?P=n)', /backreference/, 8],
    ['a(b', /has no "\)"/, 1],
    ['ab)', /has no "\("/, 2],
    ['[a-', /ends inside/, 0],
    ['[z-a]', /end is before its start/, 2],
    ['*a', /nothing to repeat/, 0],
    ['a**', /repetition of a repetition/, 0],
    ['a{3,2}', /end is before its start/, 1],
    ['a{1001}', /more than 1000/, 1],
    ['\\pL', /Unicode class/, 0],
    ['\\bfoo', /word boundary/, 0],
    ['(?m)^a$', /\(\?m\)/, 0],
    ['a\\Z', /\\z|RE2 does not have/, 1],
    ['a\\q', /does not know/, 1],
    ['[[:alpah:]]', /no class is called alpah/, 1],
    ['(?P<a>x)(?P<a>y)', /two groups/, 8],
    ['[^é]', /negated class/, 0],
    ['a\\', /ends inside an escape/, 1],
    ['\\x{110000}', /not a character/, 0],
  ]
  it.each(cases)('%s', (pattern, message, from) => {
    expect(() => compileMatch(pattern)).toThrow(message)
    try {
      compileMatch(pattern)
    } catch (error) {
      expect(error).toBeInstanceOf(RegexError)
      expect((error as RegexError).from).toBe(from)
      expect((error as RegexError).to).toBeGreaterThan(from)
    }
  })

  it('refuses tables that grow without measure', () => {
    expect(() => compileMatch('.*a.{14}')).toThrow(/more than 4096 states/)
    expect(() => compileMatch('((a{100}){100}){100}')).toThrow(/more than 10000 steps/)
  })

  it('takes a long alternation', () => {
    const words = Array.from({ length: 300 }, (_, i) => `word${i}`)
    expect(isMatch(words.join('|'), 'word299')).toBe(true)
    expect(isMatch(words.join('|'), 'word300')).toBe(false)
  })
})

// Patterns of what JavaScript and RE2 mean alike, over a small alphabet so that texts do match.
// Groups are not counted: the tables of `(…){2}` within `(…){2}` grow fast, and that they are
// refused is a case of its own above.
const atom = fc.constantFrom(
  ...['a', 'b', 'c', '.', '/', '\\d', '\\w', '[ab]', '[^a]', '[a-c]', '\\.', '[^/]', 'é', '1'],
)
const loop = fc.constantFrom('', '', '*', '+', '?', '*?', '+?', '??')
const count = fc.constantFrom('', '', '', '{2}', '{1,2}', '{2,}')
const concat = fc
  .array(fc.oneof(fc.tuple(atom, loop), fc.tuple(atom, count)), { maxLength: 3 })
  .map((parts) => parts.flat().join(''))
const group = fc
  .tuple(fc.constantFrom('(', '(?:'), concat, concat, loop)
  .map(([open, one, other, suffix]) => `${open}${one}|${other})${suffix}`)
const pattern = fc.array(fc.oneof(concat, group), { maxLength: 3 }).map((parts) => parts.join(''))
// Where an empty iteration of a loop is a choice, the two differ; here nothing that repeats can be
// empty.
const simplePattern = fc
  .array(
    fc
      .array(fc.tuple(atom, fc.constantFrom('', '*', '+', '?', '*?', '+?', '??', '{1,2}')), {
        minLength: 1,
        maxLength: 4,
      })
      .map((parts) => parts.map(([part, suffix]) => part + suffix).join('')),
    { minLength: 1, maxLength: 3 },
  )
  .map((parts) => parts.join('|'))
const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '/', '.', '1', 'X'), maxLength: 6 })

/** Undefined for the patterns whose tables would be too large. */
function tableOf(source: string): NativeDfa | undefined {
  try {
    return compileMatch(source)
  } catch (error) {
    expect(String(error)).toMatch(/more than \d+ (states|steps)/)
    return undefined
  }
}

describe('equals other engines', () => {
  it('matches as JavaScript does', () => {
    fc.assert(
      fc.property(pattern, fc.array(text, { minLength: 5, maxLength: 10 }), (source, texts) => {
        const table = tableOf(source)
        fc.pre(table !== undefined)
        const reference = new RegExp(`^(?:${source})$`, 'u')
        for (const sample of texts) {
          expect([source, sample, matches(table, Buffer.from(sample))]).toEqual([
            source,
            sample,
            reference.test(sample),
          ])
        }
      }),
      { numRuns: 400 },
    )
  })

  it('finds the match that JavaScript finds', () => {
    fc.assert(
      fc.property(simplePattern, text, (source, sample) => {
        const { program } = compileRewrite(source, '')
        const found = firstMatch(program, Buffer.from(sample))?.slice(0, 2)
        const expected = new RegExp(source, 'u').exec(sample)
        const span = expected && [expected.index, expected.index + expected[0].length]
        expect([source, sample, found ?? null]).toEqual([source, sample, span])
      }),
      { numRuns: 400 },
    )
  })
})

describe('substitutions', () => {
  it('write groups, the whole match, and backslashes', () => {
    expect(rewrite(compileRewrite('^/a/(\\w+)/(.*)$', '/\\2/\\1\\\\\\0'), '/a/b/c/d')).toBe(
      '/c/d/b\\/a/b/c/d',
    )
    expect(rewrite(compileRewrite('o', '0'), 'foo boo')).toBe('f00 b00')
    expect(rewrite(compileRewrite('(a)|b', '[\\1]'), 'ab')).toBe('[a][]')
  })

  it('refuse groups that are not there', () => {
    expect(() => compileRewrite('(a)', '\\2')).toThrow(/the pattern has 1 group$/)
    expect(() => compileRewrite('a', 'x\\q')).toThrow(/stands for nothing/)
    expect(() => compileRewrite('a', 'x\\')).toThrow(/stands for nothing/)
  })
})
