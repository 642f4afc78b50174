/** What a proxy tells: typed events, and `diagnostics_channel`s for those who watch all of them. */

import { type Channel, channel } from 'node:diagnostics_channel'
import { EventEmitter } from 'node:events'
import { MillraceError } from '../errors.ts'
import type { Logger, LogLevel } from '../log.ts'
import type { NativeHealth, NativeStopReport } from '../native/index.ts'
import type { Changes } from '../server/deployment.ts'

/** What a configuration changed, by name. */
export type ConfigChanges = Changes

/** What was cut and lost when a proxy was closed. */
export type CloseReport = NativeStopReport

/** A configuration is in force on every worker. */
export interface ConfigEvent {
  /** Counts the configurations of this proxy, from 1. */
  readonly version: number
  /** The file, or `configuration`. */
  readonly name: string
  readonly changes: ConfigChanges
}

export interface DrainEvent {
  /** `started`: nothing is accepted any more. `finished`: the deadline passed, or all had ended. */
  readonly phase: 'started' | 'finished'
  /** That are still open. */
  readonly connections: number
}

/** The health of an endpoint has changed. */
export interface HealthEvent {
  readonly cluster: string
  readonly address: string
  readonly health: NativeHealth
  readonly was: NativeHealth
}

export interface LogEvent {
  readonly level: Exclude<LogLevel, 'silent'>
  readonly message: string
  readonly fields: object
}

export interface ProxyEvents {
  config: [ConfigEvent]
  drain: [DrainEvent]
  health: [HealthEvent]
  log: [LogEvent]
  /** Something goes wrong that nobody waits for; the proxy goes on. */
  error: [MillraceError]
  close: [CloseReport]
}

/**
 * Names of the channels; every message has the `proxy`, and what the event of the same name says.
 */
export const channelNames = {
  start: 'millrace:proxy:start',
  config: 'millrace:proxy:config',
  refused: 'millrace:proxy:config-refused',
  drain: 'millrace:proxy:drain',
  health: 'millrace:proxy:health',
  close: 'millrace:proxy:close',
  error: 'millrace:proxy:error',
} as const

const channels = Object.fromEntries(
  Object.entries(channelNames).map(([key, name]) => [key, channel(name)]),
) as Record<keyof typeof channelNames, Channel>

export function publish(
  name: keyof typeof channelNames,
  proxy: EventEmitter,
  message: object,
): void {
  if (channels[name].hasSubscribers) channels[name].publish({ ...message, proxy })
}

/**
 * An emitter that nothing which listens can harm: an `error` that nobody hears is dropped, and what
 * a listener throws is an uncaught exception of the process, not of whoever emitted.
 */
export class SafeEmitter extends EventEmitter<ProxyEvents> {
  override emit<E extends keyof ProxyEvents>(name: E, ...args: ProxyEvents[E]): boolean {
    if (name === 'error' && this.listenerCount('error') === 0) return false
    try {
      return (EventEmitter.prototype.emit as (name: string, ...args: unknown[]) => boolean).call(
        this,
        name,
        ...args,
      )
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
      return true
    }
  }
}

/** Says everything twice: to the program's logger, if it has one, and as the event `log`. */
export function eventLogger(emitter: SafeEmitter, to: Logger | undefined): Logger {
  const say =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (fields: object, message: string): void => {
      try {
        to?.[level](fields, message)
      } catch (cause) {
        // What is being said has happened: a logger must not be able to undo it, or to fail it.
        const what = `the logger threw: ${cause instanceof Error ? cause.message : String(cause)}`
        const error = new MillraceError('ERR_MILLRACE_LOGGER', what, { path: 'options.log', cause })
        emitter.emit('error', error)
      }
      emitter.emit('log', { level, fields, message })
    }
  let level = 'info'
  return {
    get level() {
      return to?.level ?? level
    },
    set level(next) {
      if (to) to.level = next
      else level = next
    },
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
  }
}
