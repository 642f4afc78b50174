// As linear.test.ts, of texts that are no configuration.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readArguments } from '../../../src/cli/options.ts'
import { SystemNames } from '../../../src/cluster/discovery/system_names.ts'
import { ResponseReader } from '../../../src/cluster/health/response.ts'
import { searchPath } from '../../../src/config/find.ts'
import { compileSearch, readAssignments } from '../../../src/config/index.ts'
import { compileMatch } from '../../../src/config/regex/regex.ts'
import { readAddress } from '../../../src/server/address.ts'
import { temporaryFolder } from '../../integration/support/files.ts'
import { kMiB, kPumpsLong, linear, list } from './linear_time.ts'

describe('other texts', () => {
  it('of the command line and the environment', async () => {
    for (const pump of [...kPumpsLong, '--', '-', '--to=', '--log-level=']) {
      const of = (length: number): string => pump.repeat(length / pump.length)
      await linear(`arguments ${pump}`, kMiB, (length) => {
        for (const args of [
          [of(length)],
          [`--${of(length)}`],
          ['run', '--listen', of(length), '--concurrency', of(length)],
          ['--log-level', of(length)],
          ['--drain-time-s', `1${of(length)}`],
        ]) {
          try {
            readArguments(args)
          } catch {}
        }
        searchPath({ MILLRACE_CONFIG: of(length) })
      })
    }
    await linear('many arguments', 100_000, (n) => {
      try {
        readArguments(list(n, (i) => (i % 2 === 0 ? '--to' : `http://a${i}`)))
      } catch {}
    })
  })

  it('of the admin interface: expressions', async () => {
    for (const pump of [
      '(',
      '(a',
      'a|',
      '[a',
      'a?',
      '(?:',
      '(a*)*',
      'a{9}',
      '\\pL',
      '.*',
      '[^',
      '\\Q',
    ]) {
      await linear(pump, 64 * 1024, (length) => {
        try {
          compileSearch(pump.repeat(length / pump.length))('a'.repeat(100))
        } catch {}
      })
    }
  })

  it('of a health check: a response that comes byte by byte', async () => {
    const starts = [
      'HTTP/1.1 200 OK\r\na: ',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;a=',
    ]
    for (const start of starts) {
      await linear(start, 60 * 1024, (length) => {
        const reader = new ResponseReader(false, 1024)
        reader.feed(Buffer.from(start))
        const byte = Buffer.from('a')
        for (let i = 0; i < length; i++) reader.feed(byte)
      })
    }
  })

  it('take the time of their length', async () => {
    const folder = temporaryFolder()
    const [hosts, conf] = [join(folder, 'hosts'), join(folder, 'resolv.conf')]
    for (const pump of [...kPumpsLong, '\n', '#', 'nameserver ', 'search a ', 'options ndots:']) {
      const of = (length: number): string => pump.repeat(length / pump.length)
      await linear(`address ${pump}`, kMiB, (length) => {
        try {
          readAddress(of(length))
        } catch {}
      })
      await linear(`assignments ${pump}`, 64 * 1024, (length) =>
        readAssignments('x', `{"resources": [{"@type": "${of(length)}`, false).catch(() => {}),
      )
      await linear(`hosts ${pump}`, kMiB / 4, (length) => {
        writeFileSync(hosts, of(length))
        writeFileSync(conf, of(length))
        new SystemNames(hosts, conf).addresses('a.test', 4)
      })
    }
  })

  it('of the admin interface: an expression is found in the time of the text', async () => {
    for (const pattern of ['(a+)+$', '(a|a)*b', '(.*)*x', '^(a?){20}a{20}$', '([a-z]+\\.)+_x$']) {
      const found = compileSearch(pattern)
      await linear(pattern, kMiB, (length) => found('a'.repeat(length)))
    }
    expect(compileSearch('^cluster\\..*_rq$')('cluster.a.upstream_rq')).toBe(true)
    expect(compileSearch('b.r')('foobarbaz')).toBe(true)
    expect(compileSearch('b.r$')('foobarbaz')).toBe(false)
    expect(compileSearch('(?i)BAR|x')('foobarbaz')).toBe(true)
    expect(compileSearch('')('')).toBe(true)
    expect(() => compileSearch('a)b(c')).toThrow('this ")" has no')
  })

  it('of the admin interface: an expression that takes long to prepare is refused', () => {
    const each = (count: number, of: (i: number) => string): string =>
      Array.from({ length: count }, (_, i) => of(i)).join('')
    for (const [pattern, why] of [
      ['a.{18}b', 'needs more than 500 states'],
      ['[ab].{9}c', 'needs more than 500 states'],
      ['(?s:.){480}a', 'needs too long to build'],
      [each(200, (i) => `[^${String.fromCharCode(33 + (i % 58))}]`), 'needs more than 500 states'],
      [each(300, (i) => `w${i}.*|`), 'compiles to more than 1000 steps'],
      ['.{1,900}', 'compiles to more than 1000 steps'],
    ] as const) {
      expect(() => compileSearch(pattern), pattern).toThrow(why)
    }
    expect(compileSearch('^cluster\\.(web|auth-[a-z0-9]+)\\..*rq_(2xx|5xx)$')('x')).toBe(false)
  })

  it('an expression that repeats nothing, again and again', () => {
    // A thousand million times, and more.
    const nothing = '(?:(?:(?:(?:){1000}){1000}){1000}){1000}'
    expect(compileSearch(`a${nothing}b`)('xabx')).toBe(true)
    expect(compileMatch(`a${nothing}b`).classCount).toBeGreaterThan(0)
  })
})
