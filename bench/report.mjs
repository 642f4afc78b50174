// From runs to medians, verdicts and tables.
import { PROXIES } from './proxies.mjs'
import { SCENARIOS } from './scenarios.mjs'

const BEFORE_MAX = 1.02 // of the CPU time that the build before took
const PEERS = ['nginx', 'haproxy']
// CPUs that the host took during a run; above, a run counts only if there is no better
const STEAL_MAX = 0.15

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  if (sorted.length === 0) return undefined
  return sorted.length % 2 === 1
    ? sorted[Math.floor(middle)]
    : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The runs of a scenario and a proxy that count, in the order of their rounds. */
function runsOf(runs, scenario, proxy) {
  const all = runs.filter((run) => run.scenario === scenario && run.proxy === proxy && !run.error)
  const good = all.filter((run) => (run.steal ?? 0) <= STEAL_MAX)
  return good.length > 0 ? good : all
}

/** scenario → proxy → the median of each figure over the rounds. */
export function medians(runs) {
  const result = {}
  for (const { scenario, proxy } of runs) {
    result[scenario] ??= {}
    if (result[scenario][proxy] !== undefined) continue
    const counted = runsOf(runs, scenario, proxy)
    const row = { rounds: counted.length }
    for (const key of Object.keys(counted[0] ?? {})) {
      const values = counted.map((run) => run[key]).filter((value) => typeof value === 'number')
      if (values.length > 0 && key !== 'round') row[key] = median(values)
    }
    if (counted.at(-1)?.calls) row.calls = counted.at(-1).calls
    row.failed = counted.reduce((sum, run) => sum + (run.failed ?? 0), 0)
    row.errors = runs.filter((r) => r.scenario === scenario && r.proxy === proxy && r.error).length
    if (row.cpuUs !== undefined) {
      const cpu = counted.map((run) => run.cpuUs)
      row.spread = (Math.max(...cpu) - Math.min(...cpu)) / row.cpuUs
    }
    result[scenario][proxy] = row
  }
  return result
}

/** The median over the rounds of what `combine` makes of two runs of the same round. */
function paired(runs, [scenario, proxy], [otherScenario, otherProxy], combine) {
  const others = new Map(runsOf(runs, otherScenario, otherProxy).map((run) => [run.round, run]))
  const both = runsOf(runs, scenario, proxy).filter((run) => others.has(run.round))
  return median(both.map((run) => combine(run.cpuUs, others.get(run.round).cpuUs)))
}

/** The one of nginx and HAProxy that takes less CPU time in this scenario. */
function betterPeer(table, scenario) {
  const known = PEERS.filter((peer) => table[scenario]?.[peer]?.cpuUs !== undefined)
  return known.sort((a, b) => table[scenario][a].cpuUs - table[scenario][b].cpuUs)[0]
}

/**
 * What the issue of each target comes to: [{ text, value, limit, reached }], without what was not
 * measured.
 */
export function verdicts(runs, table, scenario) {
  const target = SCENARIOS[scenario].target ?? {}
  const own = table[scenario]?.millrace ?? {}
  const ratio = (a, b) => a / b
  const found = []
  const judge = (value, limit, text) => {
    if (value !== undefined)
      found.push({ text: text(value), value, limit, reached: value <= limit })
  }
  if (target.versusPeers !== undefined) {
    const peer = betterPeer(table, scenario)
    const value = peer && paired(runs, [scenario, 'millrace'], [scenario, peer], ratio)
    const text = (x) =>
      `${x.toFixed(2)} × ${PROXIES[peer].title} (≤ ${target.versusPeers.toFixed(2)})`
    judge(value, target.versusPeers, text)
  }
  if (target.versusFloor !== undefined) {
    const value = paired(runs, [scenario, 'millrace'], [scenario, 'floor'], ratio)
    judge(value, target.versusFloor, (x) => `${x.toFixed(2)} × floor (≤ ${target.versusFloor})`)
  }
  if (own.cpuUs !== undefined) {
    const value = paired(runs, [scenario, 'millrace'], [scenario, 'before'], ratio)
    judge(value, BEFORE_MAX, (x) => `${x.toFixed(3)} × before (≤ ${BEFORE_MAX})`)
  }
  if (target.versusWithout !== undefined) {
    const without = [target.versusWithout, 'millrace']
    const value = paired(runs, [scenario, 'millrace'], without, (a, b) => a - b)
    judge(value, target.extraUs, (x) => `${x.toFixed(2)} µs more than off (≤ ${target.extraUs})`)
  }
  judge(
    own.bytesPerConnection,
    target.bytesPerConnection ?? Infinity,
    (x) => `${x.toFixed(0)} bytes a connection (≤ ${target.bytesPerConnection})`,
  )
  judge(own.rssMb, target.rssMb ?? Infinity, (x) => `${x.toFixed(0)} MB (≤ ${target.rssMb})`)
  judge(
    own.startupMs,
    target.startupMs ?? Infinity,
    (x) => `${x.toFixed(0)} ms (≤ ${target.startupMs})`,
  )
  judge(
    own.readNs,
    target.readNs ?? Infinity,
    (x) => `read ${x.toFixed(2)} ns (≤ ${target.readNs})`,
  )
  return found.filter(({ limit }) => limit !== Infinity)
}

