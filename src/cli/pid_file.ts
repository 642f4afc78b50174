// --pid-file: where others find whom to send signals to.

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { MillraceError } from '../errors.ts'

export class PidFile {
  readonly #path: string
  #written = false

  constructor(path: string) {
    this.#path = resolve(path)
  }

  /** Whole or not at all. Throws with what to do. */
  write(): void {
    const made = `${this.#path}.${process.pid}`
    try {
      writeFileSync(made, `${process.pid}\n`, { mode: 0o644 })
      renameSync(made, this.#path)
      this.#written = true
    } catch (cause) {
      rmSync(made, { force: true })
      const code = (cause as NodeJS.ErrnoException).code ?? String(cause)
      throw new MillraceError('ERR_MILLRACE_PID_FILE', `cannot write ${this.#path}: ${code}`, {
        path: '--pid-file',
        hint: 'name a file in a folder that is there and that this user may write to',
        cause,
      })
    }
  }

  /** If it is ours still. */
  remove(): void {
    if (!this.#written) return
    try {
      if (readFileSync(this.#path, 'utf8').trim() === String(process.pid)) rmSync(this.#path)
    } catch {
      // Somebody else took it away.
    }
  }
}
