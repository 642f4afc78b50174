// Tables of README.md and docs/*.md that list what the code has: both have the same. What only a
// running proxy lists (its statistics, its admin interface) is in
// test/integration/documents.test.ts, and what it refuses in strictness.test.ts.

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { helpText, readArguments } from '../../../src/cli/options.ts'
import { filterCompilers } from '../../../src/config/compile/filters/filters.ts'
import { searchPath } from '../../../src/config/find.ts'
import { kTimeoutKeys } from '../../../src/config/short/expand.ts'
import { kShortKeys } from '../../../src/config/short/keys.ts'
import { channelNames } from '../../../src/embed/events.ts'
import { readOptions } from '../../../src/embed/options.ts'
import { logLevel, logLevels } from '../../../src/log.ts'
import { byCode, codeIn, listed, page, table } from '../../support/pages.ts'
import { compiled, load } from '../config/helpers.ts'

const source = (path: string): string => readFileSync(path, 'utf8')
const all = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map((match) => match.slice(1).join(' '))
const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort()

/** The names in a list `name = ['a', 'b']` of a file. */
function namesOf(path: string, name: string): string[] {
  return all(new RegExp(`${name} = \\[([^\\]]*)\\]`).exec(source(path))?.[1] ?? '', /'(\w+)'/g)
}

