/**
 * What a route table tells HTTP filters (`typed_per_filter_config`): at the table itself, a virtual
 * host, a route and a weighted cluster. The most specific holds.
 */

import type { NativeFilterOverride, NativeFilterRouteConfig } from '../../native/index.ts'
import type { AnyMessage } from '../schema/messages.generated.ts'
import { didYouMean } from '../suggest.ts'
import { type Context, unpack } from './context.ts'
import type { FilterCompiler } from './filters/filter_compiler.ts'
import type { NamedFilter } from './http_filters.ts'

const kFilterConfig = 'envoy.config.route.v3.FilterConfig'

/** A message with such a field. */
interface Level {
  readonly typed_per_filter_config?: Readonly<Record<string, AnyMessage>>
}

type Overrides = readonly NativeFilterOverride[]
type Said = Pick<NativeFilterOverride, 'disabled' | 'config'>

/** What is told at one level, with what the levels around it tell. */
export class RouteFilters {
  readonly #context: Context
  readonly #filters: ReadonlyMap<string, NamedFilter>
  readonly #configs: NativeFilterRouteConfig[]
  readonly overrides: Overrides

  /** Of nothing yet: what a connection manager with these filters has before its route table. */
  constructor(
    context: Context,
    filters: ReadonlyMap<string, NamedFilter>,
    configs: NativeFilterRouteConfig[] = [],
    overrides: Overrides = [],
  ) {
    this.#context = context
    this.#filters = filters
    this.#configs = configs
    this.overrides = overrides
  }

  /** What the overrides of all levels count. */
  get configs(): readonly NativeFilterRouteConfig[] {
    return this.#configs
  }

  /** The level of a message within this one. */
  within(level: Level): RouteFilters {
    const written = level.typed_per_filter_config
    if (written === undefined) return this
    const merged = new Map(this.overrides.map((override) => [override.filter, override]))
    for (const [name, message] of Object.entries(written)) {
      const filter = this.#find(name, message)
      if (filter?.compiler === undefined || filter.compiler === 'router') continue
      const said = this.#said(filter.compiler, message)
      if (said === undefined) continue
      // What enables the filter and tells it nothing leaves what is told around it.
      const config = said.config ?? merged.get(filter.id)?.config
      merged.set(filter.id, {
        filter: filter.id,
        ...(said.disabled && { disabled: true }),
        ...(config !== undefined && { config }),
      })
    }
    return new RouteFilters(this.#context, this.#filters, this.#configs, [...merged.values()])
  }

  #find(name: string, message: AnyMessage): NamedFilter | undefined {
    const { origins } = this.#context
    const filter = this.#filters.get(name)
    if (filter?.compiler === 'router') {
      origins.add(message, undefined, 'conflict', 'the router takes nothing from routes')
    } else if (filter === undefined && !unpack(message, kFilterConfig)?.is_optional) {
      const hint = didYouMean(name, this.#filters.keys())
      const text = `no HTTP filter of this connection manager is called "${name}"`
      origins.add(message, undefined, 'bad-reference', text, hint)
    }
    return filter
  }

  /** Undefined: it says nothing, or something is wrong with it, which was said. */
  #said(compiler: FilterCompiler, message: AnyMessage): Said | undefined {
    const wrapped = unpack(message, kFilterConfig)
    if (wrapped === undefined) return this.#config(compiler, message, false)
    if (wrapped.disabled) return { disabled: true }
    const { config } = wrapped
    if (config === undefined) {
      const optional = wrapped.is_optional === true
      if (!(optional && this.#context.origins.wasRefused(message, 'config'))) {
        const hint = 'config: {} enables the filter and tells it nothing'
        this.#context.origins.addMissing(message, 'needs config, or disabled: true', hint)
      }
      return undefined
    }
    if (config['@type'] === '') return {}
    return this.#config(compiler, config, wrapped.is_optional === true)
  }

  #config({ perRoute }: FilterCompiler, config: AnyMessage, optional: boolean): Said | undefined {
    if (perRoute?.type !== config['@type']) {
      const takes = perRoute === undefined ? 'no configuration' : perRoute.type
      const text = `the filter of this name takes ${takes} from routes`
      if (!optional) this.#context.origins.add(config, undefined, 'conflict', text)
      return undefined
    }
    const compiled = perRoute.compile(this.#context, config)
    return compiled && { config: this.#configs.push(compiled) - 1 }
  }
}
