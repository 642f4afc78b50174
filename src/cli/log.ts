// The program's own log: pino on stderr, through a flush file as any other log, so that neither a
// full disk nor a reader that stalls stops the program. JSON lines; on a terminal sentences.

import { pino } from 'pino'
import type { FlushFile } from '../flush/flush_file.ts'
import { openLines } from '../flush/terminal.ts'
import type { Logger, LogLevel } from '../log.ts'
import type { OwnLogStats } from '../server/main_stats.ts'
import { forPeople } from '../terminal_log.ts'
import { after } from '../timers.ts'

const kStderr = 2
/** For what stderr has not taken when the process ends. */
const kEndDeadlineMs = 2_000
/** Small beside what the log holds for a reader that is slow. */
const kPieceBytes = 32 * 1024

export interface OwnLog {
  readonly logger: Logger
  stats(): OwnLogStats
  /**
   * Text that is no line of the log, however long, after what was logged before. Waits while stderr
   * does not take it, for no longer than a deadline.
   */
  say(text: string): Promise<void>
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
    say: async (text) => {
      if (!ended) await writeAll(file, `${text}\n`, kEndDeadlineMs)
    },
    end: async () => {
      ended = true
      await file.end({ deadline: kEndDeadlineMs })
    },
  }
}

/** Writes a text that may be more than `file` holds, as far as that takes it in time. */
export async function writeAll(
  file: Pick<FlushFile, 'write' | 'once' | 'off'>,
  text: string,
  deadlineMs: number,
): Promise<void> {
  const deadline = performance.now() + deadlineMs
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += kPieceBytes) {
    const taken = file.write(bytes.subarray(at, at + kPieceBytes))
    if (!taken && !(await drains(file, deadline - performance.now()))) return
  }
}

/** Whether it did within `ms`. */
function drains(file: Pick<FlushFile, 'once' | 'off'>, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const onDrain = (): void => {
      timer.stop()
      resolve(true)
    }
    const timer = after(ms, () => {
      file.off('drain', onDrain)
      resolve(false)
    })
    file.once('drain', onDrain)
  })
}
