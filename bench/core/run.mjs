// npm run bench:core [-- --only NAME[,NAME] --rounds N --out bench/results/core-DATE]
//
// What embedders use: snapshots and log files, beside what Node offers for the same. A scenario is
// an export `scenarios` of a file in this folder:
//
//   export const scenarios = [{
//     name: 'broadcast',          // for --only
//     title: 'a heading',
//     goal: 'what we mean to reach, in words',
//     columns: { mainMs: 'main thread, ms' },     // key of a row → heading
//     async run({ rounds }) { return [{ way: 'SlotTable', mainMs: 4.2, reached: true }] },
//   }]
//
// A row is one way to do the thing; `reached`, where a goal applies to it, says if it did. A
// scenario interleaves its ways round by round, and takes medians. Each file runs in a process of
// its own, one after the other.
import { fork } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { describe } from '../machine.mjs'
import { markdown } from './report.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '../..')
const OWN = ['run.mjs', 'report.mjs', 'measure.mjs', 'origin.mjs', 'snapshots_worker.mjs']

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    out: {
      type: 'string',
      default: `bench/results/core-${new Date().toISOString().slice(0, 10)}`,
    },
    file: { type: 'string' }, // the process of one file
  },
})
const wanted = ({ name }) => values.only === undefined || values.only.split(',').includes(name)

async function child(file) {
  const { scenarios } = await import(pathToFileURL(join(here, file)))
  for (const { run, ...scenario } of scenarios.filter(wanted)) {
    const rows = await run({ rounds: Number(values.rounds) })
    process.send({ ...scenario, rows })
  }
  process.disconnect()
}

/** Results of one file's scenarios, in their order. */
function measure(file) {
  return new Promise((resolve, reject) => {
    const results = []
    const args = [...process.argv.slice(2), '--file', file]
    const running = fork(fileURLToPath(import.meta.url), args, { execArgv: ['--expose-gc'] })
    running.on('message', (result) => {
      results.push(result)
      process.stdout.write(markdown({ results: [result] }))
    })
    running.on('exit', (code, signal) => {
      if (code === 0) resolve(results)
      else reject(new Error(`${file} ended with ${signal ?? code}`))
    })
  })
}

if (values.file !== undefined) await child(values.file)
else {
  const [busy] = loadavg()
  const files = readdirSync(here).filter((name) => name.endsWith('.mjs') && !OWN.includes(name))
  const results = []
  for (const file of files.sort()) {
    const { scenarios } = await import(pathToFileURL(join(here, file)))
    if (scenarios?.some(wanted)) results.push(...(await measure(file)))
  }
  if (results.length === 0) throw new Error(`no scenario ${values.only}`)
  // What others did meanwhile is a part of the figures.
  const machine = { ...describe(), load: `${busy.toFixed(1)} when it began` }
  const out = resolve(root, values.out)
  mkdirSync(dirname(out), { recursive: true })
  writeFileSync(`${out}.json`, `${JSON.stringify({ machine, results }, undefined, 1)}\n`)
  writeFileSync(`${out}.md`, markdown({ machine, results }))
  console.log(`written: ${values.out}.md and .json`)
}
