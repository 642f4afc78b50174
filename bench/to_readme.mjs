// node bench/to_readme.mjs [bench/results/NAME.json]: puts the table of a result (the newest,
// unless named) into the README, between the lines <!-- bench:begin --> and <!-- bench:end -->.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../scripts/lib.mjs'
import { medians, overview } from './report.mjs'

function newest() {
  const names = readdirSync(join(root, 'bench/results')).filter((name) => name.endsWith('.json'))
  if (names.length === 0) throw new Error('bench/results/ is empty: npm run bench')
  return join('bench/results', names.sort().at(-1))
}

const source = process.argv[2] ?? newest()
const { date, machine, options, runs } = JSON.parse(readFileSync(join(root, source), 'utf8'))
const versions = Object.values(machine.versions).join(', ')
const report = source.replace('.json', '.md')
const section = [
  '<!-- bench:begin -->',
  overview(runs, medians(runs)),
  '',
  `Measured on ${date}: ${machine.os}, kernel ${machine.kernel}, ${machine.cpus} CPUs`,
  `(${machine.cpu}); ${versions}. ${options.rounds} interleaved rounds of ${options.seconds} s,`,
  `medians. All that was measured: [${report}](${report}).`,
  '<!-- bench:end -->',
].join('\n')

const path = join(root, 'README.md')
const readme = readFileSync(path, 'utf8')
const marked = /<!-- bench:begin -->[\s\S]*<!-- bench:end -->/
if (!marked.test(readme))
  throw new Error('README.md has no <!-- bench:begin --> and <!-- bench:end -->')
writeFileSync(
  path,
  readme.replace(marked, () => section),
)
