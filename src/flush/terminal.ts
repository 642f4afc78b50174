// A destination for pino that people read.

import { forPeople } from '../terminal_log.ts'
import { FlushFile } from './flush_file.ts'

/** As much as anybody reads; more is dropped, and counted. */
const kMaxBytes = 1024 * 1024
/** Each line is on its way when the turn that wrote it ends. */
const kFillMark = 1

/** The file that a log of lines to a descriptor goes through: it never stalls who writes to it. */
export function openLines(fd: number): FlushFile {
  return new FlushFile({ fd, maxBytes: kMaxBytes }, kFillMark)
}

/**
 * A destination for pino that writes lines for people to a file descriptor; 2 is stderr. Neither a
 * terminal that is stopped (Ctrl-S) nor a reader that stalls holds up who logs.
 */
export function terminalDestination(fd: number = 2): { write(line: string): void } {
  const file = openLines(fd)
  return {
    write: (line) => {
      file.write(`${forPeople(line)}\n`)
    },
  }
}
