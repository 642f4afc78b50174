/** The chain of HTTP filters of a connection manager: their order, their names, and the router. */

import type { FilterId, NativeHttpFilter } from '../../native/index.ts'
import type { HttpConnectionManager, HttpFilter, Router } from '../schema/messages.generated.ts'
import { type Context, unpack } from './context.ts'
import type { FilterCompiler } from './filters/filter_compiler.ts'
import { filterCompilers } from './filters/filters.ts'

export const kRouter = 'envoy.extensions.filters.http.router.v3.Router'

/** A filter as routes see it. */
export interface NamedFilter {
  readonly id: FilterId
  /** Undefined: it was left out, or something is wrong with it, which was said. */
  readonly compiler: FilterCompiler | 'router' | undefined
}

export interface FilterChain {
  /** Those before the router. */
  readonly filters: readonly NativeHttpFilter[]
  readonly router: Router | undefined
  readonly byName: ReadonlyMap<string, NamedFilter>
}

export function compileHttpFilters(context: Context, manager: HttpConnectionManager): FilterChain {
  const { origins, resolver } = context
  const written = manager.http_filters ?? []
  const hint = `"@type": type.googleapis.com/${kRouter}`
  if (written.length === 0) {
    origins.addMissing(manager, 'needs http_filters, of which the last is the router', hint)
  }
  const byName = new Map<string, NamedFilter>()
  const filters: NativeHttpFilter[] = []
  written.forEach((filter, i) => {
    const name = filter.name ?? ''
    if (byName.has(name)) {
      origins.add(filter, ['name'], 'duplicate', `two HTTP filters are called "${name}"`)
    }
    const type = filter.typed_config?.['@type'] ?? ''
    const compiler = filterCompilers.get(type)
    const id = resolver.filter(name)
    byName.set(name, { id, compiler: type === kRouter ? 'router' : compiler })
    checkPlace(context, filter, i === written.length - 1)
    const config = filter.typed_config && compiler?.compile(context, filter.typed_config)
    if (config === undefined) return
    const disabled = filter.disabled === true
    filters.push({ id, name, config, ...(disabled && { disabled }) })
  })
  return { filters, router: unpack(written.at(-1)?.typed_config, kRouter), byName }
}

/** The router, and nothing else, is the last. */
function checkPlace({ origins }: Context, filter: HttpFilter, last: boolean): void {
  const type = filter.typed_config?.['@type']
  const hint = `"@type": type.googleapis.com/${kRouter}`
  // An optional filter that is not built is as good as not written.
  const leftOut = filter.is_optional === true && origins.wasRefused(filter, 'typed_config')
  if (type === undefined && !leftOut) {
    origins.addMissing(filter, 'needs typed_config', hint)
  } else if (type === kRouter && !last) {
    const text = 'the router ends the chain, so no filter can follow it'
    origins.add(filter, undefined, 'conflict', text)
  } else if (type !== kRouter && last && !origins.isTouched(filter)) {
    const text = 'the last filter is the router, which forwards requests'
    origins.add(filter, undefined, 'conflict', text, hint)
  }
  if (type === kRouter && filter.disabled) {
    origins.add(filter, ['disabled'], 'conflict', 'the router cannot be disabled')
  }
}
