/**
 * Checked messages to what the native core takes: defaults filled in, names resolved, expressions
 * compiled.
 */

import { isDeepStrictEqual } from 'node:util'
import type { NativeLocalCluster } from '../../native/index.ts'
import type { RuntimeValue } from '../../runtime/runtime.ts'
import type { Steps } from '../../slices.ts'
import type { Origins } from '../check/origins.ts'
import type { Bootstrap } from '../schema/messages.generated.ts'
import type { CompiledConfiguration, CompileResolver, LoadedConfiguration } from '../types.ts'
import { compileAddress } from './address.ts'
import { compileCluster } from './clusters.ts'
import {
  type Context,
  checkCluster,
  type RegexCache,
  type RuntimeView,
  type SourceCache,
} from './context.ts'
import { checkRings } from './discovery.ts'
import { localityName } from './endpoints.ts'
import { compileListeners } from './listeners.ts'
import { isOnDemand } from './on_demand.ts'

/** Upper bounds of Envoy's histogram buckets (SEMANTICS of histogram_impl.cc). */
const kHistogramBounds: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000,
  1_800_000, 3_600_000,
]

/** What the compiler keeps of a loaded configuration beside what the rest of the program sees. */
export interface Internals {
  readonly origins: Origins
  readonly regexes: RegexCache
  readonly sources: SourceCache
  readonly runtime: RuntimeView
}

const internals = new WeakMap<LoadedConfiguration, Internals>()

export function rememberInternals(loaded: LoadedConfiguration, kept: Internals): void {
  internals.set(loaded, kept)
}

/** Whether both say the same, what they read from files and the environment included. */
export function sameConfiguration(a: LoadedConfiguration, b: LoadedConfiguration): boolean {
  const said = (one: LoadedConfiguration): unknown => [one.bootstrap, internals.get(one)?.sources]
  return isDeepStrictEqual(said(a), said(b))
}

/**
 * Compiles a configuration that `loadConfiguration` gave. Whatever could be wrong with it was said
 * there; what this throws is what `resolver` throws. `override` says what runtime keys are set
 * above the layers of the configuration.
 */
export function compile(
  loaded: LoadedConfiguration,
  resolver: CompileResolver,
  override: (key: string) => RuntimeValue | undefined = () => undefined,
): Steps<CompiledConfiguration> {
  const kept = internals.get(loaded)
  if (kept === undefined) throw new TypeError('not a configuration of loadConfiguration')
  const runtime = { get: (key: string) => override(key) ?? kept.runtime.get(key) }
  return compileBootstrap(loaded.bootstrap, resolver, { ...kept, runtime })
}

export function* compileBootstrap(
  bootstrap: Bootstrap,
  resolver: CompileResolver,
  { origins, regexes, sources, runtime }: Internals,
): Steps<CompiledConfiguration> {
  const { listeners = [], clusters = [] } = bootstrap.static_resources ?? {}
  const names = new Set<string>()
  for (const cluster of clusters) {
    const name = cluster.name ?? ''
    if (names.has(name))
      origins.add(cluster, ['name'], 'duplicate', `two clusters are called "${name}"`)
    names.add(name)
  }
  const context: Context = {
    origins,
    resolver,
    clusters: names,
    dnsCaches: new Map(),
    rotations: new Map(),
    onDemand: new Set(clusters.flatMap((one) => (isOnDemand(one) ? [one.name ?? ''] : []))),
    regexes,
    sources,
    runtime,
    dns: bootstrap,
    outlierEventLog: bootstrap.cluster_manager?.outlier_detection?.event_log_path ?? '',
  }
  checkRings(context, clusters)
  const compiledClusters: CompiledConfiguration['clusters'][number][] = []
  for (const message of clusters) {
    const cluster = compileCluster(context, message)
    compiledClusters.push({ name: cluster.name, slot: resolver.cluster(cluster.name), cluster })
    yield
  }
  const admin = bootstrap.admin
  const address =
    admin?.address && compileAddress(context, admin.address, admin, 'the admin interface')
  return {
    ...compileListeners(context, listeners),
    clusters: compiledClusters,
    ...(address && { admin: { address } }),
    node: { id: bootstrap.node?.id ?? '', cluster: bootstrap.node?.cluster ?? '' },
    localCluster: compileLocalCluster(context, bootstrap),
    statsFlushInterval: bootstrap.stats_flush_interval ?? 5000,
    histogramBounds: kHistogramBounds,
  }
}

/** `local_cluster_name`, and where this proxy is. */
function compileLocalCluster(context: Context, bootstrap: Bootstrap): NativeLocalCluster {
  const manager = bootstrap.cluster_manager
  const name = manager?.local_cluster_name ?? ''
  if (manager && name !== '') checkCluster(context, manager, 'local_cluster_name', name)
  const own = bootstrap.node?.locality
  return {
    slot: context.clusters.has(name) ? context.resolver.cluster(name) : 0,
    ...(own && { node: { ...localityName(own), weight: 0, priority: 0 } }),
  }
}
