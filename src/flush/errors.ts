// What can go wrong with a file, as an error with a code, the path and what to do.

import { getSystemErrorMap } from 'node:util'
import { argumentError, kindOf } from '../arguments.ts'
import { MillraceError } from '../errors.ts'

const kHints: Readonly<Record<string, string>> = {
  ENOENT: 'create the folder, or set mkdir: true',
  ENOTDIR: 'a part of this path is a file; name a path whose folders are folders',
  EISDIR: 'this is a folder; name a file',
  EACCES: 'let the user of this process write there, or choose another path',
  EPERM: 'let the user of this process write there, or choose another path',
  EROFS: 'this file system is read-only; choose another path',
  ENOSPC: 'make room on this file system; lines are kept, up to maxBytes, and written then',
  EDQUOT: 'make room in this quota; lines are kept, up to maxBytes, and written then',
  EFBIG: 'rotate the file: it has reached the largest size allowed',
  EBADF: 'give a descriptor that is open, and open for writing',
  EPIPE: 'its reader has gone; reopen() when there is another',
  EIO: 'the device fails; lines are kept, up to maxBytes, and written if it works again',
  EMFILE: 'raise the limit of open files (ulimit -n), or close some',
  ENFILE: 'raise the limit of open files of the system, or close some',
  ENAMETOOLONG: 'choose a shorter path',
  ELOOP: 'the path is a circle of symbolic links; choose another',
}

/** errno's name, e.g. `ENOSPC`, and its text. */
export function errnoName(errno: number): readonly [name: string, text: string] {
  return getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error']
}

/** `cannot write to /var/log/app.log: ENOSPC (no space left on device)`, with what to do. */
export function fileError(code: string, what: string, path: string, errno: number): MillraceError {
  const [name, text] = errnoName(errno)
  const hint = kHints[name]
  const message = `${what} ${path}: ${name} (${text})${hint === undefined ? '' : `: ${hint}`}`
  const cause = Object.assign(new Error(`${name}: ${text}`), { code: name, errno: -errno, path })
  return new MillraceError(code, message, { path, cause, ...(hint === undefined ? {} : { hint }) })
}

/** The file was ended, here or by the thread that opened it. */
export function endedError(path: string): MillraceError {
  return new MillraceError('ERR_MILLRACE_FLUSH_ENDED', `${path} has ended`, {
    path,
    hint: 'write before end(), or open a new FlushFile',
  })
}

/** An argument of the wrong type or out of range. `path` is the option's name. */
export function wrongArgument(path: string, wanted: string, got: unknown): MillraceError {
  return argumentError(path, `${wanted} is wanted, not ${kindOf(got)}`, `give ${wanted}`)
}
