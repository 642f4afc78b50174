/**
 * What the user wrote, as a tree that remembers where it was written. YAML, JSON and the command
 * line become such a tree; the short form is expanded from one such tree into another, whose nodes
 * still point at what the user wrote.
 */

import type { Steps } from '../../slices.ts'

interface Written {
  /** Offsets into the text; `end` is behind the last character. */
  readonly start: number
  readonly end: number
  /**
   * The path in the user's words, where it is not the path in the tree (what the short form was
   * expanded to).
   */
  readonly path?: string
}

export interface ScalarNode extends Written {
  readonly kind: 'scalar'
  readonly value: string | number | boolean | null
  /** As it was written, without quotes. */
  readonly text: string
  readonly quoted: boolean
}

export interface ListNode extends Written {
  readonly kind: 'list'
  readonly items: readonly SourceNode[]
}

export interface MapEntry {
  readonly key: string
  readonly keyStart: number
  readonly keyEnd: number
  readonly value: SourceNode
}

export interface MapNode extends Written {
  readonly kind: 'map'
  readonly entries: readonly MapEntry[]
}

export type SourceNode = ScalarNode | ListNode | MapNode

export function entryOf(node: MapNode, key: string): MapEntry | undefined {
  return node.entries.find((entry) => entry.key === key)
}

/** The path of a map's entry: `a.b`, or `a["b/c"]` where the key is not a plain word. */
export function childPath(path: string, key: string): string {
  if (!/^[A-Za-z_@][\w@-]*$/.test(key)) return `${path}[${JSON.stringify(key)}]`
  return path === '' ? key : `${path}.${key}`
}

/** The tree as plain JSON values. */
export function toJson(node: SourceNode): unknown {
  if (node.kind === 'scalar') return node.value
  if (node.kind === 'list') return node.items.map(toJson)
  return Object.fromEntries(node.entries.map((entry) => [entry.key, toJson(entry.value)]))
}

/** As {@link toJson}, of a tree that may be large. */
export function* toJsonInSteps(node: SourceNode): Steps<unknown> {
  if (node.kind === 'scalar') return node.value
  if (node.kind === 'list') {
    const items: unknown[] = []
    for (const item of node.items) {
      items.push(item.kind === 'scalar' ? item.value : yield* toJsonInSteps(item))
      yield
    }
    return items
  }
  const entries: [string, unknown][] = []
  for (const { key, value } of node.entries) {
    entries.push([key, value.kind === 'scalar' ? value.value : yield* toJsonInSteps(value)])
    yield
  }
  return Object.fromEntries(entries)
}
