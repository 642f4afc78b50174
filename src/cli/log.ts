// The program's own log: pino on stderr, through a flush file as any other log, so that neither a
// full disk nor a reader that stalls stops the program. JSON lines; on a terminal sentences.

import { pino } from 'pino'
import { openLines } from '../flush/terminal.ts'
import type { Logger, LogLevel } from '../log.ts'
import type { OwnLogStats } from '../server/main_stats.ts'
import { forPeople } from '../terminal_log.ts'

const kStderr = 2
/** For what stderr has not taken when the process ends. */
const kEndDeadlineMs = 2_000

export interface OwnLog {
  readonly logger: Logger
  stats(): OwnLogStats
  /** Text that is no line of the log, after what was logged before. */
  say(text: string): void
  /** Writes out what was logged, for no longer than a deadline. */
  end(): Promise<void>
}

export function openLog(level: LogLevel, onTerminal: boolean): OwnLog {
  const file = openLines(kStderr)
  let ended = false
  const put = (text: string): void => {
    // A signal may still come, and be answered, while the last lines are written.
    if (!ended) file.write(text)
  }
  const write = onTerminal ? (line: string): void => put(`${forPeople(line)}\n`) : put
  const logger = pino({ level, base: null }, { write })
  const lost = { lines: 0, bytes: 0 }
  file.on('drop', ({ lines, bytes }) => {
    lost.lines += lines
    lost.bytes += bytes
  })
  file.on('drain', () => {
    if (lost.lines === 0) return
    logger.warn({ ...lost }, 'lines of this log were dropped: stderr did not take them')
    lost.lines = 0
    lost.bytes = 0
  })
  return {
    logger,
    stats: () => {
      const { lines, dropped, writeErrors } = file.counters
      return { lines, dropped, writeErrors }
    },
    say: (text) => put(`${text}\n`),
    end: async () => {
      ended = true
      await file.end({ deadline: kEndDeadlineMs })
    },
  }
}
