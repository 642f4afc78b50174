// Log lines for people: what pino writes as JSON, as one short line on a terminal. Written at once
// (synchronously), so that nothing is missing when the process ends.

import { writeSync } from 'node:fs'

const kLevels: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
}

/** A destination for pino that writes to a file descriptor; 2 is stderr. */
export function terminalDestination(fd: number = 2): { write(line: string): void } {
  return {
    write: (line) => {
      writeSync(fd, `${forPeople(line)}\n`)
    },
  }
}

/** `12:34:56 info  listening listener=main addresses=["127.0.0.1:8080"]` */
export function forPeople(line: string): string {
  const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>
  const clock = new Date(Number(time)).toISOString().slice(11, 19)
  const label = (kLevels[Number(level)] ?? String(level)).padEnd(5)
  const error = (err as { message?: string } | undefined)?.message
  const details = Object.entries(fields).map(([key, value]) => `${key}=${short(value)}`)
  return [clock, label, msg, ...(error === undefined ? [] : [error]), ...details].join(' ')
}

function short(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
