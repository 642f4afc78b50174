// The program's own log: pino on stderr, written at once so that nothing is missing when the
// process ends. JSON lines; on a terminal a line for people.

import { pino } from 'pino'
import type { Logger, LogLevel } from '../log.ts'
import { terminalDestination } from '../terminal_log.ts'

const kStderr = 2

export function openLog(level: LogLevel, onTerminal: boolean): Logger {
  const destination = onTerminal
    ? terminalDestination(kStderr)
    : pino.destination({ dest: kStderr, sync: true })
  return pino({ level, base: null }, destination)
}
