/**
 * Runtime flags: layers of keys, where a later layer overrides an earlier one, and the indexes by
 * which workers read them. A key gets its index when a configuration that names it is compiled and
 * keeps it for the life of the process, so that what was compiled before a reload goes on reading
 * the right flag.
 */

import type { NativeRuntimeValue, RuntimeIndex } from '../native/index.ts'

/** A flag's value: a number, a boolean, a text (which workers do not read), or a fraction. */
export type RuntimeValue =
  | number
  | boolean
  | string
  | { readonly numerator: number; readonly denominator: 100 | 10_000 | 1_000_000 }

export interface RuntimeLayer {
  readonly name: string
  /** Flattened: `a: { b: 1 }` is `a.b`. */
  readonly values: ReadonlyMap<string, RuntimeValue>
}

/** The answer of `/runtime`, as Envoy writes it. */
export interface RuntimeDump {
  readonly layers: readonly string[]
  readonly entries: Readonly<
    Record<string, { readonly final_value: string; readonly layer_values: readonly string[] }>
  >
}

export class Runtime {
  #layers: readonly RuntimeLayer[]
  /** Set while the program runs, above all layers; the admin interface shows it as one. */
  readonly #overrides = new Map<string, RuntimeValue>()
  readonly #indexes = new Map<string, RuntimeIndex>()

  constructor(layers: readonly RuntimeLayer[] = []) {
    this.#layers = layers
  }

  /** Replaces all layers; indexes stay. */
  setLayers(layers: readonly RuntimeLayer[]): void {
    this.#layers = layers
  }

  /** Sets a key above all layers, whatever they become; undefined takes that back. */
  override(key: string, value: RuntimeValue | undefined): void {
    if (value === undefined) this.#overrides.delete(key)
    else this.#overrides.set(key, value)
  }

  /** What {@link override} set. */
  overridden(key: string): RuntimeValue | undefined {
    return this.#overrides.get(key)
  }

  get layers(): readonly RuntimeLayer[] {
    return this.#layers
  }

  /** Those of the configuration, and what was set while running, if anything was. */
  #allLayers(): readonly RuntimeLayer[] {
    if (this.#overrides.size === 0) return this.#layers
    return [...this.#layers, { name: 'program', values: this.#overrides }]
  }

  /** The index of a key; a new one when it was never asked for. */
  index(key: string): RuntimeIndex {
    let index = this.#indexes.get(key)
    if (index === undefined) {
      index = this.#indexes.size
      this.#indexes.set(key, index)
    }
    return index
  }

  /** The value in force, or undefined. */
  get(key: string): RuntimeValue | undefined {
    const layers = this.#allLayers()
    for (let i = layers.length - 1; i >= 0; i--) {
      const value = layers[i]?.values.get(key)
      if (value !== undefined) return value
    }
    return undefined
  }

  /** What workers read, in the order of the indexes, for `publishRuntime`. */
  values(): NativeRuntimeValue[] {
    return [...this.#indexes.keys()].map((key) => nativeValue(this.get(key)))
  }

  dump(): RuntimeDump {
    const layers = this.#allLayers()
    const keys = new Set(layers.flatMap((layer) => [...layer.values.keys()]))
    const entries: Record<string, { final_value: string; layer_values: string[] }> = {}
    for (const key of [...keys].sort()) {
      const layerValues = layers.map((layer) => text(layer.values.get(key)))
      entries[key] = { final_value: text(this.get(key)), layer_values: layerValues }
    }
    return { layers: layers.map((layer) => layer.name), entries }
  }
}

function nativeValue(value: RuntimeValue | undefined): NativeRuntimeValue {
  switch (typeof value) {
    case 'number':
      return { value, denominator: 0 }
    case 'boolean':
      return { value: value ? 1 : 0, denominator: 0 }
    case 'object':
      return { value: value.numerator, denominator: value.denominator }
    default:
      // A text is no number: the code's own default stays in force, as for a key that is not there.
      return null
  }
}

function text(value: RuntimeValue | undefined): string {
  if (value === undefined) return ''
  if (typeof value !== 'object') return String(value)
  const names = { 100: 'HUNDRED', 10000: 'TEN_THOUSAND', 1000000: 'MILLION' } as const
  return `{"numerator":${value.numerator},"denominator":"${names[value.denominator]}"}`
}
