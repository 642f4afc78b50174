/** The static layers of the runtime. */

import type { RuntimeLayer } from '../../runtime/runtime.ts'
import { flattenLayer } from '../../runtime/static_layer.ts'
import type { Origins } from '../check/origins.ts'
import type { Bootstrap } from '../schema/messages.generated.ts'

export function compileLayers(origins: Origins, bootstrap: Bootstrap): RuntimeLayer[] {
  const names = new Set<string>()
  return (bootstrap.layered_runtime?.layers ?? []).map((layer) => {
    const { name = '', static_layer: values = {} } = layer
    if (names.has(name)) {
      origins.add(layer, ['name'], 'duplicate', `two layers are called "${name}"`)
    }
    names.add(name)
    const { flat, refused } = flattenLayer(values)
    for (const { path, reason } of refused) origins.addAtStruct(values, path, reason)
    return { name, values: flat }
  })
}
