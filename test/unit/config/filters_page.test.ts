// docs/filters.md: what it shows is a configuration, and its table has the filters that are built.
import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { filterCompilers } from '../../../src/config/compile/filters/filters.ts'
import { said } from './helpers.ts'

const page = readFileSync('docs/filters.md', 'utf8')
const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text)

it.each(blocks)('%s', async (text) => {
  expect(await said(text)).toEqual([])
})

it('the filters of the page are those that are built', () => {
  const listed = [...page.matchAll(/`envoy\.filters\.http\.(\w+)`\]/g)].map(([, name]) => name)
  const built = [...filterCompilers.keys()].map((type) => /http\.(\w+)\.v3/.exec(type)?.[1])
  expect(new Set(listed)).toEqual(new Set(built))
})

it('the statistics of filters are those of the page', () => {
  const files = readdirSync('native/proxy/filters').filter((name) => name.endsWith('_stats.h'))
  const counted = files.flatMap((name) =>
    [
      ...readFileSync(`native/proxy/filters/${name}`, 'utf8').matchAll(
        /\{"(\w+)", StatKind::k(\w+)\}/g,
      ),
    ].map(([, stat, kind = '']) => `${stat} ${kind.toLowerCase()}`),
  )
  const listed = [...page.matchAll(/^\| `(\w+)` \| (counter|gauge) \| .+ \|$/gm)].map(
    ([, name, kind]) => `${name} ${kind}`,
  )
  expect(counted.length).toBeGreaterThan(9)
  expect(listed.sort()).toEqual(counted.sort())
})
