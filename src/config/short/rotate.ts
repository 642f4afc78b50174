/** `rotate` of an access log, with the names that flush files have for it. */

import { nodeAt, type Value } from './nodes.ts'
import { type Field, isNull, type Reader } from './reader.ts'

const kUnits: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }
const kPeriods: ReadonlyMap<string, string> = new Map([
  ['hourly', 'HOURLY'],
  ['daily', 'DAILY'],
])

/** undefined: something is wrong, and was said. */
export function expandRotate(reader: Reader, field: Field): Value | undefined {
  const fields = reader.known(field.node, field.path, 'rotate', [
    'size',
    'interval',
    'keep',
    'gzip',
  ])
  const size = fields.get('size')
  const interval = fields.get('interval')
  if (size === undefined && interval === undefined) {
    return reader.refuse(field.spot, 'missing', 'needs "size" or "interval"')
  }
  const keep = fields.get('keep')
  const gzip = fields.get('gzip')
  return nodeAt(field.spot, {
    max_bytes: size && readSize(reader, size),
    ...(interval && readInterval(reader, interval)),
    keep: keep && { ...keep.node, path: keep.path },
    gzip: gzip && { ...gzip.node, path: gzip.path },
  })
}

const textOf = ({ node }: Field): string | undefined =>
  node.kind === 'scalar' && !isNull(node) ? node.text : undefined

function readSize(reader: Reader, field: Field): Value | undefined {
  const text = /^(\d{1,16})\s*([kmg]?)b?$/i.exec(textOf(field) ?? '')
  const bytes = text ? Number(text[1]) * (kUnits[text[2]?.toLowerCase() ?? ''] ?? 1) : Number.NaN
  if (!Number.isSafeInteger(bytes) || bytes < 4096) {
    const what = 'is bytes, 4096 or more, such as 104857600 or 100m'
    return reader.refuse(field.spot, 'bad-value', what)
  }
  return nodeAt(field.spot, String(bytes))
}

function readInterval(reader: Reader, field: Field): Record<string, Value | undefined> {
  const period = kPeriods.get(textOf(field) ?? '')
  if (period !== undefined) return { period: nodeAt(field.spot, period) }
  const text = reader.duration(field)
  return text === undefined ? {} : { interval: nodeAt(field.spot, text) }
}
