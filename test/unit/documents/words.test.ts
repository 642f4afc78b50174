// Sentences of README.md and docs/*.md: what they link to, name and count is there. Names are looked
// up in the sources, numbers in the constants that they stand for.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { codeIn, type Page, page as pageNamed, pages, root } from '../../support/pages.ts'

const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const filesOf = (...folders: string[]): string[] =>
  execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', ...folders], {
    cwd: root,
    encoding: 'utf8',
  })
    .split('\n')
    .filter((path) => path !== '' && existsSync(join(root, path)))

const sources = filesOf('src', 'native', 'package.json')
  .filter((path) => /\.(?:ts|cc|h|inc|mjs|json|yaml)$/.test(path))
  .map(read)
const withTests = [
  ...sources,
  ...filesOf('test', 'scripts', 'bench', 'schema', 'examples')
    .filter((path) => /\.(?:ts|mjs|json|yaml)$/.test(path) && !path.includes('unit/documents'))
    .map(read),
]
const wordsOf = (texts: readonly string[]): Set<string> =>
  new Set(texts.flatMap((text) => text.match(/[A-Za-z_]\w*/g) ?? []))

const known = wordsOf(withTests)
const knownInLower = new Set([...known].map((word) => word.toLowerCase()))

const slug = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
const anchors = (text: string): string[] =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, h = '']) => slug(h))
const withoutBlocks = ({ text }: Page): string => text.replace(/^```[\s\S]*?^```/gm, '')

describe.each(pages.map((each) => [each.name, each] as const))('%s', (name, each) => {
  it('links to what is there', () => {
    const links = [...each.text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, to = '']) => to)
    for (const link of links.filter((to) => !/^https?:/.test(to))) {
      const [path = '', anchor] = link.split('#')
      const file = path === '' ? name : join(dirname(name), path)
      expect(existsSync(join(root, file)), link).toBe(true)
      if (anchor !== undefined) expect(anchors(read(file)), link).toContain(anchor)
    }
  })

  it('names files that are there', () => {
    const inTree = /^(?:src|native|test|docs|examples|bench|scripts|schema|\.github)\/[\w./-]+$/
    for (const path of codeIn(withoutBlocks(each)).filter((code) => inTree.test(code)))
      expect(existsSync(join(root, path)), path).toBe(true)
  })

  it('names what the code has, or what the list below says it has not', () => {
    const unknown = codeIn(withoutBlocks(each))
      .filter((code) => !/^…|\.(?:ts|cc|h|mjs)$/.test(code))
      .flatMap((code) => code.match(/[A-Za-z]\w{4,}/g) ?? [])
      .filter((word) => !/_$/.test(word) && !knownInLower.has(word.toLowerCase()))
      .filter((word) => !kNotOurs.has(word))
    expect(unknown).toEqual([])
  })
})

it('README.md leads to every page', () => {
  const { text } = pageNamed('README.md')
  const others = pages.map((each) => each.name).filter((name) => name !== 'README.md')
  expect(others.filter((name) => !text.includes(`](${name})`))).toEqual([])
})

/** Names in the documents that are not in the code, and whose they are. */
const kNotOurs: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "Envoy's, said not to be there": [
      ...['certs', 'config_reload', 'include_eds', 'lb_zone_number_differs', 'override_host'],
      ...['runtime_modify', 'update_duration', 'upstream_cx_connect_with_0_rtt'],
      ...['upstream_cx_http2_total', 'upstream_cx_http3_total', 'upstream_rq_active_overflow'],
      ...['upstream_rq_max_duration_reached', 'upstream_rq_rx_reset_no_error'],
    ],
    "Node's": ['MessagePort', 'deepStrictEqual', 'utf8Write'],
    "Kubernetes'": ['terminationGracePeriodSeconds'],
    'a way to write, an example': ['snake_case', 'address_0', 'address_1'],
  }).flatMap(([whose, names]) => names.map((name) => [name, whose] as const)),
)

describe('the list of names that the code does not have', () => {
  it('has none that it has, and none that no page names', () => {
    const told = new Set(
      pages.flatMap((each) => codeIn(withoutBlocks(each)).join(' ').match(/\w+/g) ?? []),
    )
    const names = [...kNotOurs.keys()]
    expect(names.filter((name) => known.has(name))).toEqual([])
    expect(names.filter((name) => !told.has(name))).toEqual([])
  })
})

