// The program's own log: pino on stderr, written at once so that nothing is missing when the
// process ends. JSON lines; on a terminal a line for people.

import { writeSync } from 'node:fs'
import { type DestinationStream, pino } from 'pino'
import type { Logger, LogLevel } from '../log.ts'

const kStderr = 2

export function openLog(level: LogLevel, onTerminal: boolean): Logger {
  const options = { level, base: null }
  return pino(options, onTerminal ? terminal : pino.destination({ dest: kStderr, sync: true }))
}

const kLevels: Readonly<Record<number, string>> = pino.levels.labels

const terminal: DestinationStream = {
  write(line: string): void {
    const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>
    const details = Object.entries(fields).map(([key, value]) => `${key}=${short(value)}`)
    const error = (err as { message?: string } | undefined)?.message
    const clock = new Date(Number(time)).toISOString().slice(11, 19)
    const label = (kLevels[Number(level)] ?? '').padEnd(5)
    const parts = [clock, label, msg, ...(error === undefined ? [] : [error]), ...details]
    writeSync(kStderr, `${parts.join(' ')}\n`)
  },
}

function short(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
