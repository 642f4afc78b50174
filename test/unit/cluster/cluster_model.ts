// What a cluster's hosts are after any history, as plain as it can be said: what the last
// definition and the last answers say, and what checks and ejections found out about hosts that
// stayed.

import type { DnsSays } from './controlled_dns.ts'

/** The last number of an address 127.0.1.x. */
export type Place = number

/** A name that is asked for; one that begins with `_` is a service. */
export interface Target {
  readonly name: string
  readonly weight: number
  readonly priority: number
}

export interface Definition {
  readonly kind: 'static' | 'strict' | 'logical' | 'eds'
  /** Of `static`. */
  readonly places: readonly Place[]
  /** Of `strict`, each name once; the first one is that of `logical`. */
  readonly targets: readonly Target[]
  /** Of `eds`. */
  readonly file: number
  readonly checked: boolean
  readonly ejects: boolean
  readonly ignoreHealth: boolean
  /** Something else. */
  readonly connectTimeout: number
}

export interface Host {
  readonly place: Place
  readonly weight: number
  readonly priority: number
  /** Of a logical host. */
  readonly more?: readonly Place[]
}

/** An EDS file; null: what is in it is refused. */
export type FileSays = readonly Place[] | null

const plain = (place: Place): Host => ({ place, weight: 1, priority: 0 })
const placeOf = (address: string): Place => Number(address.split('.')[3])

/** Where services are: `h3.test` is at 127.0.1.3. */
export const serviceHost = (place: Place): string => `h${place}.test`

export class ClusterModel {
  definition: Definition | undefined
  retired = false
  override: Host[] | undefined
  /** What each name, and the file, was last answered under the definitions that had it. */
  readonly #seen = new Map<string, Host[]>()
  #fileSeen: readonly Place[] | undefined
  /** Names whose first attempt is over. */
  readonly #tried = new Set<string>()
  #standIns: Host[] = []
  #shown: Host[] = []
  /** Given up by discovery, and passing their checks. */
  #pending: Host[] = []
  readonly #failed = new Set<Place>()
  readonly #ejected = new Set<Place>()

  readonly dns = new Map<string, DnsSays>()
  /** Names that are not answered for now. */
  readonly held = new Set<string>()
  readonly files: FileSays[] = []
  readonly listening: Set<Place>

  constructor(listening: readonly Place[]) {
    this.listening = new Set(listening)
  }

  /** Whether what a name says reaches the cluster. */
  asks(name: string): boolean {
    const { definition } = this
    if (!definition || this.held.has(name)) return false
    return targetsOf(definition).some((target) => target.name === name)
  }

  readsFile(file: number): boolean {
    return this.definition?.kind === 'eds' && this.definition.file === file
  }

  define(next: Definition): void {
    const before = this.definition
    const retired = this.retired
    this.definition = next
    this.retired = false
    if (!next.checked) this.#failed.clear()
    if (!next.ejects) this.#ejected.clear()
    if (!next.checked || next.ignoreHealth) this.#pending = []
    if (
      before &&
      !retired &&
      JSON.stringify(discoveryOf(before)) === JSON.stringify(discoveryOf(next))
    ) {
      this.#check()
      return
    }
    this.override = undefined
    const asked = new Set(targetsOf(next).map(({ name }) => name))
    for (const name of [...this.#seen.keys()]) if (!asked.has(name)) this.#seen.delete(name)
    this.#tried.clear()
    if (before?.kind !== 'eds' || next.kind !== 'eds' || before.file !== next.file) {
      this.#fileSeen = undefined
    }
    if (next.kind === 'static') {
      this.#show(next.places.map(plain), true)
    } else {
      this.#remake()
      const known = targetsOf(next).every(({ name }) => this.#seen.has(name))
      const isKnown = next.kind === 'eds' ? this.#fileSeen !== undefined : known
      const found = this.#found()
      const { priority = 0 } = targetsOf(next)[0] ?? {}
      const others = this.#shown.filter(({ place }) => !found.some((host) => host.place === place))
      this.#standIns = isKnown ? [] : others.map((host) => ({ ...host, priority }))
      this.#show([...found, ...this.#standIns], true)
      this.ask()
    }
    this.#check()
  }

  /** What the server and the file say now has been asked for. */
  ask(): void {
    const { definition } = this
    if (!definition) return
    if (definition.kind === 'eds') this.#readFile(definition.file)
    for (const target of targetsOf(definition)) {
      if (this.held.has(target.name)) continue
      this.#tried.add(target.name)
      const says = this.dns.get(target.name) ?? []
      if (says === 'fails') continue
      this.#answer(target, says)
      this.#report(false)
    }
    if (
      this.#standIns.length > 0 &&
      targetsOf(definition).every(({ name }) => this.#tried.has(name))
    ) {
      this.#standIns = []
      this.#report(true)
    }
    this.#check()
  }

  #readFile(file: number): void {
    const says = this.files[file]
    const isFirst = this.#fileSeen === undefined
    if (says) this.#fileSeen = says
    this.#standIns = []
    this.#report(isFirst)
  }

  #answer(target: Target, says: readonly string[]): void {
    const before = this.#seen.get(target.name) ?? []
    if (this.definition?.kind !== 'logical') {
      const found = says.map((one) => hostOf(target, one)).sort((a, b) => a.place - b.place)
      this.#seen.set(target.name, found)
      return
    }
    const found = says.map((one) => ({ ...hostOf(target, one), weight: target.weight }))
    const [used] = before
    if (found.length === 0) this.#seen.set(target.name, before)
    else this.#seen.set(target.name, logical(found, used))
  }

  /** Answers that are known, as another definition makes hosts of them. */
  #remake(): void {
    for (const target of targetsOf(this.definition as Definition)) {
      const before = this.#seen.get(target.name)
      if (!before) continue
      const isService = target.name.startsWith('_')
      const weight = isService ? 3 : target.weight
      const places = before.flatMap(({ place, more = [] }) => [place, ...more])
      const hosts = places.map((place) => ({ place, weight, priority: target.priority }))
      if (this.definition?.kind === 'strict') {
        this.#seen.set(
          target.name,
          hosts.sort((a, b) => a.place - b.place),
        )
      } else {
        const found = hosts.map((host) => ({ ...host, weight: target.weight }))
        this.#seen.set(target.name, logical(found, before[0]))
      }
    }
  }

