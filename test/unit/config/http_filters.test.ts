// The chain of HTTP filters, and what routes tell them.
import { describe, expect, it } from 'vitest'
import { bootstrap, compiled, said } from './helpers.ts'

const kTypes = 'type.googleapis.com/envoy.extensions.filters.http'
const kUnbuilt = `{"@type": ${kTypes}.wasm.v3.Wasm}`
const kRouter = `{"@type": ${kTypes}.router.v3.Router}`

describe('the chain of HTTP filters', () => {
  it('refuses a filter that is not built, by the name of its message', async () => {
    const found = await said(bootstrap({ filters: `{name: a, typed_config: ${kUnbuilt}},` }))
    expect(found).toHaveLength(1)
    expect(found[0]).toContain('envoy.extensions.filters.http.wasm.v3.Wasm is not supported yet')
  })

  it.each([kUnbuilt, '{"@type": type.googleapis.com/of.another.Proxy, anything: 1}'])(
    'leaves %s out where it is optional',
    async (config) => {
      const filters = `{name: a, is_optional: true, typed_config: ${config}},`
      const { listeners } = await compiled(bootstrap({ filters }))
      expect(listeners[0]?.filterChains[0]?.filter).toMatchObject({ kind: 'http', filters: [] })
    },
  )

  it('refuses it all the same where is_optional is false', async () => {
    const filters = `{name: a, is_optional: false, typed_config: ${kUnbuilt}},`
    expect(await said(bootstrap({ filters }))).toHaveLength(1)
  })

  it('has the router at its end only, under a name of its own, and never disabled', async () => {
    const first = `{name: router, disabled: true, typed_config: ${kRouter}},`
    expect((await said(bootstrap({ filters: first }))).map((line) => line.split(' ')[1])).toEqual([
      'conflict',
      'conflict',
      'duplicate',
    ])
  })
})

describe('what routes tell filters', () => {
  const kConfig = 'type.googleapis.com/envoy.config.route.v3.FilterConfig'
  const withRoute = (name: string, config: string) =>
    bootstrap({
      routes: `{match: {prefix: /}, route: {cluster: web},
        typed_per_filter_config: {${name}: ${config}}}`,
    })

  it('needs a filter of that name', async () => {
    const [problem, more] = await said(withRoute('rooter', `{"@type": ${kConfig}, disabled: true}`))
    expect(problem).toMatch(/bad-reference .*\.rooter: no HTTP filter .* is called "rooter"/)
    expect(problem).toContain('router')
    expect(more).toBeUndefined()
  })

  it('is left out where it is optional', async () => {
    const text = withRoute('gone', `{"@type": ${kConfig}, is_optional: true, config: ${kUnbuilt}}`)
    const { routeTables } = await compiled(text)
    expect(routeTables[0]?.table.virtualHosts[0]?.routes[0]?.filters).toBeUndefined()
  })

  it('is not for the router', async () => {
    const [problem] = await said(withRoute('router', `{"@type": ${kConfig}, disabled: true}`))
    expect(problem).toContain('the router takes nothing from routes')
  })

  it('is refused where the message is not built', async () => {
    const [problem] = await said(withRoute('router', kUnbuilt))
    expect(problem).toContain('envoy.extensions.filters.http.wasm.v3.Wasm is not supported yet')
  })
})
