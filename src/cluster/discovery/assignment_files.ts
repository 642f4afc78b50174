// Files of endpoints, each read and checked once for all the clusters that are in it: there may be
// thousands in one file.

import { readFileSync, type Stats, statSync } from 'node:fs'
import type { Assignment } from '../../config/index.ts'

export type Assignments = ReadonlyMap<string, Assignment>

/** The assignments in a file's text, by name. Throws with everything that is wrong. */
export type ReadAssignments = (
  path: string,
  text: string,
  listAsAny: boolean,
) => Promise<Assignments>

/** One user's hold of a file. */
export interface AssignmentFile {
  /** Bytes; undefined: it is not there. */
  size(): number | undefined
  /** What is in the file now. Rejects when it cannot be read, or is not right. */
  read(): Promise<Assignments>
  close(): void
}

interface Shared {
  users: number
  /** Of the file whose content is `latest`. */
  stamp: string
  latest: Promise<Assignments> | undefined
}

export class AssignmentFiles {
  readonly #read: ReadAssignments
  readonly #shared = new Map<string, Shared>()

  constructor(read: ReadAssignments) {
    this.#read = read
  }

  open(path: string, listAsAny: boolean): AssignmentFile {
    const key = `${listAsAny} ${path}`
    const shared = this.#shared.get(key) ?? { users: 0, stamp: '', latest: undefined }
    this.#shared.set(key, shared)
    shared.users++
    return {
      size: () => statOf(path)?.size,
      read: () => this.#latest(shared, path, listAsAny),
      close: () => {
        if (--shared.users === 0) this.#shared.delete(key)
      },
    }
  }

  #latest(shared: Shared, path: string, listAsAny: boolean): Promise<Assignments> {
    const stat = statOf(path)
    // Another file of the same name has another number, and the same one changes its times.
    const stamp = stat ? `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs}` : ''
    if (!shared.latest || shared.stamp !== stamp) {
      shared.stamp = stamp
      shared.latest = this.#load(path, listAsAny)
    }
    return shared.latest
  }

  async #load(path: string, listAsAny: boolean): Promise<Assignments> {
    return this.#read(path, readFileSync(path, 'utf8'), listAsAny)
  }
}

function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false })
}
