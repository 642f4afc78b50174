// Format strings: operators with their arguments, and what is refused at which character.

import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { describe, expect, it } from 'vitest'
import { FormatError, kDefaultFormat, parseFormat } from '../../../src/config/format/format.ts'
import { parseJsonFormat } from '../../../src/config/format/json.ts'
import { kOperators } from '../../../src/config/format/operators.ts'

describe('text', () => {
  it('splits literals and operators', () => {
    expect(parseFormat('[%START_TIME%] "%REQ(:METHOD)% %REQ(X-A?:PATH):10%" 100%%\n')).toEqual([
      '[',
      { op: 'START_TIME' },
      '] "',
      { op: 'REQ', a: ':method' },
      ' ',
      { op: 'REQ', a: 'x-a', b: ':path', max: 10 },
      '" 100%\n',
    ])
  })

  it('reads arguments', () => {
    expect(parseFormat('%START_TIME(%Y/%m/%dT%H:%M:%S.%3f)%')).toEqual([
      { op: 'START_TIME', a: '%Y/%m/%dT%H:%M:%S.%3f' },
    ])
    expect(parseFormat('%COMMON_DURATION(DS_RX_BEG:US_TX_END:us)%')).toEqual([
      { op: 'COMMON_DURATION', a: 'DS_RX_BEG', b: 'US_TX_END', c: 'us' },
    ])
    expect(parseFormat('%PATH%%PATH(NQ)%%PATH(WQ:ORIG):5%')).toEqual([
      { op: 'PATH', a: 'WQ', b: 'ORIG_OR_PATH' },
      { op: 'PATH', a: 'NQ', b: 'ORIG_OR_PATH' },
      { op: 'PATH', a: 'WQ', b: 'ORIG', max: 5 },
    ])
    expect(parseFormat('%REQUEST_HEADER(A)%%QUERY_PARAM(Id):3%')).toEqual([
      { op: 'REQ', a: 'a' },
      { op: 'QUERY_PARAM', a: 'Id', max: 3 },
    ])
  })

  it('resolves what does not change', () => {
    process.env.MILLRACE_TEST_ZONE = 'zone-1'
    expect(
      parseFormat('%HOSTNAME%/%ENVIRONMENT(MILLRACE_TEST_ZONE):4%/%ENVIRONMENT(NOT_SET_AT_ALL)%'),
    ).toEqual([`${hostname()}/zone/-`])
  })

  it('knows the default', () => {
    const names = parseFormat(kDefaultFormat).flatMap((op) =>
      typeof op === 'string' ? [] : [op.op],
    )
    expect(names).toContain('UPSTREAM_HOST')
    expect(names).toHaveLength(15)
  })

  const wrong: [format: string, message: RegExp, from: number, to: number][] = [
    ['ab %FOO% c', /no operator is called FOO/, 3, 8],
    ['%RESPONSE_CODES%', /no operator/, 0, 16],
    ['100% sure', /begins no operator/, 3, 4],
    ['x%REQ(a', /begins no operator/, 1, 5],
    ['%REQ%', /needs something in parentheses/, 0, 5],
    ['%REQ()%', /needs something in parentheses/, 0, 7],
    ['%DURATION(x)%', /takes no parentheses/, 0, 13],
    ['%DURATION:5%', /takes no length/, 0, 12],
    ['%REQ(a?b?c)%', /is not a header's name/, 0, 12],
    ['%REQ(a b)%', /is not a header's name/, 0, 10],
    ['%COMMON_DURATION(DS_RX_BEG:DS_TX_END)%', /is written/, 0, 38],
    ['%COMMON_DURATION(DS_RX_BEG:NOW:ms)%', /no point in time is called "NOW"/, 0, 35],
    ['%COMMON_DURATION(DS_RX_BEG:DS_TX_END:s)%', /no unit is called "s"/, 0, 40],
    ['%PATH(XX)%', /no option is called "XX"/, 0, 10],
    ['%START_TIME(%Q)%', /no conversion %Q/, 0, 16],
    ['%START_TIME(%3Y)%', /no conversion %3Y/, 0, 17],
    ['%DOWNSTREAM_TLS_VERSION%', /not supported yet: TLS/, 0, 24],
    ['%DYNAMIC_METADATA(a:b)%', /not supported yet: metadata/, 0, 23],
  ]
  it.each(wrong)('refuses %s', (format, message, from, to) => {
    try {
      parseFormat(format)
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(FormatError)
      expect((error as FormatError).message).toMatch(message)
      expect([(error as FormatError).from, (error as FormatError).to]).toEqual([from, to])
    }
  })

  it('suggests names', () => {
    expect(() => parseFormat('%RESPONSE_CODES%')).toThrow(
      expect.objectContaining({ hint: 'did you mean "RESPONSE_CODE"?' }),
    )
    expect(() => parseFormat('%response_code%')).toThrow(
      expect.objectContaining({ hint: 'did you mean "RESPONSE_CODE"?' }),
    )
  })

  it('knows the operators that the native core knows', () => {
    const source = readFileSync('native/proxy/format_ops.inc', 'utf8')
    const native = [...source.matchAll(/^X\(\w+, "(\w+)"\)/gm)].map((found) => found[1])
    expect([...kOperators.keys()].sort()).toEqual(native.sort())
  })
})

describe('JSON', () => {
  const none = (): void => undefined

  it('keeps keys in their order, and what is no text as it is', () => {
    const format = { b: '%DURATION%', a: ['x %BYTES_SENT%', 5], c: { d: true, e: null } }
    expect(parseJsonFormat(format, {}, none)).toEqual({
      kind: 'object',
      entries: [
        ['b', { kind: 'value', ops: [{ op: 'DURATION' }] }],
        [
          'a',
          {
            kind: 'list',
            items: [
              { kind: 'value', ops: ['x ', { op: 'BYTES_SENT' }] },
              { kind: 'literal', json: '5' },
            ],
          },
        ],
        [
          'c',
          {
            kind: 'object',
            entries: [
              ['d', { kind: 'literal', json: 'true' }],
              ['e', { kind: 'literal', json: 'null' }],
            ],
          },
        ],
      ],
    })
  })

  it('sorts keys, and makes texts of everything, when asked to', () => {
    const sorted = parseJsonFormat({ b: '1', a: '2' }, { sortKeys: true }, none)
    expect(sorted.kind === 'object' && sorted.entries.map(([key]) => key)).toEqual(['a', 'b'])
    const texts = parseJsonFormat({ a: '%DURATION%' }, { textsOnly: true }, none)
    expect(texts).toEqual({
      kind: 'object',
      entries: [['a', { kind: 'value', ops: [{ op: 'DURATION' }, ''] }]],
    })
  })

  it('tells where it is', () => {
    let at: readonly (string | number)[] = []
    const format = { a: { b: ['ok', '%NO%'] } }
    expect(() =>
      parseJsonFormat(format, {}, (path) => {
        at = path
      }),
    ).toThrow(/called NO/)
    expect(at).toEqual(['a', 'b', 1])
  })
})
