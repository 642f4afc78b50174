/** Makes nodes of Envoy's form that point at what the user wrote in the short form. */

import type { ListNode, MapNode, ScalarNode, SourceNode } from '../source/tree.ts'

/** A place in the user's text, and its path in the user's words. */
export interface Spot {
  readonly start: number
  readonly end: number
  readonly path: string
}

export type Value =
  | SourceNode
  | string
  | number
  | boolean
  | readonly Value[]
  | { [key: string]: Value | undefined }

const isNode = (value: Value): value is SourceNode =>
  typeof value === 'object' && 'kind' in value && 'start' in value

/** A tree of plain values and nodes, all of it at one spot; undefined fields are left out. */
export function nodeAt(at: Spot, value: Value): SourceNode {
  if (Array.isArray(value)) {
    const items = value.map((item: Value) => nodeAt(at, item))
    return { kind: 'list', items, ...at } satisfies ListNode
  }
  if (typeof value !== 'object') {
    const text = String(value)
    return { kind: 'scalar', value, text, quoted: false, ...at } satisfies ScalarNode
  }
  const known = value as Value
  if (isNode(known)) return known.path === undefined ? { ...known, path: at.path } : known
  const fields = Object.entries(value as { [key: string]: Value | undefined })
  const entries = fields.flatMap(([key, field]) =>
    field === undefined
      ? []
      : [{ key, keyStart: at.start, keyEnd: at.end, value: nodeAt(at, field) }],
  )
  return { kind: 'map', entries, ...at } satisfies MapNode
}
