/** What goes into the configuration layer and what comes out of it. */

import type {
  FilterId,
  NativeAddress,
  NativeListener,
  NativeLocalCluster,
  NativeRotation,
  NativeRouteTable,
  RuntimeIndex,
  SlotId,
} from '../native/index.ts'
import type { RuntimeLayer } from '../runtime/runtime.ts'
import type { Steps } from '../slices.ts'
import type { ClusterDefinition } from './definitions.ts'
import type { Bootstrap } from './schema/messages.generated.ts'

/** Where a configuration comes from. */
export type ConfigSource =
  | { readonly kind: 'file'; readonly path: string }
  /** `name` stands in errors where a file's name would. */
  | { readonly kind: 'text'; readonly name: string; readonly text: string }
  /** The same as plain objects; `name` stands in errors where a file's name would. */
  | { readonly kind: 'object'; readonly name: string; readonly value: unknown }
  /** `--to URL [--to URL …] --listen ADDRESS`: the short form without a file. */
  | { readonly kind: 'flags'; readonly to: readonly string[]; readonly listen?: string }

/** A configuration without a fault. */
export interface LoadedConfiguration {
  /** The file's path as it was given, or the name of the text, or `command line`. */
  readonly name: string
  readonly form: 'envoy' | 'short'
  /**
   * Envoy's messages as plain objects: fields as in the `.proto` files, durations in ms, wrappers
   * unwrapped.
   */
  readonly bootstrap: Bootstrap
  /** Static layers, first to last; a later one overrides. */
  readonly runtimeLayers: readonly RuntimeLayer[]
  /** Of the admin interface, where one is asked for. */
  readonly admin?: NativeAddress
  /** What the user wrote, expanded to Envoy's messages, as JSON values (for `/config_dump`). */
  effective(): unknown
  /** The same, in steps. */
  effectiveInSteps(): Steps<unknown>
}

/**
 * Gives the native core's names for things. The same question must have the same answer within a
 * life of the process.
 */
export interface CompileResolver {
  /** The slot of a static cluster. */
  cluster(name: string): SlotId
  /**
   * The slot of a route table; `key` tells the tables of all listeners apart and is stable across
   * reloads.
   */
  routes(key: string): SlotId
  /** The log id of a file's path, or of stdout (1) or stderr (2). */
  log(target: string | 1 | 2, rotation?: NativeRotation): number
  /** The index of a runtime key. */
  runtime(key: string): RuntimeIndex
  /** The number by which routes speak to the HTTP filter of this name. */
  filter(name: string): FilterId
}

export interface CompiledRouteTable {
  readonly key: string
  readonly slot: SlotId
  readonly table: NativeRouteTable
}

export interface CompiledCluster {
  readonly name: string
  readonly slot: SlotId
  readonly cluster: ClusterDefinition
}

export interface CompiledConfiguration {
  readonly listeners: readonly NativeListener[]
  readonly routeTables: readonly CompiledRouteTable[]
  readonly clusters: readonly CompiledCluster[]
  /** Absent: no admin interface was asked for. */
  readonly admin?: { readonly address: NativeAddress }
  readonly node: { readonly id: string; readonly cluster: string }
  /** The cluster of the proxies themselves, for zone-aware routing. */
  readonly localCluster: NativeLocalCluster
  /** ms; counters are copied to sinks this often. */
  readonly statsFlushInterval: number
  /** Upper bounds of histogram buckets for statistics. */
  readonly histogramBounds: readonly number[]
}
