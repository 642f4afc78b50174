// A core that holds what it was given: which publishes happened is what these tests are about, and
// no worker needs to run for that.

import type {
  NativeAddress,
  NativeCluster,
  NativeCore,
  NativeHost,
  NativeHostDelta,
  NativeListener,
  NativeLocalCluster,
  NativeOutlierCount,
  NativeOutlierEvent,
  NativeWantedHost,
} from '../../../src/native/index.ts'

type Call = string

export class RecordingCore {
  readonly calls: Call[] = []
  readonly listeners = new Map<string, NativeListener>()
  readonly clusters = new Map<number, NativeCluster>()
  /** What workers have of each cluster, by slot and id. */
  readonly hosts = new Map<number, Map<number, NativeHost>>()
  /** Interfaces that addresses must not name. */
  readonly zonesGone = new Set<string>()
  readonly deltas: NativeHostDelta[] = []
  local: NativeLocalCluster = { slot: 0 }
  readonly outlierEvents: NativeOutlierEvent[] = []
  readonly outlierCounts: NativeOutlierCount[] = []
  readonly wanted: NativeWantedHost[] = []
  usedHosts: number[] = []
  /** Listener names that cannot be bound. */
  readonly taken = new Set<string>()
  #slots = 0
  #logs = 0

  /** What was called since the last time, names only as far as they tell something. */
  take(): Call[] {
    return this.calls.splice(0)
  }

  hold(): void {}
  resume(): void {}
  allocateSlot(name: string): number {
    this.calls.push(`allocate ${name}`)
    return ++this.#slots
  }
  releaseSlot(slot: number): void {
    this.calls.push(`release ${slot}`)
  }
  publishRoutes(slot: number, table: { name: string }): void {
    this.calls.push(`routes ${slot} ${table.name}`)
  }
  publishCluster(slot: number, cluster: NativeCluster): void {
    this.#mustTake(cluster.hosts)
    this.hosts.set(slot, new Map(cluster.hosts.map((host) => [host.id, host])))
    this.clusters.set(slot, cluster)
    this.calls.push(`cluster ${slot} ${cluster.name}`)
  }
  updateHosts(slot: number, { set, remove }: NativeHostDelta): void {
    this.#mustTake(set)
    const hosts = this.hosts.get(slot) ?? new Map()
    for (const id of remove) hosts.delete(id)
    for (const host of set) hosts.set(host.id, host)
    this.calls.push(`hosts ${slot} +${set.map(({ id }) => id)} -${remove}`)
    this.deltas.push({ set, remove })
  }
  addressProblem(address: NativeAddress): string | undefined {
    const zone = 'ip' in address ? /%(.*)/.exec(address.ip)?.[1] : undefined
    return zone && this.zonesGone.has(zone) ? `no interface ${zone}` : undefined
  }
  #mustTake(hosts: readonly NativeHost[]): void {
    for (const { address } of hosts) {
      const problem = this.addressProblem(address)
      if (problem !== undefined) throw new Error(problem)
    }
  }
  takeOutlierEvents(): readonly NativeOutlierEvent[] {
    return this.outlierEvents.splice(0)
  }
  takeWantedHosts(): readonly NativeWantedHost[] {
    return this.wanted.splice(0)
  }
  refuseHosts(slot: number, keys: readonly string[], why: string): void {
    this.calls.push(`refuse ${slot} ${keys} ${why}`)
  }
  takeUsedHosts(): readonly number[] {
    return this.usedHosts.splice(0)
  }
  waiting(): { now: number; overflows: number } {
    return { now: 0, overflows: 0 }
  }
  outlierWindow(): readonly NativeOutlierCount[] {
    return this.outlierCounts.splice(0)
  }
  resetOutliers(slot: number, hosts: readonly number[]): void {
    this.calls.push(`reset ${slot} ${hosts}`)
  }
  reweigh(slot: number): void {
    this.calls.push(`reweigh ${slot}`)
  }
  setLocalCluster(local: NativeLocalCluster): void {
    this.local = local
  }
  withdrawCluster(slot: number): void {
    this.calls.push(`withdraw ${slot}`)
  }
  publishDirectory(names: readonly (string | number)[]): void {
    this.calls.push(`directory ${names.join(' ')}`)
  }
  publishRuntime(values: readonly unknown[]): void {
    this.calls.push(`runtime ${values.length}`)
  }
  openLog({ target }: { target: string | 1 | 2 }): number {
    if (target === '/no') throw new Error('/no: ENOENT')
    this.calls.push(`open ${target}`)
    return ++this.#logs
  }
  closeLog(log: number): void {
    this.calls.push(`close ${log}`)
  }
  reopenLogs(): never[] {
    return []
  }
  logStats(): never[] {
    return []
  }
  clusterHosts(): never[] {
    return []
  }
  addListener(listener: NativeListener): string[] {
    if (this.taken.has(listener.name)) throw new Error(`${listener.name}: EADDRINUSE`)
    this.listeners.set(listener.name, listener)
    this.calls.push(`add ${listener.name}`)
    return ['127.0.0.1:1']
  }
  bindSockets(listener: NativeListener): string[] {
    if (this.taken.has(listener.name)) throw new Error(`${listener.name}: EADDRINUSE`)
    this.calls.push(`bind ${listener.name}`)
    return ['127.0.0.1:2']
  }
  useSockets(name: string): void {
    this.calls.push(`use ${name}`)
  }
  dropSockets(name: string): void {
    this.calls.push(`drop ${name}`)
  }
  updateListener(listener: NativeListener): void {
    this.listeners.set(listener.name, listener)
    this.calls.push(`update ${listener.name}`)
  }
  drainListener(name: string): void {
    this.calls.push(`drain ${name}`)
  }
  removeListener(name: string, spreadMs: number, graceMs: number): void {
    this.listeners.delete(name)
    this.calls.push(`remove ${name} ${spreadMs} ${graceMs}`)
  }

  /** As the whole surface, of which these tests touch what is above. */
  asCore(): NativeCore {
    return this as unknown as NativeCore
  }
}
