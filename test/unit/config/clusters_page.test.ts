// docs/clusters.md: what it shows is a configuration, and what it lists is what is counted.
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { said } from './helpers.ts'

const page = readFileSync('docs/clusters.md', 'utf8')
const table = readFileSync('native/upstream/cluster_stats.inc', 'utf8')
const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text)

it.each(blocks)('%s', async (text) => {
  expect(await said(text)).toEqual([])
})

it('the statistics of clusters are those of the page', () => {
  const counted = [...table.matchAll(/^X\(\w+, "([^"]+)", k(\w+)\)$/gm)].map(
    ([, name, kind = '']) => `${name} ${kind.toLowerCase()}`,
  )
  const listed = [...page.matchAll(/^\| `([^`]+)` \| (counter|gauge) \| .+ \|$/gm)].map(
    ([, name, kind]) => `${name} ${kind}`,
  )
  expect(counted.length).toBeGreaterThan(50)
  expect(listed).toEqual(counted)
})
