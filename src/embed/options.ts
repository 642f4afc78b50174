/** The options of a proxy: those that the command line has, and those of a program. */

import { argumentError, kindOf } from '../arguments.ts'
import { isLogger, type Logger } from '../log.ts'
import type { NativeAddress } from '../native/index.ts'
import { readAddress } from '../server/address.ts'
import { defaultConcurrency } from '../server/concurrency.ts'
import { optionalNumber, optionalSignal, optionsObject } from './arguments.ts'

export interface ProxyOptions {
  /** Aborted, it closes the proxy at once; while the proxy starts, the start rejects. */
  readonly signal?: AbortSignal
  /** Worker threads; by default the CPUs that this process may use. */
  readonly concurrency?: number
  /**
   * Where the admin interface listens, instead of where the configuration says: a port (on
   * loopback), `IP:port` or `unix:/path`. By default nowhere but where the configuration says.
   */
  readonly admin?: number | string
  /** Such as one of pino's; by default nothing is logged, and the event `log` says the same. */
  readonly log?: Logger
  /**
   * How long connections may take to end when the proxy drains, or a listener goes; ms, 600,000 by
   * default.
   */
  readonly drainTime?: number
  /**
   * Listeners may share their ports with other proxies of the same user, in this process or in
   * another one: each gets a part of the connections. By default a port that is in use is an error.
   */
  readonly reusePort?: boolean
  /** Access logs are written at least this often; ms, 10,000 by default. */
  readonly flushInterval?: number
}

export interface ReadOptions {
  readonly signal: AbortSignal | undefined
  readonly concurrency: number
  readonly admin: NativeAddress | undefined
  readonly log: Logger | undefined
  readonly drainTimeMs: number
  readonly sharePorts: boolean
  readonly fileFlushIntervalMs: number
}

const kKeys = [
  'signal',
  'concurrency',
  'admin',
  'log',
  'drainTime',
  'reusePort',
  'flushInterval',
] as const
const kDay = 86_400_000

export function readOptions(value: unknown): ReadOptions {
  const given = optionsObject(value, 'options', kKeys)
  const number = (key: (typeof kKeys)[number], min: number, max: number, unit?: string) =>
    optionalNumber(given[key], `options.${key}`, { min, max, ...(unit ? { unit } : {}) })
  return {
    signal: optionalSignal(given.signal, 'options.signal'),
    concurrency: number('concurrency', 1, 1024) ?? defaultConcurrency(),
    admin: adminAddress(given.admin),
    log: logger(given.log),
    drainTimeMs: number('drainTime', 0, kDay, 'milliseconds') ?? 600_000,
    sharePorts: reusePort(given.reusePort),
    fileFlushIntervalMs: number('flushInterval', 1, 3_600_000, 'milliseconds') ?? 10_000,
  }
}

function adminAddress(value: unknown): NativeAddress | undefined {
  if (value === undefined) return undefined
  const written = typeof value === 'number' || typeof value === 'string' ? String(value) : ''
  const address = readAddress(written)
  if (address) return address
  const hint = 'write a port, "IP:port", "[IPv6]:port" or "unix:/path"'
  throw argumentError('options.admin', `is no address: ${kindOf(value)}`, hint)
}

function reusePort(value: unknown): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false
  throw argumentError('options.reusePort', `is no boolean: ${kindOf(value)}`, 'write true or false')
}

function logger(value: unknown): Logger | undefined {
  if (value === undefined || isLogger(value)) return value
  const hint = 'pino() makes one'
  throw argumentError('options.log', 'must have the methods debug, info, warn and error', hint)
}