describe('docs/running.md', () => {
  const help = helpText(searchPath({}))

  it('has the commands of --help', () => {
    const [, part = ''] = /Commands:\n([\s\S]*?)\n\n/.exec(help) ?? []
    const names = listed(table('docs/running.md', 'command')).map((code) => code.split(' ')[0])
    expect(names).toEqual(all(part, /^ {2}([\w-]+) /gm))
    expect(page('docs/running.md').blocks[0]?.text).toBe(`${help.slice(7, help.indexOf('\n'))}\n`)
  })

  it('has the options of --help, with their short names and their defaults', () => {
    const [, part = ''] = /Options:\n([\s\S]*?)\n\n/.exec(help) ?? []
    const names = (text: string): string[] => all(text, /(?<![\w-])(--?\w[\w-]*)(?![^\s`,;]*=)/g)
    const rows = table('docs/running.md', 'option').rows.map((row) => row[0] ?? '')
    const options = part.split('\n').map((line) => names(line.slice(0, 36)))
    // --effective is told with its command.
    const told = [...rows.flatMap(names), '--effective']
    expect(sorted(told)).toEqual(sorted(options.flat()))
    const defaults = byCode(table('docs/running.md', 'option'), 1)
    const read = readArguments([])
    expect(Number(defaults['--file-flush-interval-msec MS'])).toBe(read.fileFlushIntervalMs)
    expect(Number(defaults['--drain-time-s S'])).toBe(read.drainTimeMs / 1000)
  })

  it('has the levels of the log', () => {
    const options = byCode(table('docs/running.md', 'option'), 2)
    const [own = '', envoys = ''] = codeIn(options['-l'] ?? '')
    expect(own.split(' ')).toEqual(logLevels)
    for (const level of envoys.split(' ')) expect(logLevels).toContain(logLevel(level))
  })

  it('has the files that are looked for', () => {
    const files = searchPath({})
    const codes = codeIn(page('docs/running.md').prose.replaceAll('\n', ' '))
    expect(codes).toEqual(expect.arrayContaining([...files]))
    expect(codeIn(page('docs/configuration.md').prose)).toEqual(expect.arrayContaining([...files]))
  })

  it('has the signals that are caught', () => {
    const caught = namesOf('src/cli/signals.ts', 'kCaught')
    const told = table('docs/running.md', 'signal').rows.flatMap((row) =>
      (row[0] ?? '').split(', '),
    )
    expect(sorted(told)).toEqual(sorted(caught))
  })
})

describe('docs/install.md', () => {
  it('has the findings of the doctor', () => {
    const names = all(source('src/cli/examine.ts'), /name(?: =|:) '([\w-]+)'/g)
    expect(sorted(listed(table('docs/install.md', 'millrace doctor'), 0))).toEqual(sorted(names))
  })
})

describe('docs/configuration.md', () => {
  it('has the keys of the short form, and of its timeouts', () => {
    expect(sorted(listed(table('docs/configuration.md', 'key')))).toEqual(sorted(kShortKeys))
    const timeouts = table('docs/configuration.md', 'key of `timeouts`')
    expect(listed(timeouts)).toEqual(kTimeoutKeys)
  })

  it('has the defaults of timeouts', async () => {
    const timeouts = byCode(table('docs/configuration.md', 'key of `timeouts`'), 2)
    const { off: _, ...written } = Object.fromEntries(
      Object.entries(timeouts).map(([key, value]) => [value === 'off' ? 'off' : key, value]),
    )
    const text = 'listen: 80\nroutes: {/: 1}\n'
    expect(await compiled(text)).toEqual(
      await compiled(`${text}timeouts: ${JSON.stringify(written)}\n`),
    )
    expect(await compiled(text)).toEqual(await compiled(`${text}timeouts: {request: off}\n`))
  })

  it('has what the short form decides', async () => {
    const { bootstrap } = await load('listen: 80\nroutes: {/: 1}\n')
    const [listener] = bootstrap.static_resources?.listeners ?? []
    const [filter] = listener?.filter_chains?.[0]?.filters ?? []
    const manager = filter?.typed_config as unknown as Readonly<Record<string, unknown>>
    const structure = ['@type', 'stat_prefix', 'route_config', 'http_filters', 'type', 'message']
    const decided = Object.keys(manager).filter((name) => !structure.includes(name))
    const [, told = ''] =
      /decides for you:\*\*([\s\S]*?)\n\n/.exec(page('docs/configuration.md').text) ?? []
    expect(decided.length).toBeGreaterThan(5)
    expect(sorted(codeIn(told).filter((code) => /^[a-z]+(?:_[a-z]+)+$/.test(code)))).toEqual(
      sorted([...decided, 'ignore_port_in_host_matching']),
    )
  })

  it('has the codes of problems', () => {
    const [, type = ''] =
      /type ProblemCode =([\s\S]*?)\n\n/.exec(source('src/config/problem.ts')) ?? []
    const told = listed(table('docs/configuration.md', 'Errors'))
    expect(sorted(told)).toEqual(sorted(all(type, /\| '([\w-]+)'/g)))
  })
})

describe('docs/embedding.md', () => {
  it('has the options of a proxy', () => {
    const options = table('docs/embedding.md', 'option')
    const names = namesOf('src/embed/options.ts', 'kKeys')
    expect(sorted(listed(options))).toEqual(sorted(names))
    const read = readOptions({})
    const milliseconds = (text = ''): number => Number(text.replace(/[ ,ms]/g, ''))
    const defaults = byCode(options, 1)
    expect(milliseconds(defaults.drainTime)).toBe(read.drainTimeMs)
    expect(milliseconds(defaults.flushInterval)).toBe(read.fileFlushIntervalMs)
    expect(defaults.reusePort).toBe(`\`${read.sharePorts}\``)
  })

  it('has the events, and the channels', () => {
    const [, events = ''] =
      /interface ProxyEvents \{([\s\S]*?)\n\}/.exec(source('src/embed/events.ts')) ?? []
    const told = table('docs/embedding.md', 'event').rows.map(
      (row) => codeIn(row[0] ?? '')[0] ?? '',
    )
    expect(sorted(told)).toEqual(sorted(all(events, /^ {2}(\w+): \[/gm)))
    const channels = codeIn(page('docs/embedding.md').prose).filter((code) =>
      /^millrace:/.test(code),
    )
    expect(sorted(channels)).toEqual(sorted(Object.values(channelNames)))
  })
})

describe('docs/core.md and docs/pino.md', () => {
  const flushOptions = namesOf('src/flush/options.ts', 'kKnown')

  it('has the options of flush files, and their defaults', () => {
    const options = table('docs/core.md', 'Options')
    expect(sorted(listed(options))).toEqual(sorted(flushOptions))
    const text = source('src/flush/options.ts')
    const constant = (name: string): number => {
      const [, value = ''] = new RegExp(`${name} = ([\\w* ]+)`).exec(text) ?? []
      return value
        .split('*')
        .reduce((product, part) => product * Number(part.replaceAll('_', '')), 1)
    }
    const defaults = byCode(options, 1)
    expect(defaults.maxBytes).toBe(`${constant('kDefaultMaxBytes') / 2 ** 20} MiB`)
    expect(Number(defaults.flushInterval)).toBe(constant('kDefaultInterval'))
    expect(Number(defaults.exitDeadline)).toBe(constant('kDefaultDeadline'))
    expect(defaults.mode).toBe(`\`${/kDefaultMode = (\w+)/.exec(text)?.[1]}\``)
  })

  it('has the counters of flush files', () => {
    const [, fields = ''] =
      /interface FlushCounters \{([\s\S]*?)\n\}/.exec(source('src/flush/flush_file.ts')) ?? []
    const [, sentence = ''] = /- `counters`:([\s\S]*?)Always/.exec(page('docs/core.md').text) ?? []
    const names = all(fields, /readonly (\w+)\??:/g).filter((name) => !/Bytes$/.test(name))
    expect(sorted(codeIn(sentence))).toEqual(sorted(names))
  })

  it('has the options that pino.destination() has', () => {
    const known = namesOf('src/flush/destination.ts', 'kKnown')
    const rows = table('docs/pino.md', 'sonic-boom, pino.destination()').rows
    const names = (how: string): string[] =>
      rows
        .filter((row) => row[1] === how)
        .flatMap((row) => codeIn(row[0] ?? ''))
        .map((name) => name.replace(': false', ''))
    const taken = names('same').filter((name) => known.includes(name))
    expect(sorted([...new Set([...taken, ...flushOptions])])).toEqual(sorted(known))
    for (const name of names('refused')) expect(known).not.toContain(name)
  })
})

describe('docs/filters.md', () => {
  it('has the filters that are built', () => {
    const built = [...filterCompilers.keys()].map((type) => /http\.(\w+)\.v3/.exec(type)?.[1] ?? '')
    const names = listed(table('docs/filters.md', 'filter')).map((name) => name.split('.').at(-1))
    expect(sorted(names as string[])).toEqual(sorted([...built, 'router']))
  })

  it('has the statistics of filters', () => {
    const files = readdirSync('native/proxy/filters').filter((name) => name.endsWith('_stats.h'))
    const counted = files.flatMap((name) =>
      all(source(`native/proxy/filters/${name}`), /\{"(\w+)", StatKind::k(\w+)\}/g),
    )
    const rows = page('docs/filters.md').tables.filter(({ header }) => header[1] === 'kind')
    const told = rows.flatMap(({ rows: each }) =>
      each.map(([name = '', kind]) => `${codeIn(name)[0]} ${kind}`),
    )
    expect(told.sort()).toEqual(counted.map((text) => text.toLowerCase()).sort())
  })
})

describe('docs/clusters.md', () => {
  it('has the statistics of clusters', () => {
    const counted = all(
      source('native/upstream/cluster_stats.inc'),
      /^X\(\w+, "([^"]+)", k(\w+)\)$/gm,
    ).map((text) => text.toLowerCase())
    const rows = table('docs/clusters.md', 'Statistics').rows
    expect(rows.map(([name = '', kind]) => `${codeIn(name)[0]} ${kind}`)).toEqual(counted)
  })

  it('has what the main thread counts of clusters', () => {
    const text = source('src/cluster/stats.ts')
    const counted = [
      ...all(text, /(?:plain|add|stat)\('(?:counter|gauge)', '([\w.]+)'/g),
      ...all(text, /^ {2}'[\w-]+': '(\w+)'/gm).map((kind) => kind && '<kind>'),
    ].map((name) => name.replace(/^(health_check|outlier_detection)\./, ''))
    const told = codeIn(page('docs/clusters.md').prose.replaceAll('\n', ' '))
    const missing = counted.filter((name) => name !== '<kind>' && !told.includes(name))
    expect(missing).toEqual([])
  })

  it('has the balancers, and their defaults', async () => {
    const balancers = table('docs/clusters.md', '`lb_policy`')
    const text = source('src/config/compile/balancing.ts')
    const [, policies = ''] = /const policies = \{([\s\S]*?)\} as const/.exec(text) ?? []
    const names = [...all(policies, /^ {2}(\w+):/gm), 'client_side_weighted_round_robin']
    expect(listed(balancers)).toEqual(names)
    const told = JSON.stringify(balancers.rows)
    for (const name of ['kRingMin', 'kRingMax', 'kMaglevTable'])
      expect(told).toContain(new RegExp(`${name} = ([\\d_]+)`).exec(text)?.[1]?.replaceAll('_', ''))
  })

  it('has the limits of breakers, and their defaults', () => {
    const text = source('src/config/compile/breakers.ts')
    const [, defaults = ''] = /const defaults: NativeBreaker = \{([\s\S]*?)\n\}/.exec(text) ?? []
    const rows = byCode(table('docs/clusters.md', 'limit'), 1)
    for (const [camel, value] of all(defaults, /(\w+): (\d+),/g).map((each) => each.split(' '))) {
      const name = camel?.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) ?? ''
      if (name !== 'max_connections') expect(rows[name], name).toBe(value)
    }
    const fields =
      all(
        source('src/config/schema/messages.generated.ts'),
        /interface CircuitBreakersThresholds \{([\s\S]*?)\n\}/g,
      )[0] ?? ''
    const known = all(fields, /readonly (\w+)\?/g).filter(
      (name) => !['priority', 'track_remaining'].includes(name),
    )
    expect(sorted(listed(table('docs/clusters.md', 'limit')))).toEqual(sorted(known))
  })
})
