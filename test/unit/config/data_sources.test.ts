// What a configuration reads from files and the environment is read when it is loaded, and means
// the same whenever it is compiled again.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  type CompileResolver,
  compile,
  type LoadedConfiguration,
  loadConfiguration,
  sameConfiguration,
} from '../../../src/config/index.ts'
import { Succession } from '../../../src/server/succession.ts'
import { atOnce } from '../../../src/slices.ts'
import * as build from '../../integration/support/config.ts'

const kVariable = 'MILLRACE_TEST_BODY'
let folder: string
let file: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-sources-'))
  file = join(folder, 'body')
})
afterEach(() => {
  rmSync(folder, { recursive: true })
  delete process.env[kVariable]
})

function load(): Promise<LoadedConfiguration> {
  const answer = (prefix: string, body: object): Readonly<Record<string, unknown>> => ({
    match: { prefix },
    direct_response: { status: 200, body },
  })
  const routes = [
    answer('/file', { filename: file }),
    answer('/environment', { environment_variable: kVariable }),
  ]
  const value = build.bootstrap([build.httpListener({ name: 'l', routes })], [])
  return loadConfiguration({ kind: 'object', name: 'x', value })
}

const resolver: CompileResolver = {
  cluster: () => 1,
  routes: () => 1,
  log: () => 1,
  runtime: () => 1,
  filter: () => 1,
}

function bodies(loaded: LoadedConfiguration): string[] {
  const found: string[] = []
  const { routeTables } = atOnce(compile(loaded, resolver))
  JSON.stringify(routeTables, (key, value) => {
    if (key === 'body') found.push(Buffer.from(value.data ?? value).toString())
    return value
  })
  return found
}

const put = (fileText: string, variable: string): void => {
  writeFileSync(file, fileText)
  process.env[kVariable] = variable
}

it('are what they were when it was loaded', async () => {
  put('one', 'two')
  const loaded = await load()
  expect(bodies(loaded)).toEqual(['one', 'two'])
  put('other', 'another')
  expect(bodies(loaded)).toEqual(['one', 'two'])
  rmSync(file)
  delete process.env[kVariable]
  expect(bodies(loaded)).toEqual(['one', 'two'])
})

it('tell configurations of the same text apart', async () => {
  put('one', 'two')
  const first = await load()
  expect(sameConfiguration(first, await load())).toBe(true)
  put('changed', 'two')
  expect(sameConfiguration(first, await load())).toBe(false)
  put('one', 'changed')
  expect(sameConfiguration(first, await load())).toBe(false)
})

it('a reload after a file changed is not taken for the one that waits', async () => {
  put('one', 'two')
  const inForce: string[][] = []
  let go = (): void => {}
  const gate = new Promise<void>((resolve) => {
    go = resolve
  })
  const nothing = {
    listenersAdded: [],
    listenersModified: [],
    listenersRemoved: [],
    clustersPublished: [],
    clustersRemoved: [],
    routesPublished: [],
  }
  const succession = new Succession(async (loaded) => {
    await gate
    inForce.push(bodies(loaded))
    return nothing
  })
  const [first, again] = [await load(), await load()]
  put('new', 'two')
  const changed = await load()
  const all = [first, again, changed].map((loaded) => succession.next(() => loaded))
  await new Promise(setImmediate)
  go()
  await Promise.all(all)
  expect(inForce).toEqual([
    ['one', 'two'],
    ['new', 'two'],
  ])
})