  #found(): Host[] {
    const { definition } = this
    if (definition?.kind === 'eds') return (this.#fileSeen ?? []).map(plain)
    return targetsOf(definition as Definition).flatMap(({ name }) => this.#seen.get(name) ?? [])
  }

  #report(anew: boolean): void {
    if (!this.override) this.#show([...this.#found(), ...this.#standIns], anew)
  }

  setEndpoints(set: readonly Place[], remove: readonly Place[]): void {
    if (!this.definition) return
    const gone = new Set([...remove, ...set])
    const stays = this.#shown.filter(({ place }) => !gone.has(place))
    this.override = [...stays, ...set.map(plain)]
    this.#pending = this.#pending.filter(({ place }) => set.includes(place))
    this.#show(this.override, true)
    this.#check()
  }

  #show(hosts: readonly Host[], anew: boolean): void {
    const next = hosts.filter(({ place }, i) => hosts.findIndex((h) => h.place === place) === i)
    const has = (list: readonly Host[], { place }: Host): boolean =>
      list.some((host) => host.place === place)
    if (anew && sameHosts(this.#shown, next)) return
    const gone = [...this.#shown, ...this.#pending].filter((host) => !has(next, host))
    const { checked = false, ignoreHealth = false } = this.definition ?? {}
    const keeps = checked && !ignoreHealth && !anew && !this.retired
    this.#pending = gone.filter(({ place }) => keeps && !this.#failed.has(place))
    this.#shown = next
    this.#forget()
  }

  #forget(): void {
    const there = new Set([...this.#shown, ...this.#pending].map(({ place }) => place))
    for (const set of [this.#failed, this.#ejected]) {
      for (const place of set) if (!there.has(place)) set.delete(place)
    }
  }

  /** Checks have found out who listens. */
  #check(): void {
    if (!this.definition?.checked || this.retired) return
    this.#pending = this.#pending.filter(({ place }) => this.listening.has(place))
    for (const { place } of [...this.#shown, ...this.#pending]) {
      if (this.listening.has(place)) this.#failed.delete(place)
      else this.#failed.add(place)
    }
    this.#forget()
  }

  listen(): void {
    this.#check()
  }

  eject(place: Place): void {
    if (!this.definition?.ejects || !this.hosts().some((host) => host.place === place)) return
    this.#ejected.add(place)
  }

  retire(): void {
    if (!this.definition) return
    this.retired = true
    this.#pending = []
    this.#forget()
  }

  withdraw(): void {
    this.definition = undefined
    this.retired = false
    this.override = undefined
    this.#seen.clear()
    this.#tried.clear()
    this.#fileSeen = undefined
    this.#standIns = []
    this.#shown = []
    this.#pending = []
    this.#forget()
  }

  /** As workers are to know them, in order of place. */
  hosts(): readonly (Host & { readonly healthy: boolean })[] {
    return [...this.#shown, ...this.#pending]
      .map((host) => {
        const healthy = !this.#failed.has(host.place) && !this.#ejected.has(host.place)
        return { ...host, healthy }
      })
      .sort((a, b) => a.place - b.place)
  }
}

const targetsOf = ({ kind, targets }: Definition): readonly Target[] =>
  kind === 'strict' ? targets : kind === 'logical' ? targets.slice(0, 1) : []

/** What of a definition says who its hosts are. */
function discoveryOf(definition: Definition): unknown {
  const { kind, places, file } = definition
  if (kind === 'static') return [kind, places]
  return kind === 'eds' ? [kind, file] : [kind, targetsOf(definition)]
}

function hostOf({ weight, priority }: Target, says: string): Host {
  const service = /^\d+ h(\d+)/.exec(says)
  return service
    ? { place: Number(service[1]), weight: 3, priority }
    : { place: placeOf(says), weight, priority }
}

function logical(found: readonly Host[], used: Host | undefined): Host[] {
  const chosen = found.find(({ place }) => place === used?.place) ?? found[0]
  if (!chosen) return []
  const more = found
    .map(({ place }) => place)
    .filter((place) => place !== chosen.place)
    .sort((a, b) => a - b)
  return [{ ...chosen, ...(more.length > 0 && { more }) }]
}

function sameHosts(a: readonly Host[], b: readonly Host[]): boolean {
  const text = (hosts: readonly Host[]): string =>
    JSON.stringify([...hosts].sort((x, y) => x.place - y.place))
  return text(a) === text(b)
}
