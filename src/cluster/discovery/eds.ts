// Endpoints from a file (EDS with a path_config_source). The file is read again when another one is
// moved to its name, when something is moved into the watched directory, or when either is another
// directory than before. What cannot be read or is not right is refused as a whole, and what was in
// force stays.

import { basename, dirname } from 'node:path'
import type { Assignment, EdsDefinition, HostDefinition } from '../../config/index.ts'
import { after, pause, type Timer } from '../../timers.ts'
import { type AssignmentFile, type AssignmentFiles, isUnread } from './assignment_files.ts'
import type { DiscoverySink, DiscoverySource } from './source.ts'

const kAgainMs = 10_000

export interface EdsLog {
  /** An update was refused. */
  rejected(path: string, error: unknown): void
}

export interface EdsOptions {
  readonly files: AssignmentFiles
  readonly log: EdsLog
  /** After so many ms a file that could not be read is tried again. */
  readonly againMs?: number
}

export class EdsDiscovery implements DiscoverySource {
  readonly #definition: EdsDefinition
  readonly #options: EdsOptions
  readonly #sink: DiscoverySink
  #file: AssignmentFile | undefined
  #unwatch: (() => void) | undefined
  #stale: Timer | undefined
  #again: Timer | undefined
  #stopped = false
  /** What the file said last; undefined: nothing yet. */
  #latest: Assignment | undefined
  /** Loads follow one another. */
  #loading: Promise<void> = Promise.resolve()
  #queued = false

  /** `before`: what it read holds until the file is read again, if it is the same assignment. */
  constructor(
    definition: EdsDefinition,
    options: EdsOptions,
    sink: DiscoverySink,
    before?: EdsDiscovery,
  ) {
    this.#definition = definition
    this.#latest = before?.latestOf(definition)
    this.#options = options
    this.#sink = sink
  }

  /** What was read, if it is what `definition` asks for. */
  latestOf({ path, serviceName, listAsAny }: EdsDefinition): Assignment | undefined {
    const own = this.#definition
    const same = own.path === path && own.serviceName === serviceName && own.listAsAny === listAsAny
    return same ? this.#latest : undefined
  }

  start(): void {
    if (this.#latest) this.#take(this.#latest, true)
    const { path, watchedDirectory, listAsAny } = this.#definition
    this.#file = this.#options.files.open(path, listAsAny)
    const folder = watchedDirectory ?? dirname(path)
    this.#unwatch = this.#options.files.folders.watch(folder, {
      changed: (name) => {
        const other = watchedDirectory === undefined && name !== undefined
        if (!other || name === basename(path)) this.#load(false)
      },
      failed: (error) => this.#options.log.rejected(folder, error),
    })
    this.#load(true)
  }

  stop(): void {
    this.#stopped = true
    this.#unwatch?.()
    this.#file?.close()
    this.#stale?.stop()
    this.#again?.stop()
  }

  awaits(): readonly string[] {
    return [`the file ${this.#definition.path}`]
  }

  #load(first: boolean): void {
    if (this.#queued) return
    this.#queued = true
    this.#loading = this.#loading.then(async () => {
      // What is written in several steps is read after the last of them.
      await pause(first ? 0 : 10)
      this.#queued = false
      if (!this.#stopped) await this.#read(first)
      if (!first || this.#stopped) return
      // What was there before stood in until this was tried.
      if (!this.#latest) this.#sink.report({ hosts: [], localities: [] }, true)
      this.#sink.ready()
    })
  }

  async #read(first: boolean): Promise<void> {
    const { path, serviceName } = this.#definition
    const { counters } = this.#sink
    this.#again?.stop()
    try {
      const state = await this.#file?.state()
      if (this.#stopped) return
      // A file that went away says nothing, nor does one that is about to be written.
      if (!first && state !== 'filled') return
      counters.attempt++
      if (state === 'absent') throw new Error(`${path} is not there`)
      const assignment = (await this.#file?.read())?.get(serviceName)
      if (this.#stopped) return
      if (assignment) this.#sink.mustBeUsable(assignment.hosts)
      counters.success++
      if (!assignment) counters.empty++
      else this.#take(assignment, this.#latest === undefined)
    } catch (error) {
      if (this.#stopped) return
      counters.rejected++
      this.#options.log.rejected(path, error)
      // No change of the folder will tell that a mount answers again.
      if (!isUnread(error)) return
      const { againMs = kAgainMs } = this.#options
      this.#again = after(againMs, () => this.#load(false)).unref()
    }
  }

  #take(assignment: Assignment, anew: boolean): void {
    this.#stale?.stop()
    this.#latest = assignment
    this.#sink.report(assignment, anew)
    if (assignment.staleAfter === undefined) return
    this.#sink.counters.timeoutReceived++
    this.#stale = after(assignment.staleAfter, () => {
      this.#sink.counters.stale++
      const unhealthy = (host: HostDefinition): HostDefinition => ({ ...host, health: 'unhealthy' })
      this.#latest = { ...assignment, hosts: assignment.hosts.map(unhealthy) }
      this.#sink.report(this.#latest)
    }).unref()
  }
}