it('flags of responses are those of the access log', () => {
  const [, table = ''] =
    /kResponseFlagNames\[\] = \{([\s\S]*?)\};/.exec(read('native/proxy/stream_info.h')) ?? []
  const flags = [...table.matchAll(/\{"(\w+)"/g)].map(([, flag]) => flag)
  const told = pages.flatMap((each) =>
    [...each.text.matchAll(/\bflag `([A-Z]+)`/g)].map(([, f]) => f),
  )
  expect(told.length).toBeGreaterThan(10)
  expect(told.filter((flag) => !flags.includes(flag))).toEqual([])
})

// ---- numbers

const kUnits: Readonly<Record<string, number>> = {
  KiB: 1024,
  MiB: 2 ** 20,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  seconds: 1e9,
}

/** Bytes, nanoseconds, or how many. */
function amount(text: string): number {
  const [, number = '', unit = ''] = /^([\d,.]+) ?(\S*)$/.exec(text.trim()) ?? []
  return Number(number.replaceAll(',', '')) * (kUnits[unit] ?? 1)
}

/** The product that a constant is written as, times what its unit is in nanoseconds. */
function constant(file: string, name: string): number {
  const escaped = name.replace(/[?.]/g, '\\$&')
  const [, value = ''] =
    new RegExp(`\\b${escaped}(?:\\s*=|\\s*\\?\\?)\\s*([\\w'. *<]+)`).exec(read(file)) ?? []
  const factors = value
    .replaceAll(/['_](?=\d)/g, '')
    .split('*')
    .map((part) => part.trim())
  const product = factors.reduce((all, part) => {
    const [base = '', shift] = part.split('<<')
    return all * (part === 'kNsPerMs' ? 1 : Number(base) * 2 ** Number(shift ?? 0))
  }, 1)
  return (
    product *
    (/(?:Ms|Interval|Window|_rate|_period|_timeout)$/.test(name) || value.includes('kNsPerMs')
      ? 1e6
      : 1)
  )
}

/** A page, the sentence with the number in place of `#`, and the constant that it is. */
const numbers: readonly (readonly [string, string, string, string])[] = [
  ['limits', '| receive buffer of a worker | # |', 'native/net/net_context.h', 'kReceiveBuffer'],
  ['limits', '| work posted to a worker, per turn | # |', 'native/event/loop.h', 'kPostBudgetNs'],
  ['limits', 'all of a turn together | #, at least', 'native/event/loop.h', 'kPutOffBudgetNs'],
  ['limits', 'connections that move much (# at once', 'native/net/connection.h', 'kMuch'],
  [
    'limits',
    '| requests begun on one connection, per turn | # |',
    'native/http/http1_server.h',
    'kRequestsPerTurn',
  ],
  [
    'limits',
    'passed on for one connection, per turn | # |',
    'native/http/http1_server.h',
    'kPiecesPerTurn',
  ],
  [
    'limits',
    'passed on for one connection, per turn | # |',
    'native/http/http1_client.h',
    'kPiecesPerTurn',
  ],
  [
    'limits',
    '| connections accepted per event | at most # |',
    'native/net/listener.h',
    'kAcceptsPerEvent',
  ],
  [
    'limits',
    '| bytes written per connection and event | # |',
    'native/net/connection.h',
    'kWriteCapPerEvent',
  ],
  ['limits', 'splicing begins with a read of # |', 'native/net/relay.h', 'kSpliceFrom'],
  ['limits', 'that wait to be parsed | # |', 'native/net/connection.h', 'kMaxUnconsumed'],
  ['limits', 'came before a reset | kept for # after', 'native/net/connection.h', 'kErrorGraceMs'],
  ['limits', 'the last one | # after the client', 'native/net/connection.h', 'kFlushStallMs'],
  ['limits', 'what the last # needed', 'native/worker/worker_memory.h', 'kIntervalMs'],
  ['limits', 'accepting for # at a time', 'native/net/listener.h', 'kPauseMs'],
  ['limits', "| a log's ring of one worker | # |", 'src/server/log_files.ts', 'kRingBytes'],
  ['limits', 'route tables together) | # |', 'native/rcu/snapshot.h', 'kMaxSlots'],
  ['limits', 'of type ORIGINAL_DST | # |', 'src/cluster/discovery/original_dst.ts', 'kHostsMax'],
  ['limits', 'has not taken | # |', 'native/worker/worker_group.h', 'kMostWanted'],
  ['limits', 'header block, headers | #, 100', 'native/http/http1_parser.h', 'kRequestHeadBytes'],
  ['limits', 'header block, headers | 60 KiB, # |', 'native/http/http1_parser.h', 'kHeaders'],
  ['limits', 'of a response | #, 100', 'native/http/http1_parser.h', 'kResponseHeadBytes'],
  ['limits', '1xx at most # come before it', 'native/http/http1_client.h', 'kInformationalHeads'],
  ['limits', '| method | # bytes |', 'native/http/http1_parser.h', 'kMethodBytes'],
  ['limits', 'in a head | # |', 'native/http/http1_fields.cc', 'kConnectionOptions'],
  ['limits', 'a line of them | # and', 'native/http/body_decoder.h', 'kTrailerBytes'],
  ['limits', '60 KiB and # fields', 'native/http/body_decoder.h', 'kTrailers'],
  ['limits', 'and 100 fields, # |', 'native/http/body_decoder.h', 'kTrailerLineBytes'],
  ['limits', 'extensions included | # |', 'native/http/body_decoder.h', 'kChunkLineBytes'],
  ['limits', 'by an expression | # |', 'native/proxy/regex_rewrite.h', 'kMaxSteps'],
  ['limits', '| line of an access log | # |', 'native/proxy/formatter.h', 'kMaxLineBytes'],
  ['limits', 'and nothing else | # |', 'native/proxy/router.h', 'kResendBytes'],
  ['limits', 'buffered for one stream | #, reading', 'native/proxy/spec.h', 'uint32_t bufferLimit'],
  [
    'limits',
    '`millrace.worker_buffer_limit_bytes`, at least #; see',
    'native/proxy/worker_context.h',
    'kLittleHeld',
  ],
  ['limits', '1xx heads (at most #)', 'native/http/http1_client.h', 'kInformationalHeads'],
  [
    'http1-strictness',
    "| a request's head | # |",
    'native/http/http1_parser.h',
    'kRequestHeadBytes',
  ],
  [
    'http1-strictness',
    "| a response's head | # |",
    'native/http/http1_parser.h',
    'kResponseHeadBytes',
  ],
  ['http1-strictness', '| fields in a head | # |', 'native/http/http1_parser.h', 'kHeaders'],
  [
    'http1-strictness',
    'the number of trailers | #, 60',
    'native/http/body_decoder.h',
    'kTrailerLineBytes',
  ],
  [
    'http1-strictness',
    'the number of trailers | 8 KiB, #,',
    'native/http/body_decoder.h',
    'kTrailerBytes',
  ],
  [
    'http1-strictness',
    'the number of trailers | 8 KiB, 60 KiB, # |',
    'native/http/body_decoder.h',
    'kTrailers',
  ],
  [
    'http1-strictness',
    '| 1xx heads in front of a response | # |',
    'native/http/http1_client.h',
    'kInformationalHeads',
  ],
  [
    'http1-strictness',
    'a method of more than # bytes',
    'native/http/http1_parser.h',
    'kMethodBytes',
  ],
  [
    'http1-strictness',
    'a size line of more than # bytes',
    'native/http/body_decoder.h',
    'kChunkLineBytes',
  ],
  [
    'configuration',
    'A file has at most # and is UTF-8',
    'src/config/source/read.ts',
    'kFileBytesMax',
  ],
  ['running', 'not come within # seconds', 'src/config/source/read.ts', 'kDeadlineMs'],
  [
    'operations',
    'begun to connect is accepted for # more',
    'native/net/listener.h',
    'kStopGraceMs',
  ],
  [
    'operations',
    'does not take them within # seconds',
    'native/worker/worker_group.h',
    'kClosingNs',
  ],
  ['operations', 'in their rings: at #, or at', 'native/flush/flush_file.h', 'kFillMarkBytes'],
  ['clusters', 'each address gets # before', 'native/net/connection.h', 'kHappyEyeballsMs'],
  ['clusters', 'of its body no more than # were sent', 'native/proxy/router.h', 'kResendBytes'],
  [
    'clusters',
    'in no ring, to a depth of #.',
    'src/config/compile/discovery.ts',
    'kAggregateDepthMax',
  ],
  [
    'clusters',
    'A cluster has at most # hosts',
    'src/cluster/discovery/original_dst.ts',
    'kHostsMax',
  ],
  ['running', 'At the end it is given # seconds to', 'src/cli/log.ts', 'kEndDeadlineMs'],
  [
    'running',
    'A start that waits says every # seconds for',
    'src/server/server.ts',
    'kSayWaitingAgainMs',
  ],
  ['operations', '(at least 1, at most # seconds)', 'src/server/deployment.ts', 'kMostSpreadMs'],
  ['operations', '(at least #, at most 30 seconds)', 'src/server/deployment.ts', 'kLeastSpreadMs'],
  [
    'embedding',
    '(a full pipe, a hung disk) at most # seconds.',
    'src/server/server.ts',
    'kStopDeadlineMs',
  ],
  [
    'embedding',
    'the logs are written out, for at most # seconds.',
    'src/server/server.ts',
    'kExitDeadlineMs',
  ],
  [
    'limits',
    'One that is idle is closed `drain_timeout` (#) later',
    'src/config/compile/http.ts',
    'drain_timeout',
  ],
  [
    'limits',
    'names of one dynamic forward proxy | # |',
    'src/config/compile/dns_cache.ts',
    'max_hosts',
  ],
  [
    'clusters',
    'asked for every `dns_refresh_rate` (#);',
    'src/config/compile/dns.ts',
    'dns_refresh_rate',
  ],
  [
    'clusters',
    'about which a server is silent is waited for for #,',
    'src/cluster/discovery/dns_client.ts',
    'kPatienceMs',
  ],
  [
    'clusters',
    '`common_lb_config.update_merge_window` (#) wait',
    'src/config/compile/clusters.ts',
    'kMergeWindow',
  ],
  [
    'clusters',
    'for a whole `cleanup_interval` (#), and',
    'src/config/compile/on_demand.ts',
    'kCleanupInterval',
  ],
  [
    'clusters',
    'but not before `dns_min_refresh_rate` (#);',
    'src/config/compile/dns_cache.ts',
    'dns_min_refresh_rate',
  ],
  [
    'clusters',
    'is good for `dns_refresh_rate` (#).',
    'src/config/compile/dns_cache.ts',
    'dns_refresh_rate',
  ],
  [
    'clusters',
    'A question takes `dns_query_timeout` (#) at',
    'src/config/compile/dns_cache.ts',
    'dns_query_timeout',
  ],
  ['clusters', 'With `max_hosts` (#) names', 'src/config/compile/dns_cache.ts', 'max_hosts'],
  [
    'clusters',
    'have reported for `blackout_period` (#),',
    'src/config/compile/balancing.ts',
    'blackout_period',
  ],
  [
    'clusters',
    'than `weight_expiration_period` (#);',
    'src/config/compile/balancing.ts',
    'weight_expiration_period',
  ],
  [
    'clusters',
    'every `weight_update_period` (#, at least',
    'src/config/compile/balancing.ts',
    'weight_update_period',
  ],
  [
    'clusters',
    'than `healthy_panic_threshold` (# %)',
    'src/config/compile/balancing.ts',
    'healthy_panic_threshold?.value',
  ],
  [
    'clusters',
    'gets `min_weight_percent` (#) of',
    'src/config/compile/balancing.ts',
    'min_weight_percent?.value',
  ],
  [
    'core',
    '| `ERR_MILLRACE_FLUSH_TOO_MANY` | more than # files',
    'native/flush/process_end.h',
    'kMaxFiles',
  ],
  [
    'pino',
    'unless told otherwise, never without bound, and at least # |',
    'src/flush/options.ts',
    'kMinBytes',
  ],
]

it.each(numbers)('docs/%s.md: %s', (name, sentence, file, constantName) => {
  const [before = '', after = ''] = sentence.split('#')
  const text = pageNamed(`docs/${name}.md`).text.replaceAll(/\s+/g, ' ')
  const at = text.indexOf(before)
  expect(at, before).toBeGreaterThanOrEqual(0)
  const from = at + before.length
  const to = text.indexOf(after, from)
  const unit = /^ seconds/.test(after) || /second/.test(sentence) ? ' seconds' : ''
  expect(amount(text.slice(from, to).trim() + unit)).toBe(constant(file, constantName))
})
