/**
 * Scalars and the well-known types that JSON writes as scalars: from what was written to a value.
 */

import { enumSchema } from '../schema/schema.ts'
import type { ScalarNode, SourceNode } from '../source/tree.ts'
import { didYouMean } from '../suggest.ts'
import type { Violation } from './rules.ts'

export type Read = { readonly value: unknown } | { readonly wrong: Violation }

const wrong = (message: string, hint?: string): Read => ({ wrong: { message, hint } })

/** Of the 64-bit ones: beyond, a number of JavaScript's is no longer the one that was written. */
const kExact = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER] as const

const integerRanges: Readonly<Record<string, readonly [number, number]>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  sint32: [-(2 ** 31), 2 ** 31 - 1],
  sfixed32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  fixed32: [0, 2 ** 32 - 1],
  int64: kExact,
  sint64: kExact,
  sfixed64: kExact,
  uint64: [0, kExact[1]],
  fixed64: [0, kExact[1]],
}

/** What a node of the wrong kind is, for messages. */
export function kindOf(node: SourceNode): string {
  if (node.kind === 'list') return 'a list'
  if (node.kind === 'map') return 'a map'
  if (node.value === null) return 'nothing'
  if (typeof node.value === 'string') return `the text ${JSON.stringify(shorten(node.value))}`
  return `${node.text}`
}

export function shorten(text: string): string {
  return text.length > 40 ? `${text.slice(0, 37)}…` : text
}

export function readScalar(type: string, node: SourceNode): Read {
  if (node.kind !== 'scalar') return wrong(`is ${nameOfType(type)}, not ${kindOf(node)}`)
  if (type.startsWith('enum:')) return readEnum(type.slice(5), node)
  switch (type) {
    case 'bool':
      return readBool(node)
    case 'string':
      if (typeof node.value === 'string') return { value: node.value }
      return wrong(`is a text, not ${kindOf(node)}`, `write it in quotes: "${node.text}"`)
    case 'bytes':
      return readBytes(node)
    case 'duration':
      return readDuration(node)
    case 'timestamp':
      return Number.isNaN(Date.parse(node.text))
        ? wrong('is a time such as 2026-01-31T12:00:00Z')
        : { value: node.text }
    case 'double':
    case 'float':
      return readDouble(node)
    default:
      return readInteger(type, node)
  }
}

function nameOfType(type: string): string {
  if (type.startsWith('enum:')) return 'one of a few names'
  if (type === 'string') return 'a text'
  if (type === 'bool') return 'true or false'
  if (type === 'bytes') return 'a text in base64'
  if (type === 'duration') return 'a duration such as 1.5s'
  if (type === 'timestamp') return 'a time'
  return 'a number'
}

function readBool(node: ScalarNode): Read {
  if (typeof node.value === 'boolean') return { value: node.value }
  // The words of YAML 1.1, which Envoy's parser knows too.
  if (!node.quoted && /^(y|yes|on)$/i.test(node.text)) return { value: true }
  if (!node.quoted && /^(n|no|off)$/i.test(node.text)) return { value: false }
  if (node.value === 'true' || node.value === 'false') {
    return wrong('is true or false, not a text', `write ${node.value} without quotes`)
  }
  return wrong(`is true or false, not ${kindOf(node)}`)
}

function readBytes(node: ScalarNode): Read {
  const text = typeof node.value === 'string' ? node.value : node.text
  let end = text.length
  while (text[end - 1] === '=') end--
  const plain = text.slice(0, end).replace(/-/g, '+').replace(/_/g, '/')
  if (!/^[A-Za-z0-9+/]*$/.test(plain) || plain.length % 4 === 1) return wrong('is a text in base64')
  return { value: new Uint8Array(Buffer.from(plain, 'base64')) }
}

/** Google's JSON form: seconds with at most nine decimals, and the letter s. */
function readDuration(node: ScalarNode): Read {
  const text = String(node.value)
  const found = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/.exec(text)
  if (found === null)
    return wrong(`is a duration such as 1.5s, not ${kindOf(node)}`, durationHint(text))
  const [, sign, seconds, decimals = ''] = found
  if (Number(seconds) > 315_576_000_000) return wrong('is a duration of at most 10,000 years')
  const milliseconds = Number(seconds) * 1000 + Number(decimals.padEnd(9, '0')) / 1e6
  // No field of Envoy's takes a negative one.
  return sign === '-' && milliseconds > 0 ? wrong('must not be negative') : { value: milliseconds }
}

function durationHint(text: string): string | undefined {
  const found = /^(\d+(?:\.\d+)?)\s*(ms|m|min|h|)$/.exec(text)
  if (found === null) return undefined
  const factor = { ms: 0.001, m: 60, min: 60, h: 3600, '': 1 }[found[2] ?? ''] ?? 1
  return `write ${Number((Number(found[1]) * factor).toFixed(9))}s`
}

function readDouble(node: ScalarNode): Read {
  const value = typeof node.value === 'number' ? node.value : numberOf(node)
  if (value === undefined || Number.isNaN(value)) return wrong(`is a number, not ${kindOf(node)}`)
  return { value }
}

function readInteger(type: string, node: ScalarNode): Read {
  const value = typeof node.value === 'number' ? node.value : numberOf(node)
  if (value === undefined || !Number.isInteger(value)) {
    return wrong(`is a whole number, not ${kindOf(node)}`)
  }
  const [low, high] = integerRanges[type] ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  if (value < low) return wrong(low === 0 ? 'must not be negative' : `must be at least ${low}`)
  if (value > high) return wrong(`must be at most ${high}`)
  return { value }
}

/** JSON may write a number as text; 64-bit ones always are. */
function numberOf(node: ScalarNode): number | undefined {
  if (
    typeof node.value !== 'string' ||
    !/^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(node.value)
  ) {
    return undefined
  }
  return Number(node.value)
}

/**
 * Names in any case, as Envoy reads them, or numbers. The value is the name as the `.proto` file
 * has it.
 */
function readEnum(name: string, node: ScalarNode): Read {
  const values = enumSchema(name)
  if (typeof node.value === 'number') {
    for (const [known, number] of values) if (number === node.value) return { value: known }
  } else if (typeof node.value === 'string') {
    const upper = node.value.toUpperCase()
    if (values.has(upper)) return { value: upper }
    for (const known of values.keys()) if (known.toUpperCase() === upper) return { value: known }
  }
  const known = [...values.keys()]
  const hint = didYouMean(node.text, known)
  return wrong(`is ${kindOf(node)}, must be one of ${known.join(', ')}`, hint)
}

/** The value that an absent field has. */
export function zeroValue(type: string): unknown {
  if (type.startsWith('enum:')) return [...enumSchema(type.slice(5)).keys()][0]
  if (type === 'bool') return false
  if (type === 'string') return ''
  if (/^(u|s)?int|fixed|^double$|^float$/.test(type)) return 0
  return undefined
}
