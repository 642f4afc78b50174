/** Reads nodes of the short form, and says what is wrong with them. */

import { kindOf } from '../check/scalars.ts'
import type { ProblemCode } from '../problem.ts'
import type { Problems } from '../problems.ts'
import { childPath, type MapEntry, type SourceNode } from '../source/tree.ts'
import { didYouMean } from '../suggest.ts'
import type { Spot } from './nodes.ts'

/** One entry of a map of the short form. */
export interface Field {
  readonly key: string
  readonly node: SourceNode
  readonly path: string
  readonly keySpot: Spot
  readonly spot: Spot
}

export class Reader {
  readonly #problems: Problems

  constructor(problems: Problems) {
    this.#problems = problems
  }

  refuse(spot: Spot, code: ProblemCode, message: string, hint?: string): undefined {
    this.#problems.add({ code, message, hint, ...spot })
    return undefined
  }

  fields(node: SourceNode, path: string, what: string): readonly Field[] {
    if (node.kind === 'map') return node.entries.map((entry) => fieldOf(entry, path))
    this.refuse(spotOf(node, path), 'wrong-type', `is ${what}, not ${kindOf(node)}`)
    return []
  }

  /**
   * The entries of a map whose keys are known; others are refused. `later`: known, and not built
   * yet.
   */
  known(
    node: SourceNode,
    path: string,
    what: string,
    keys: readonly string[],
    later: Readonly<Record<string, string>> = {},
  ): ReadonlyMap<string, Field> {
    const found = new Map<string, Field>()
    for (const field of this.fields(node, path, what)) {
      const { key, keySpot } = field
      const reason = Object.hasOwn(later, key) ? later[key] : undefined
      if (reason !== undefined)
        this.refuse(keySpot, 'not-supported', `not supported yet: ${reason}`)
      else if (keys.includes(key)) found.set(key, field)
      else this.refuse(keySpot, 'unknown-field', 'no such key here', didYouMean(key, keys))
    }
    return found
  }

  /** A text, or undefined and said. */
  text(field: Field, what: string): string | undefined {
    const { node } = field
    if (node.kind === 'scalar' && typeof node.value === 'string') return node.value
    return this.refuse(field.spot, 'wrong-type', `is ${what}, not ${kindOf(node)}`)
  }

  /** `5s`, `250ms`, `1m30s`, `2h`, `0` or `off`, as Envoy writes it. */
  duration(field: Field | undefined): string | undefined {
    if (field === undefined) return undefined
    const { node, spot } = field
    const text = node.kind === 'scalar' && node.value !== null ? node.text : ''
    if (/^(0|off)$/.test(text)) return '0s'
    const parts = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?$/.exec(text)
    if (parts === null || text === '') {
      const hint = /^\d+(\.\d+)?$/.test(text) ? `write ${text}s or ${text}ms` : undefined
      const wrong = node.kind === 'scalar' && node.value !== null ? `"${text}"` : kindOf(node)
      return this.refuse(
        spot,
        'wrong-type',
        `is a duration such as 1.5s, 250ms or 2m, not ${wrong}`,
        hint,
      )
    }
    const [, hours = 0, minutes = 0, seconds = 0, milliseconds = 0] = parts
    const total =
      Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds) + Number(milliseconds) / 1000
    return `${Number(total.toFixed(9))}s`
  }
}

function fieldOf(entry: MapEntry, path: string): Field {
  const inner = childPath(path, entry.key)
  return {
    key: entry.key,
    node: entry.value,
    path: inner,
    keySpot: { start: entry.keyStart, end: entry.keyEnd, path: inner },
    spot: spotOf(entry.value, inner),
  }
}

export function spotOf(node: SourceNode, path: string): Spot {
  return { start: node.start, end: node.end, path }
}

export function isNull(node: SourceNode): boolean {
  return node.kind === 'scalar' && node.value === null
}
