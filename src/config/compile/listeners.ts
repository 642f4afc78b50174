/** Listeners: where they listen, their filter chains, and the one filter that ends each chain. */

import type { NativeAddress, NativeFilterChain, NativeListener } from '../../native/index.ts'
import type {
  Filter,
  FilterChain,
  HttpConnectionManager,
  Listener,
} from '../schema/messages.generated.ts'
import type { CompiledRouteTable } from '../types.ts'
import { addressText, compileAddress } from './address.ts'
import { refuseProxyProtocol } from './connections.ts'
import { type Context, unpack } from './context.ts'
import { compileHttpManager } from './http.ts'
import { compileHttpFilters } from './http_filters.ts'
import { RouteFilters } from './route_filters.ts'
import { compileRouteTable } from './routes.ts'
import { compileTcpProxy } from './tcp.ts'

const kManager = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'
const kOriginalDst = 'envoy.extensions.filters.listener.original_dst.v3.OriginalDst'
const kTcpProxy = 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy'

export function compileListeners(
  context: Context,
  listeners: readonly Listener[],
): { listeners: NativeListener[]; routeTables: CompiledRouteTable[] } {
  const routeTables: CompiledRouteTable[] = []
  const names = new ListenerNames(listeners)
  const compiled = listeners.flatMap(
    (listener) => compileListener(context, listener, routeTables, names) ?? [],
  )
  checkUnique(context, listeners)
  return { listeners: compiled, routeTables }
}

/** A name for each listener; those without one get their address as a name of their own. */
class ListenerNames {
  readonly #taken: Set<string>

  constructor(listeners: readonly Listener[]) {
    this.#taken = new Set(listeners.map(({ name = '' }) => name))
  }

  of(written: string, address: string): string {
    if (written !== '') return written
    let name = address
    for (let n = 2; this.#taken.has(name); n++) name = `${address} (${n})`
    this.#taken.add(name)
    return name
  }
}

function compileListener(
  context: Context,
  listener: Listener,
  tables: CompiledRouteTable[],
  names: ListenerNames,
): NativeListener | undefined {
  const addresses = compileAddresses(context, listener)
  const [first] = addresses
  if (first === undefined) return undefined
  const name = names.of(listener.name ?? '', addressText(first))
  const chains = new Chains(context, name, tables)
  const filterChains = (listener.filter_chains ?? []).flatMap(
    (chain, i) => chains.compile(chain, i) ?? [],
  )
  const last = listener.default_filter_chain
  const defaultFilterChain = last && chains.compile(last, 'default')
  if (last === undefined && (listener.filter_chains ?? []).length === 0) {
    context.origins.addMissing(
      listener,
      'needs filter_chains: without one, no connection could be served',
    )
  }
  // A matcher of its own tells the chains apart.
  if (!context.origins.wasRefused(listener, 'filter_chain_matcher')) {
    checkMatches(context, listener.filter_chains ?? [])
  }
  return {
    name,
    addresses,
    statPrefix: listener.stat_prefix || addressText(first).replace(/:(\d+)$/, '_$1'),
    reusePort: listener.enable_reuse_port ?? listener.reuse_port ?? true,
    backlog: listener.tcp_backlog_size ?? 0,
    ipv4Compat: listener.address?.socket_address?.ipv4_compat ?? false,
    freebind: listener.freebind ?? false,
    transparent: listener.transparent ?? false,
    originalDst: compileListenerFilters(context, listener),
    bufferLimit: listener.per_connection_buffer_limit_bytes ?? 1_048_576,
    connectionLimitFlag: listener.name
      ? context.resolver.runtime(`envoy.resource_limits.listener.${name}.connection_limit`)
      : -1,
    filterChains,
    ...(defaultFilterChain && { defaultFilterChain }),
    drainType: listener.drain_type === 'MODIFY_ONLY' ? 'modify-only' : 'default',
  }
}

/** Whether connections are taken as having reached what their clients meant. */
function compileListenerFilters(context: Context, listener: Listener): boolean {
  return (listener.listener_filters ?? []).some((filter) => {
    if (filter.typed_config === undefined) {
      context.origins.addMissing(filter, 'needs typed_config')
    }
    return unpack(filter.typed_config, kOriginalDst) !== undefined
  })
}

function compileAddresses(context: Context, listener: Listener): NativeAddress[] {
  const first = compileAddress(context, listener.address, listener, 'a listener')
  const others = (listener.additional_addresses ?? []).map((additional) =>
    compileAddress(context, additional.address, additional, 'an additional address'),
  )
  return [first, ...others].filter((address) => address !== undefined)
}

/** Two sockets of one address would share its connections at random. */
function checkUnique(context: Context, listeners: readonly Listener[]): void {
  const names = new Set<string>()
  const taken = new Map<string, string>()
  listeners.forEach((listener, i) => {
    const name = listener.name ?? ''
    if (name !== '' && names.has(name)) {
      context.origins.add(listener, ['name'], 'duplicate', `two listeners are called "${name}"`)
    }
    names.add(name)
    const all = [
      listener.address,
      ...(listener.additional_addresses ?? []).map((more) => more.address),
    ]
    for (const address of all) {
      const { address: ip, port_value: port = 0, protocol = 'TCP' } = address?.socket_address ?? {}
      // Port 0 is a new one each time.
      const text = address?.pipe?.path ?? (port === 0 ? undefined : `${ip}:${port}`)
      if (address === undefined || text === undefined) continue
      // What was refused is not what was written: UDP, which has ports of its own, is left as TCP.
      if (context.origins.isTouched(address)) continue
      const key = `${protocol} ${text}`
      const other = taken.get(key)
      if (other !== undefined) {
        context.origins.add(
          address,
          undefined,
          'duplicate',
          `${text} is an address of ${other} already`,
        )
      }
      taken.set(key, name === '' ? `listener ${i}` : `the listener "${name}"`)
    }
  })
}

function checkMatches(context: Context, chains: readonly FilterChain[]): void {
  const ports = new Set<number>()
  for (const chain of chains) {
    const match = chain.filter_chain_match
    // A match by something that is not built was refused, and tells the chains apart.
    if (match !== undefined && context.origins.isTouched(match)) continue
    const port = match?.destination_port ?? 0
    if (ports.has(port)) {
      const which = port === 0 ? 'that takes any connection' : `of destination port ${port}`
      context.origins.add(chain, undefined, 'duplicate', `this is the second filter chain ${which}`)
    }
    ports.add(port)
  }
}

type ChainKey = readonly [place: number | 'default'] | readonly [name: string, nth: number]

class Chains {
  readonly #context: Context
  readonly #listener: string
  readonly #tables: CompiledRouteTable[]
  /** How many chains of a name there were so far: names of chains need not differ. */
  readonly #named = new Map<string, number>()

