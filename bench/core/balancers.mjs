// What a pick costs with each balancer, what its tables weigh, and what the change of one host
// costs the main thread: bench/native/balancers.cc, built with the layers it needs.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { median } from './measure.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
/** µs on the main thread for one host of 10,000. */
const CHANGE_US = 2000

function build(folder) {
  const program = join(folder, 'balancers')
  const listed = execFileSync(process.execPath, ['native/sources.mjs', 'core'], { cwd: root })
  const layers = /^native\/(base|rcu|event|stats|net|http|upstream)\//
  const sources = String(listed)
    .split('\n')
    .filter((path) => layers.test(path))
  const flags = ['-std=c++20', '-O2', '-DNDEBUG', '-pthread', '-fno-exceptions', '-fno-rtti']
  const args = [...flags, '-Inative', '-o', program, 'bench/native/balancers.cc', ...sources]
  execFileSync('c++', args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  return program
}

async function run({ rounds }) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-balancers-'))
  try {
    const program = build(folder)
    const all = Array.from({ length: rounds }, () => JSON.parse(String(execFileSync(program))))
    return all[0].map(({ balancer, hosts, ...bytes }, i) => {
      const changeUs = median(all.map((round) => round[i].changeUs))
      return {
        way: `${balancer}, ${hosts} hosts`,
        pickNs: median(all.map((round) => round[i].pickNs)),
        changeUs,
        tableBytesPerHost: bytes.tableBytesPerHost,
        bytesPerHost: bytes.bytesPerHost,
        bytesPerWorker: bytes.bytesPerWorker,
        ...(hosts === 10_000 && { reached: changeUs <= CHANGE_US }),
      }
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

export const scenarios = [
  {
    name: 'balancers',
    title: 'Balancers: a pick, and the change of one host',
    goal: `one host of 10,000 changes in at most ${CHANGE_US} µs of the main thread`,
    columns: {
      pickNs: 'pick, ns',
      changeUs: 'change of one host, µs',
      tableBytesPerHost: 'tables, bytes a host',
      bytesPerHost: 'a host with one worker, bytes',
      bytesPerWorker: 'each further worker, bytes a host',
    },
    run,
  },
]
