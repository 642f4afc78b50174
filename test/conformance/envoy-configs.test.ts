// Real configurations of Envoy: each compiles, or is refused with exactly the fields that Millrace
// does not have. The list of those is kept in refused.txt, so that a change of it is seen; a field
// that Envoy's API knows is never called unknown, and nothing crashes.
//
// The files are not part of the repository; where they are not, the tests are skipped by name.
import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ConfigError, compile, loadConfiguration, type Problem } from '../../src/config/index.ts'
import { atOnce } from '../../src/slices.ts'

const folder = process.env.MILLRACE_ENVOY_CONFIGS ?? resolve('../shared/envoy-configs')
const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.yaml')) : []

const resolver = {
  cluster: () => 0,
  routes: () => 0,
  log: () => 0,
  runtime: () => 0,
  filter: () => 0,
}

async function refusals(name: string): Promise<readonly Problem[]> {
  try {
    const loaded = await loadConfiguration({ kind: 'file', path: join(folder, name) })
    const compiled = atOnce(compile(loaded, resolver))
    expect(compiled.listeners.length + compiled.clusters.length).toBeGreaterThan(0)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

describe.skipIf(files.length === 0)('configurations of Envoy (skipped where they are not)', () => {
  it('each compiles, or names what is missing', { timeout: 120_000 }, async () => {
    let found = ''
    for (const name of files) {
      const problems = await refusals(name)
      const lines = problems.map(({ code, path, message }) => `  ${code} ${path}: ${message}\n`)
      found += `${name}\n${lines.length === 0 ? '  compiles\n' : lines.join('')}`
    }
    await expect(found).toMatchFileSnapshot('refused.txt')
  })
})
