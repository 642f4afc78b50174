// Whatever a program passes in, in whatever order: an answer, or an error with a code.

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createProxy, MillraceError, type Proxy as TestedProxy } from '../../dist/index.js'
import { sayingService } from './support/peers.ts'

const junk = fc.oneof(
  fc.anything({ withBigInt: true, withDate: true, withMap: true, withTypedArray: true }),
  fc.constantFrom<unknown>(Symbol('x'), () => 1, new URL('http://127.0.0.1/'), new Error('x')),
)
const endpoint = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 65_535 }) as fc.Arbitrary<unknown> },
  fc.record(
    {
      address: fc.oneof(fc.integer({ min: 1, max: 65_535 }), junk),
      weight: fc.oneof(fc.integer(), junk),
      health: fc.oneof(fc.constantFrom('healthy', 'degraded', 'unhealthy'), junk),
      priority: fc.oneof(fc.nat(3), junk),
    },
    { requiredKeys: [] },
  ),
  junk,
)
/** The keys of the short form, with values that are mostly wrong. */
const configuration = fc.oneof(
  junk,
  fc.record(
    {
      listen: fc.oneof(fc.constant('127.0.0.1:0'), junk),
      routes: fc.oneof(fc.dictionary(fc.constantFrom('/', '/a', '= /b', 'x'), junk), junk),
      upstreams: fc.oneof(fc.dictionary(fc.constantFrom('app', 'b'), junk), junk),
      timeouts: junk,
      access_log: fc.oneof(fc.constant(false), junk),
      admin: fc.oneof(fc.constant(false), junk),
      static_resources: junk,
    },
    { requiredKeys: [] },
  ),
)

type Step = readonly [call: string, run: (proxy: TestedProxy) => unknown]
const step: fc.Arbitrary<Step> = fc.oneof(
  configuration.map((c): Step => ['apply', (proxy) => proxy.apply(c as never)]),
  fc
    .oneof(fc.array(endpoint, { maxLength: 5 }), junk)
    .map((e): Step => ['setEndpoints', (proxy) => proxy.cluster('app').setEndpoints(e as never)]),
  fc
    .oneof(
      fc.record({ set: fc.array(endpoint), remove: fc.array(endpoint) }, { requiredKeys: [] }),
      junk,
    )
    .map(
      (c): Step => ['updateEndpoints', (proxy) => proxy.cluster('app').updateEndpoints(c as never)],
    ),
  junk.map((name): Step => ['cluster', (proxy) => proxy.cluster(name as never)]),
  fc
    .tuple(fc.oneof(fc.string(), junk), fc.oneof(fc.integer(), junk))
    .map(
      ([key, value]): Step => ['set', (proxy) => proxy.runtime.set(key as never, value as never)],
    ),
  junk.map((key): Step => ['get', (proxy) => proxy.runtime.get(key as never)]),
  junk.map((options): Step => ['stats', (proxy) => proxy.stats(options as never)]),
  fc.constant<Step>(['addresses', (proxy) => [proxy.addresses, proxy.clusters, proxy.state]]),
)

it('refuses with a code, and goes on serving', async () => {
  const port = await sayingService('x')
  const good = {
    listen: '127.0.0.1:0',
    routes: { '/': 'app', '/alive': { respond: 'alive' } },
    upstreams: { app: port },
  }
  const proxy = await createProxy(good, { concurrency: 1 })
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        for (const [call, run] of steps) {
          try {
            await run(proxy)
          } catch (error) {
            expect(error, `${call}: ${String(error)}`).toBeInstanceOf(MillraceError)
            expect((error as MillraceError).code).toMatch(/^ERR_MILLRACE_/)
          }
        }
        await proxy.apply(good)
        const answer = await fetch(`http://${proxy.addresses[0]?.text}/alive`)
        expect(await answer.text()).toBe('alive')
      }),
      { numRuns: 150 },
    )
  } finally {
    await proxy.close()
  }
})

it('starts with nothing that is wrong', async () => {
  const options = fc.record(
    {
      concurrency: junk,
      admin: junk,
      log: junk,
      drainTime: junk,
      flushInterval: junk,
      signal: junk,
      other: junk,
    },
    { requiredKeys: [] },
  )
  await fc.assert(
    fc.asyncProperty(configuration, fc.oneof(options, junk), async (c, o) => {
      try {
        const proxy = await createProxy(c as never, o as never)
        await proxy.close()
      } catch (error) {
        expect(error, String(error)).toBeInstanceOf(MillraceError)
      }
    }),
    { numRuns: 200 },
  )
})
