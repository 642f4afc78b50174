// What the documentation shows, and every example, is a configuration.
import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { said } from './helpers.ts'

const page = readFileSync('docs/configuration.md', 'utf8')
const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text)
const examples = readdirSync('examples').filter((name) => /\.(yaml|yml|json)$/.test(name))

it('the page has blocks', () => {
  expect(blocks.length).toBeGreaterThan(1)
})

it.each(blocks)('docs/configuration.md: %s', async (text) => {
  expect(await said(text)).toEqual([])
})

it.each(examples)('examples/%s', async (name) => {
  expect(await said(readFileSync(`examples/${name}`, 'utf8'))).toEqual([])
})

it('the error that the page shows is the one that is said', async () => {
  const text = 'listen: 80\nroutes:\n  /api: {timout: 5s, to: web}\nupstreams: {web: 1}\n'
  const [found] = await said(text)
  expect(found).toBe(
    '3:10 unknown-field routes["/api"].timout: no such key here (did you mean "timeout"?)',
  )
  expect(page).toContain(found?.replace(' unknown-field', ':'))
})
