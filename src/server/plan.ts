// What another configuration means for the listeners and route tables that are there: which of them
// are left alone, which change, and which are to listen elsewhere.

import { isDeepStrictEqual } from 'node:util'
import type { CompiledConfiguration, LoadedConfiguration } from '../config/index.ts'
import type { NativeListener, NativeRouteTable } from '../native/index.ts'
import type { Uses } from './resources.ts'

export interface ListenerState {
  readonly name: string
  /**
   * The core's name for it: another one than `name` while a predecessor of that name still drains.
   */
  readonly coreName: string
  readonly listener: NativeListener
  /** Where it listens, with the ports that the system chose. */
  readonly addresses: readonly string[]
  readonly updatedAt: number
}

export interface RouteTableState {
  readonly key: string
  readonly table: NativeRouteTable
  readonly updatedAt: number
}

export interface Plan {
  readonly loaded: LoadedConfiguration
  /** Runtime keys whose values are part of what was compiled. */
  readonly keys: ReadonlySet<string>
  readonly compiled: CompiledConfiguration
  readonly uses: Uses
  /** Listeners that are not there yet. */
  readonly bind: NativeListener[]
  /** Of those that are updated: they listen elsewhere, or otherwise, from then on. */
  readonly rebind: NativeListener[]
  readonly update: NativeListener[]
  readonly keep: NativeListener[]
  /** What the listeners that are there already are now, perhaps under another name. */
  readonly before: ReadonlyMap<string, ListenerState>
}

/** `inForce`: the listeners of the configuration before. */
export function planOf(
  compiled: CompiledConfiguration,
  uses: Uses,
  inForce: ReadonlyMap<string, ListenerState>,
): Omit<Plan, 'loaded' | 'keys'> {
  const before = predecessors(inForce, compiled.listeners)
  const lists = { bind: [], rebind: [], update: [], keep: [] }
  const plan: Omit<Plan, 'loaded' | 'keys'> = { compiled, uses, before, ...lists }
  for (const listener of compiled.listeners) {
    const had = before.get(listener.name)?.listener
    if (!had) plan.bind.push(listener)
    else if (isDeepStrictEqual(had, listener)) plan.keep.push(listener)
    else plan.update.push(listener)
    if (had && !sameSockets(had, listener)) plan.rebind.push(listener)
  }
  return plan
}

/**
 * Who each listener is now: the one of its name, or one that goes and listens where this one
 * will. That one only has another name, and its connections need not notice.
 */
function predecessors(
  inForce: ReadonlyMap<string, ListenerState>,
  listeners: readonly NativeListener[],
): Map<string, ListenerState> {
  const found = new Map<string, ListenerState>()
  const names = new Set(listeners.map(({ name }) => name))
  const leaving = new Set([...inForce.values()].filter(({ name }) => !names.has(name)))
  for (const listener of listeners) {
    const own = inForce.get(listener.name)
    const state = own ?? [...leaving].find((other) => sharesAddress(other.listener, listener))
    if (!state) continue
    leaving.delete(state)
    found.set(listener.name, state)
  }
  return found
}

const sharesAddress = (a: NativeListener, b: NativeListener): boolean =>
  a.addresses.some((had) => b.addresses.some((wanted) => isDeepStrictEqual(had, wanted)))

/** Whether a listener's sockets can stay as they are: only what is behind them changed. */
function sameSockets(a: NativeListener, b: NativeListener): boolean {
  const sockets = (l: NativeListener): unknown => [
    l.addresses,
    l.reusePort,
    l.backlog,
    l.ipv4Compat,
    l.freebind,
    l.transparent,
  ]
  return isDeepStrictEqual(sockets(a), sockets(b))
}
