// The generated files are what the .proto files and implemented.yaml make.
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { enumSchema, messageNames, messageSchema } from '../../../src/config/schema/schema.ts'
import { didYouMean, editDistance } from '../../../src/config/suggest.ts'

it('nothing has drifted', async () => {
  const script = pathToFileURL('src/config/schema/generate.mjs').href
  const { generatedFiles } = (await import(script)) as { generatedFiles(): Map<string, string> }
  const stale = [...generatedFiles()].filter(([path, text]) => readFileSync(path, 'utf8') !== text)
  expect(stale.map(([path]) => `${path}: run node src/config/schema/generate.mjs`)).toEqual([])
})

describe('the schema', () => {
  it('says types, rules and what is built', () => {
    const manager = messageSchema(
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    )
    expect(manager?.byName.get('max_request_headers_kb')).toEqual({
      name: 'max_request_headers_kb',
      type: 'uint32',
      presence: true,
      rules: { lte: 8192, gt: 0 },
      status: { most: 240, why: 'a head is read as a whole' },
    })
    expect(manager?.byName.get('routeConfig')).toBe(manager?.byName.get('route_config'))
    expect(manager?.byName.get('request_headers_timeout')?.rules).toEqual({ gte: 0 })
    expect(messageSchema('envoy.config.route.v3.Route')?.required).toEqual(['action'])
    expect(messageSchema('no.such.Message')).toBeUndefined()
    expect([...enumSchema('envoy.config.core.v3.RoutingPriority')]).toEqual([
      ['DEFAULT', 0],
      ['HIGH', 1],
    ])
  })

  it('leads nowhere that it does not know', () => {
    const missing = messageNames().flatMap((name) =>
      (messageSchema(name)?.fields ?? []).filter(
        ({ type }) =>
          (type.startsWith('message:') && messageSchema(type.slice(8)) === undefined) ||
          (type.startsWith('enum:') && enumSchema(type.slice(5)).size === 0),
      ),
    )
    expect(missing).toEqual([])
  })
})

describe('suggestions', () => {
  const distances: [a: string, b: string, distance: number][] = [
    ['', 'abc', 3],
    ['abc', 'abc', 0],
    ['abc', 'acb', 1],
    ['cluster', 'clusters', 1],
    ['kitten', 'sitting', 3],
  ]
  it.each(distances)('%s and %s', (a, b, distance) => {
    expect(editDistance(a, b, 10)).toBe(distance)
  })

  it('are near, or none', () => {
    const known = ['to', 'timeout', 'rewrite', 'host', 'host_rewrite_literal']
    expect(didYouMean('timout', known)).toBe('did you mean "timeout"?')
    expect(didYouMean('host_rewrite', known)).toBe('did you mean "host_rewrite_literal"?')
    expect(didYouMean('xy', known)).toBeUndefined()
    expect(didYouMean('completely_else', known)).toBeUndefined()
  })
})
