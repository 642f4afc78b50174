// Runtime layers: flattening, precedence, indexes that stay, and the dump.
import { describe, expect, it } from 'vitest'
import { Runtime } from '../../../src/runtime/runtime.ts'
import { flattenLayer } from '../../../src/runtime/static_layer.ts'
import { load, said } from '../config/helpers.ts'

const layers = (text: string): string =>
  `{static_resources: {}, layered_runtime: {layers: [${text}]}}`

async function runtime(text: string): Promise<Runtime> {
  return new Runtime((await load(layers(text))).runtimeLayers)
}

describe('static layers', () => {
  it('are flattened, and a later one overrides', async () => {
    const flags = await runtime(
      '{name: a, static_layer: {x: {y: 1, z: true}, w: "5"}}, {name: b, static_layer: {x.y: 2}}',
    )
    expect(['x.y', 'x.z', 'w', 'none'].map((key) => flags.get(key))).toEqual([
      2,
      true,
      5,
      undefined,
    ])
    expect(flags.dump()).toEqual({
      layers: ['a', 'b'],
      entries: {
        w: { final_value: '5', layer_values: ['5', ''] },
        'x.y': { final_value: '2', layer_values: ['1', '2'] },
        'x.z': { final_value: 'true', layer_values: ['true', ''] },
      },
    })
  })

  it('hold fractions', async () => {
    const flags = await runtime(
      '{name: a, static_layer: {f: {numerator: 5, denominator: MILLION}, g: {numerator: 1}}}',
    )
    expect([flags.index('f'), flags.index('g')]).toEqual([0, 1])
    expect(flags.values()).toEqual([
      { value: 5, denominator: 1_000_000 },
      { value: 1, denominator: 100 },
    ])
    expect(flags.dump().entries.f?.final_value).toBe('{"numerator":5,"denominator":"MILLION"}')
  })

  const refused: [layer: string, expected: RegExp][] = [
    [
      '{name: a, static_layer: {x: [1]}}',
      /1:\d+ bad-value layered_runtime\.layers\[0\]\.static_layer\.x: a runtime value is/,
    ],
    [
      '{name: a, static_layer: {x: {y: null}}}',
      /bad-value .*static_layer\.x\.y: a runtime value is/,
    ],
    [
      '{name: a, static_layer: {x: {numerator: -1}}}',
      /bad-value .*static_layer\.x: is not a fraction/,
    ],
    [
      '{name: a, static_layer: {x: {numerator: 1, denominator: TEN}}}',
      /bad-value .*is not a fraction/,
    ],
    [
      '{name: a, static_layer: {}}, {name: a, static_layer: {}}',
      /duplicate .*layers\[1\]\.name: two layers are called "a"/,
    ],
    [
      '{name: a, admin_layer: {}}',
      /not-supported .*admin_layer: not supported yet: only static layers/,
    ],
    ['{name: a, disk_layer: {symlink_root: /x}}', /not-supported .*disk_layer/],
    ['{name: a, rtds_layer: {name: x}}', /not-supported .*rtds_layer/],
    ['{name: a}', /missing .*needs one of static_layer/],
    ['{static_layer: {}}', /missing .*needs name/],
  ]
  it.each(refused)('refuse %s', async (layer, expected) => {
    const found = await said(layers(layer))
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(expected)
  })
})

describe('indexes', () => {
  it('stay when layers are replaced', () => {
    const flags = new Runtime()
    expect([flags.index('a'), flags.index('b'), flags.index('a')]).toEqual([0, 1, 0])
    expect(flags.values()).toEqual([null, null])
    flags.setLayers([{ name: 'x', values: flattenLayer({ b: 7, a: 'text' }).flat }])
    expect(flags.values()).toEqual([null, { value: 7, denominator: 0 }])
    flags.setLayers([{ name: 'x', values: flattenLayer({ a: false }).flat }])
    expect(flags.values()).toEqual([{ value: 0, denominator: 0 }, null])
  })
})
