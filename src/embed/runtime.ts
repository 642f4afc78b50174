/** Runtime flags that a program sets: a layer above those of the configuration. */

import { argumentError, kindOf } from '../arguments.ts'
import type { RuntimeValue } from '../runtime/runtime.ts'
import type { Server } from '../server/server.ts'
import { text } from './arguments.ts'

export type { RuntimeValue }

const kDenominators: readonly unknown[] = [100, 10_000, 1_000_000]

export class ProxyRuntime {
  readonly #server: () => Server

  constructor(server: () => Server) {
    this.#server = server
  }

  /** The value in force, or undefined. */
  get(key: string): RuntimeValue | undefined {
    return this.#server().runtime.get(text(key, 'key'))
  }

  /**
   * Overrides what the configuration says of a key, until {@link delete}; an `apply` does not touch
   * it. Requests that begin after the promise resolved see it.
   */
  set(key: string, value: RuntimeValue): Promise<void> {
    text(key, 'key')
    return this.#server().setRuntime(key, checked(value))
  }

  /** What the configuration says of the key holds again. */
  delete(key: string): Promise<void> {
    text(key, 'key')
    return this.#server().setRuntime(key, undefined)
  }
}

function checked(value: unknown): RuntimeValue {
  switch (typeof value) {
    case 'number':
      if (Number.isFinite(value)) return value
      break
    case 'boolean':
    case 'string':
      return value
    case 'object': {
      const { numerator, denominator } = (value ?? {}) as Readonly<Record<string, unknown>>
      const whole = Number.isInteger(numerator) && Number(numerator) >= 0
      if (whole && kDenominators.includes(denominator)) return value as RuntimeValue
    }
  }
  const hint = 'a fraction is { numerator, denominator: 100, 10000 or 1000000 }'
  const what = 'must be a finite number, true or false, a text, or a fraction'
  throw argumentError('value', `${what}, not ${kindOf(value)}`, hint)
}
