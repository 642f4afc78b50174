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

type Write = (fields: object, message: string) => void

export interface Logger {
  level: string
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
}
