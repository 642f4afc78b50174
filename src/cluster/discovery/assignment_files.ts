// Files of endpoints, each read and checked once for all the clusters that are in it: there may be
// thousands in one file.

import type { Assignment } from '../../config/index.ts'
import { ReadError, readWithin, statWithin } from '../../read_file.ts'
import { FolderWatches } from './folder_watch.ts'

/** A bound for what is no list of endpoints: one of a million is smaller. */
const kFileBytesMax = 256 * 1024 * 1024
/** A mount that hangs, or a FIFO without a writer, is given up. */
const kDeadlineMs = 30_000

/**
 * Whether a file could not be read just now: it may be next time, though nothing about it changes.
 */
export function isUnread(error: unknown): boolean {
  if (error instanceof ReadError) return error.code === 'ETIMEDOUT'
  return typeof (error as NodeJS.ErrnoException | undefined)?.errno === 'number'
}

export type Assignments = ReadonlyMap<string, Assignment>

/** The assignments in a file's text, by name. Throws with everything that is wrong. */
export type ReadAssignments = (
  path: string,
  text: string,
  listAsAny: boolean,
) => Promise<Assignments>

/** What a FIFO has shows only when it is read. */
export type FileState = 'absent' | 'empty' | 'filled'

/** One user's hold of a file. */
export interface AssignmentFile {
  /** Whether there is something to read. Rejects when that is not to be found out. */
  state(): Promise<FileState>
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
  /** Those that the files are in. */
  readonly folders: FolderWatches = new FolderWatches()
  readonly #read: ReadAssignments
  readonly #deadlineMs: number
  readonly #shared = new Map<string, Shared>()

  constructor(read: ReadAssignments, deadlineMs: number = kDeadlineMs) {
    this.#read = read
    this.#deadlineMs = deadlineMs
  }

  open(path: string, listAsAny: boolean): AssignmentFile {
    const key = `${listAsAny} ${path}`
    const shared = this.#shared.get(key) ?? { users: 0, stamp: '', latest: undefined }
    this.#shared.set(key, shared)
    shared.users++
    return {
      state: async () => {
        const stat = await statWithin(path, this.#deadlineMs)
        if (!stat) return 'absent'
        return stat.isFile() && stat.size === 0 ? 'empty' : 'filled'
      },
      read: () => this.#latest(shared, path, listAsAny),
      close: () => {
        if (--shared.users === 0) this.#shared.delete(key)
      },
    }
  }

  async #latest(shared: Shared, path: string, listAsAny: boolean): Promise<Assignments> {
    const stat = await statWithin(path, this.#deadlineMs)
    // Another file of the same name has another number, and the same one changes its times.
    const stamp = stat ? `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs}` : ''
    if (!shared.latest || shared.stamp !== stamp) {
      shared.stamp = stamp
      const latest = this.#load(path, listAsAny)
      shared.latest = latest
      latest.catch((error: unknown) => {
        if (isUnread(error) && shared.latest === latest) shared.latest = undefined
      })
    }
    return shared.latest
  }

  async #load(path: string, listAsAny: boolean): Promise<Assignments> {
    const bytes = await readWithin(path, { bytesMax: kFileBytesMax, deadlineMs: this.#deadlineMs })
    return this.#read(path, bytes.toString('utf8'), listAsAny)
  }
}
