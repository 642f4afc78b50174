// Configurations of one server, one after another. Each is loaded when the one before it was, and
// prepared when the one before it is in force or given up; one that still waits for its clusters is
// given up as soon as a newer one was loaded without a fault.
//
//   load ─▶ (the one before is in force, or given up) ─▶ prepare ─▶ wait for clusters ─▶ in force
//                                                                     │ a newer one was loaded,
//                                                                     │ or the server ends
//                                                                     ▼
//                                                                  given up

import { unlessAborted } from '../abort.ts'
import { type LoadedConfiguration, sameConfiguration } from '../config/index.ts'
import { MillraceError } from '../errors.ts'
import type { Changes } from './deployment.ts'

const kSuperseded = 'ERR_MILLRACE_SUPERSEDED'

/**
 * Puts a configuration in force. While it waits for clusters it heeds `giveUp`, whose reason it
 * rejects with then.
 */
export type Put = (loaded: LoadedConfiguration, giveUp: AbortSignal) => Promise<Changes>

/** Nobody wants it any more when `giveUp` is aborted. */
export type Load = (giveUp: AbortSignal) => LoadedConfiguration | Promise<LoadedConfiguration>

interface Turn {
  readonly loaded: LoadedConfiguration
  readonly giveUp: AbortController
  readonly done: Promise<Changes>
  over: boolean
}

export class Succession {
  readonly #put: Put
  /** Loads wait for one another, and keep their order. */
  #loading: Promise<unknown> = Promise.resolve()
  readonly #loads = new Set<AbortController>()
  #latest: Turn | undefined

  constructor(put: Put) {
    this.#put = put
  }

  /**
   * Rejects with ERR_MILLRACE_SUPERSEDED when a newer configuration took the place of this one
   * before it was in force. `checked` is called when it is loaded; what it throws is the end of it.
   */
  async next(load: Load, checked: () => void = () => {}): Promise<Changes> {
    const loaded = await this.#load(load)
    checked()
    const before = this.#latest
    if (before && !before.over && sameConfiguration(before.loaded, loaded)) {
      await before.done // the same again: it need not begin to wait anew
      return noChanges()
    }
    return this.#take(loaded, before)
  }

  async #load(load: Load): Promise<LoadedConfiguration> {
    const giveUp = new AbortController()
    const loading = this.#loading.then(() => load(giveUp.signal))
    this.#loading = loading.catch(() => {})
    this.#loads.add(giveUp)
    try {
      return await unlessAborted(loading, giveUp.signal)
    } finally {
      this.#loads.delete(giveUp)
    }
  }

  #take(loaded: LoadedConfiguration, before: Turn | undefined): Promise<Changes> {
    const giveUp = new AbortController()
    const run = async (): Promise<Changes> => {
      await before?.done.catch(() => {})
      return this.#put(loaded, giveUp.signal)
    }
    before?.giveUp.abort(superseded())
    const done = run()
    const turn: Turn = { loaded, giveUp, done, over: false }
    const over = (): void => {
      turn.over = true
    }
    done.then(over, over)
    this.#latest = turn
    return done
  }

  /** Whether one is being put in force. */
  get busy(): boolean {
    return this.#latest?.over === false
  }

  /** Resolves when none is being put in force any more. */
  async idle(): Promise<void> {
    for (let turn = this.#latest; turn; turn = this.#latest === turn ? undefined : this.#latest) {
      await turn.done.catch(() => {})
    }
  }

  /** As `own`; where a newer one took its place, as that one's promise. */
  async outcome(own: Promise<Changes>): Promise<Changes> {
    for (let now = own; ; ) {
      try {
        return await now
      } catch (error) {
        const newest = this.#latest?.done
        if (!isSuperseded(error) || !newest || newest === now) throw error
        now = newest
      }
    }
  }

  /** Those that are loaded, and the one that waits for its clusters, are given up. */
  giveUp(reason: Error): void {
    for (const load of this.#loads) load.abort(reason)
    this.#latest?.giveUp.abort(reason)
  }
}

function isSuperseded(error: unknown): boolean {
  return error instanceof MillraceError && error.code === kSuperseded
}

function superseded(): MillraceError {
  return new MillraceError(
    kSuperseded,
    'a newer configuration took the place of this one before it was in force',
  )
}

function noChanges(): Changes {
  return {
    listenersAdded: [],
    listenersModified: [],
    listenersRemoved: [],
    clustersPublished: [],
    clustersRemoved: [],
    routesPublished: [],
  }
}