  constructor(context: Context, listener: string, tables: CompiledRouteTable[]) {
    this.#context = context
    this.#listener = listener
    this.#tables = tables
  }

  /** `place` tells the chain apart where it has no name. */
  compile(chain: FilterChain, place: number | 'default'): NativeFilterChain | undefined {
    const { origins } = this.#context
    refuseProxyProtocol(this.#context, chain, chain.transport_socket)
    const filters = chain.filters ?? []
    const [first, second] = filters
    if (first === undefined) {
      const hint = 'an HTTP connection manager, or a TCP proxy'
      origins.addMissing(chain, 'needs a filter that serves the connection', hint)
      return undefined
    }
    if (second !== undefined && !filters.some((filter) => origins.isTouched(filter))) {
      const text = 'a chain has one filter that serves the connection, and it comes last'
      origins.add(second, undefined, 'conflict', text)
    }
    const key = this.#keyOf(chain.name ?? '', place)
    const compiled = filters.map((filter) => this.#filter(filter, key))
    if (compiled[0] === undefined) return undefined
    const destinationPort = chain.filter_chain_match?.destination_port ?? 0
    return { name: chain.name ?? '', destinationPort, filter: compiled[0] }
  }

  /** A chain that has a name keeps it when others come and go before it. */
  #keyOf(name: string, place: number | 'default'): ChainKey {
    if (name === '') return [place]
    const nth = this.#named.get(name) ?? 0
    this.#named.set(name, nth + 1)
    return [name, nth]
  }

  #filter(filter: Filter, chain: ChainKey): NativeFilterChain['filter'] | undefined {
    const manager = unpack(filter.typed_config, kManager)
    if (manager !== undefined) return this.#manager(manager, chain)
    const proxy = unpack(filter.typed_config, kTcpProxy)
    if (proxy !== undefined) return compileTcpProxy(this.#context, proxy)
    if (filter.typed_config === undefined) {
      this.#context.origins.addMissing(filter, 'needs typed_config')
    }
    return undefined
  }

  #manager(manager: HttpConnectionManager, chainKey: ChainKey): NativeFilterChain['filter'] {
    const table = manager.route_config ?? {}
    // Names are the user's, and may have any separator in them.
    const key = JSON.stringify([this.#listener, chainKey, table.name ?? ''])
    const slot = this.#context.resolver.routes(key)
    const chain = compileHttpFilters(this.#context, manager)
    const filters = new RouteFilters(this.#context, chain.byName)
    this.#tables.push({ key, slot, table: compileRouteTable(this.#context, table, filters) })
    return compileHttpManager(this.#context, manager, slot, chain)
  }
}