const show = (list) =>
  list.map(({ text, reached }) => `${text} ${reached ? 'reached' : '**not reached**'}`).join('; ')

/** The one figure of a proxy in a scenario, for the overview. */
function figure(row) {
  if (row === undefined) return '–'
  if (row.cpuUs !== undefined) return row.cpuUs.toFixed(1)
  if (row.bytesPerConnection !== undefined) {
    return `${row.bytesPerConnection.toFixed(0)} B, idle ${row.rssMb.toFixed(0)} MB`
  }
  if (row.startupMs !== undefined) return `${row.startupMs.toFixed(0)} ms`
  if (row.syscalls !== undefined) return row.syscalls.toFixed(2)
  if (row.readNs !== undefined) return `read ${row.readNs.toFixed(2)} ns`
  return row.errors > 0 ? 'failed' : '–'
}

const line = (cells) => `| ${cells.join(' | ')} |`

/** The table for the README: CPU µs per request unless a unit stands there. */
export function overview(runs, table) {
  const names = Object.keys(PROXIES).filter((name) => runs.some(({ proxy }) => proxy === name))
  const titles = names.map((name) => PROXIES[name].title)
  const lines = [line(['CPU µs per request', ...titles, "Millrace's target"])]
  lines.push(`|---|${'---:|'.repeat(names.length)}---|`)
  for (const scenario of Object.keys(SCENARIOS).filter((name) => table[name] !== undefined)) {
    const figures = names.map((name) => figure(table[scenario][name]))
    const judged = show(verdicts(runs, table, scenario))
    lines.push(line([SCENARIOS[scenario].title, ...figures, judged]))
  }
  return lines.join('\n')
}

function details(table, scenario) {
  const head = ['', 'CPU µs', 'user µs', 'requests/s', 'MB/s', 'p50 µs', 'p99 µs', 'p99.9 µs']
  head.push('CPU used', 'failed', 'spread', 'rounds')
  const lines = [line(head), `|---|${'---:|'.repeat(head.length - 1)}`]
  for (const [name, row] of Object.entries(table[scenario])) {
    const number = (value, digits) => (value === undefined ? '–' : value.toFixed(digits))
    const cells = [PROXIES[name].title, number(row.cpuUs, 2), number(row.userUs, 1)]
    cells.push(number(row.perSecond, 0), number(row.bytes && row.bytes / row.seconds / 1e6, 0))
    cells.push(number(row.p50, 0), number(row.p99, 0), number(row.p999, 0))
    cells.push(number(row.proxyCpu, 2), row.failed, number(row.spread, 2), row.rounds)
    lines.push(line(cells))
  }
  return lines
}

function specials(table, scenario) {
  return Object.entries(table[scenario]).map(([name, row]) => {
    const calls = Object.entries(row.calls ?? {}).sort((a, b) => b[1] - a[1])
    const listed = calls.map(([call, n]) => `${call} ${n.toFixed(2)}`).join(', ')
    return `- ${PROXIES[name].title}: ${figure(row)}${listed && ` (${listed})`}${latency(row)}`
  })
}

function latency({ workers, idleP50Us, idleP99Us, busyP50Us, busyP99Us }) {
  if (workers === undefined) return ''
  return (
    `; publish to the last of ${workers} workers: p50 ${idleP50Us} µs and p99 ${idleP99Us} µs ` +
    `when they are idle, ${busyP50Us} and ${busyP99Us} µs when each is busy for a fifth of the time`
  )
}

/** The whole report in Markdown. */
export function markdown({ date, machine, options, runs }) {
  const table = medians(runs)
  const versions = Object.values(machine.versions).join(', ')
  const lines = [
    `# Benchmark of ${date}`,
    '',
    `${machine.os}, kernel ${machine.kernel}, ${machine.cpus} CPUs (${machine.cpu}). ${versions}.`,
    `${options.rounds} interleaved rounds of ${options.seconds} s; medians.`,
    'How it is measured: bench/README.md.',
    '',
    overview(runs, table),
  ]
  for (const scenario of Object.keys(SCENARIOS).filter((name) => table[name] !== undefined)) {
    const { title, special } = SCENARIOS[scenario]
    lines.push('', `## ${scenario}: ${title}`, '')
    lines.push(...(special === undefined ? details : specials)(table, scenario))
  }
  const errors = runs.filter(({ error }) => error)
  if (errors.length > 0) lines.push('', '## Runs that failed', '')
  for (const { scenario, proxy, error } of errors) {
    lines.push(`- ${scenario}, ${proxy}: ${error.replaceAll('\n', ' ').slice(0, 300)}`)
  }
  return `${lines.join('\n')}\n`
}
