/** JSON formats of access logs: a tree whose texts are format strings. */

import type { NativeJsonNode } from '../../native/index.ts'
import type { JsonObject, JsonValue } from '../schema/messages.generated.ts'
import { FormatError, parseFormat } from './format.ts'

/** Of the native core's programs (native/proxy/formatter.h). */
const kDepthMax = 16

export interface JsonFormatOptions {
  /**
   * Every value is a text (the oldest of Envoy's JSON formats); else one operator alone keeps its
   * type.
   */
  readonly textsOnly?: boolean
  readonly sortKeys?: boolean
}

/** Keys and indexes that lead to a value. */
export type JsonPath = readonly (string | number)[]

/**
 * Throws a FormatError; its offsets count within the text that is wrong, whose path `where` is told
 * before.
 */
export function parseJsonFormat(
  format: JsonObject,
  options: JsonFormatOptions,
  where: (path: JsonPath) => void,
): NativeJsonNode {
  return parseNode(format, options, [], where)
}

function parseNode(
  value: JsonValue,
  options: JsonFormatOptions,
  path: JsonPath,
  where: (path: JsonPath) => void,
): NativeJsonNode {
  if (path.length > kDepthMax) {
    where(path)
    throw new FormatError(`a JSON format is at most ${kDepthMax} levels deep`, 0, 1)
  }
  if (typeof value === 'string') {
    where(path)
    const ops = parseFormat(value)
    return { kind: 'value', ops: options.textsOnly ? [...ops, ''] : ops }
  }
  if (Array.isArray(value)) {
    const items = value.map((item: JsonValue, i) => parseNode(item, options, [...path, i], where))
    return { kind: 'list', items }
  }
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value as JsonObject)
    if (options.sortKeys) fields.sort(([a], [b]) => (a < b ? -1 : 1))
    const entries = fields.map(
      ([key, item]) => [key, parseNode(item, options, [...path, key], where)] as const,
    )
    return { kind: 'object', entries }
  }
  return { kind: 'literal', json: JSON.stringify(value) }
}
