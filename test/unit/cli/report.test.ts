import { describe, expect, it } from 'vitest'
import { UsageError } from '../../../src/cli/options.ts'
import { describe as describeError, exitCodeOf } from '../../../src/cli/report.ts'
import { ConfigError } from '../../../src/config/index.ts'

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
