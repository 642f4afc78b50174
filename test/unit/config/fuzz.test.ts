// Whatever a file says, loading it ends in a configuration or in a ConfigError with places that are in the file.
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ConfigError } from '../../../src/config/index.ts'
import { bootstrap, load } from './helpers.ts'

const seeds = [
  readFileSync('test/unit/config/golden/envoy.yaml', 'utf8'),
  readFileSync('test/unit/config/golden/short.yaml', 'utf8'),
  bootstrap(),
  'listen: 80\nroutes: {/: 1, /a: {redirect: {to: /x, status: 301}}}\naccess_log: stdout\n',
]
const words = [
  ...['constructor', '__proto__', 'toString', '"@type"', 'null', '~', '[]', '{}', '-1', '1e400'],
  ...['"%REQ("', '*a', '&a ', '<<', '!ignore ', '5s', '\t', '\n', '  ', ': ', '%', '\\', '"', "'"],
  ...['type.googleapis.com/constructor', 'type_url', 'é', '\u2028', '#', '- ', '|\n', '0x10'],
]

const edit = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.nat({ max: 30 }),
  insert: fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 5 })),
})

it('is never a crash', async () => {
  const property = fc.asyncProperty(
    fc.constantFrom(...seeds),
    fc.array(edit, { minLength: 1, maxLength: 4 }),
    async (seed, edits) => {
      let text = seed
      for (const { at, remove, insert } of edits) {
        const from = Math.floor(at * text.length)
        text = text.slice(0, from) + insert + text.slice(from + remove)
      }
      const failure = await load(text).then(
        () => undefined,
        (error: unknown) => error,
      )
      if (failure === undefined) return
      if (!(failure instanceof ConfigError)) throw failure
      expect(failure.problems.length).toBeGreaterThan(0)
      const lines = text.split('\n').length
      for (const { line, column } of failure.problems) {
        expect(line).toBeGreaterThan(0)
        expect(line).toBeLessThanOrEqual(lines)
        expect(column).toBeGreaterThan(0)
      }
    },
  )
  await fc.assert(property, { numRuns: 300 })
})
