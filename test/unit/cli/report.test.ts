import { describe, expect, it } from 'vitest'
import { UsageError } from '../../../src/cli/options.ts'
import { describe as describeError, exitCodeOf } from '../../../src/cli/report.ts'
import { ConfigError, loadConfiguration } from '../../../src/config/index.ts'

const problem = {
  file: 'a.yaml',
  line: 2,
  column: 3,
  path: 'listen',
  code: 'bad-value',
  message: 'is no address',
  hint: 'write a port',
  source: { text: '  listen: x', length: 6 },
} as const

describe('a wrong configuration', () => {
  const error = new ConfigError([problem, { ...problem, line: 3 }])
  it('is 78, as text with every problem and their number', () => {
    expect(exitCodeOf(error)).toBe(78)
    expect(describeError(error, false).split('\n')).toEqual([
      'a.yaml:2:3: listen: is no address (write a port)',
      '    listen: x',
      '    ^^^^^^',
      'a.yaml:3:3: listen: is no address (write a port)',
      '    listen: x',
      '    ^^^^^^',
      '2 errors',
    ])
  })
  it('tells the first problems, and how many there are beside', () => {
    const many = new ConfigError(
      Array.from({ length: 250 }, (_, i) => ({ ...problem, line: i + 1 })),
    )
    const lines = describeError(many, false).split('\n')
    expect(lines.slice(-2)).toEqual(['... and 150 more', '250 errors'])
    expect(lines).toHaveLength(100 * 3 + 2)
    expect(JSON.parse(describeError(many, true)).problems).toHaveLength(250)
  })
  it('quotes no more of a value than people read', async () => {
    const long = 'x'.repeat(3_000_000)
    const value = { static_resources: { clusters: [{ name: 'a', lb_policy: long, [long]: 1 }] } }
    const error = await loadConfiguration({ kind: 'object', name: 'x', value }).catch((e) => e)
    expect(error).toBeInstanceOf(ConfigError)
    for (const json of [true, false]) expect(describeError(error, json).length).toBeLessThan(20_000)
  })
  it('is one JSON object', () => {
    const { source: _source, ...shown } = problem
    expect(JSON.parse(describeError(error, true))).toEqual({
      code: 'ERR_MILLRACE_CONFIG',
      problems: [shown, { ...shown, line: 3 }],
    })
  })
})

describe('any other error', () => {
  it('is 1, with what to do', () => {
    const error = new UsageError('unknown option --x', 'did you mean "--y"?')
    expect(exitCodeOf(error)).toBe(1)
    expect(describeError(error, false)).toBe('millrace: unknown option --x\n  did you mean "--y"?')
    expect(JSON.parse(describeError(error, true))).toEqual({
      code: 'ERR_MILLRACE_USAGE',
      message: 'unknown option --x',
      hint: 'did you mean "--y"?',
    })
  })
  it('of the system keeps its code', () => {
    const error = Object.assign(new Error('bind 127.0.0.1:80: EACCES'), { code: 'EACCES' })
    expect(JSON.parse(describeError(error, true))).toMatchObject({ code: 'EACCES' })
  })
})
