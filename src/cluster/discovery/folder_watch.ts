// Folders that are watched under their names. The system watches the folder that was there: one
// that is made anew, that another is moved in place of, or that a link leads to no more, says
// nothing. So whether it is the same one is looked at every now and then.

import { type FSWatcher, watch } from 'node:fs'
import { basename } from 'node:path'
import { statWithin } from '../../read_file.ts'
import { after, type Timer } from '../../timers.ts'

const kLookMs = 1_000
/** A mount that hangs is asked again after so long. */
const kDeadlineMs = 30_000

export interface FolderUser {
  /** `name` came, or went; undefined: it may be another folder by now. */
  changed(name: string | undefined): void
  /** It cannot be watched, or not any more; it is tried again. Said once until it can. */
  failed(error: unknown): void
}

export class FolderWatches {
  readonly #folders = new Map<string, Folder>()
  readonly #lookMs: number

  /** `lookMs`: between two looks whether a folder is the same one. */
  constructor(lookMs: number = kLookMs) {
    this.#lookMs = lookMs
  }

  /** Tells `user` until what is returned is called. */
  watch(path: string, user: FolderUser): () => void {
    const folder = this.#folders.get(path) ?? new Folder(path, this.#lookMs)
    this.#folders.set(path, folder)
    folder.add(user)
    return () => {
      if (folder.remove(user)) this.#folders.delete(path)
    }
  }
}

class Folder {
  readonly #path: string
  readonly #lookMs: number
  readonly #users = new Set<FolderUser>()
  #watcher: FSWatcher | undefined
  /** Device and number of what is watched; undefined: not known yet. */
  #watched: string | undefined
  #failure: unknown
  #next: Timer | undefined
  #looking = false

  constructor(path: string, lookMs: number) {
    this.#path = path
    this.#lookMs = lookMs
    this.#open()
    void this.#look()
  }

  add(user: FolderUser): void {
    this.#users.add(user)
    if (this.#failure !== undefined) user.failed(this.#failure)
  }

  /** True: it was the last one. */
  remove(user: FolderUser): boolean {
    this.#users.delete(user)
    if (this.#users.size > 0) return false
    this.#watcher?.close()
    this.#next?.stop()
    return true
  }

  #open(): void {
    try {
      this.#watcher = watch(this.#path, { persistent: false }, (event, name) => {
        // 'rename': something came to, or went from, this name.
        if (event !== 'rename') return
        if (name === basename(this.#path)) this.#doubt()
        this.#tell(name ?? undefined)
      })
      this.#watcher.on('error', (error) => this.#fail(error))
      this.#failure = undefined
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    this.#watcher?.close()
    this.#watcher = undefined
    if (this.#failure !== undefined) return
    this.#failure = error
    for (const user of [...this.#users]) user.failed(error)
  }

  /** The folder itself went, or something in it that has its name. Its number may be given anew. */
  #doubt(): void {
    this.#watched = undefined
    this.#watcher?.close()
    this.#watcher = undefined
    this.#lookIn(0)
  }

  #tell(name: string | undefined): void {
    for (const user of [...this.#users]) user.changed(name)
  }

  #lookIn(ms: number): void {
    this.#next?.stop()
    this.#next = after(ms, () => void this.#look()).unref()
  }

  async #look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    // Asked before it is watched: one that comes in between is found by the next look.
    const stat = await statWithin(this.#path, kDeadlineMs).catch(() => undefined)
    this.#looking = false
    if (this.#users.size === 0) return
    const found = stat && `${stat.dev} ${stat.ino}`
    const another = this.#watched !== undefined && this.#watched !== found
    this.#watched = found
    if (found === undefined || another) {
      this.#watcher?.close()
      this.#watcher = undefined
    }
    if (found !== undefined && !this.#watcher) {
      this.#open()
      if (this.#watcher) this.#tell(undefined)
    }
    this.#lookIn(this.#lookMs)
  }
}
