// What the server says of itself goes to a logger of this shape; pino's has it.

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

export const logLevels: readonly LogLevel[] = [
  'trace',
  'debug',
  'info',
  'warn',
  'error',
  'fatal',
  'silent',
]

/** Envoy's names for levels that are called otherwise here. */
const kAliases: ReadonlyMap<string, LogLevel> = new Map([
  ['warning', 'warn'],
  ['critical', 'fatal'],
  ['off', 'silent'],
])

/** undefined: there is no such level. */
export function logLevel(name: string): LogLevel | undefined {
  return logLevels.find((level) => level === name) ?? kAliases.get(name)
}

type Write = (fields: object, message: string) => void

export interface Logger {
  level: string
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
}

/** Whether a value has what a logger needs. */
export function isLogger(value: unknown): value is Logger {
  if (typeof value !== 'object' || value === null) return false
  const logger = value as Readonly<Record<string, unknown>>
  return ['debug', 'info', 'warn', 'error'].every((name) => typeof logger[name] === 'function')
}
