/** Envoy's format strings to operators for the native core. */

import { hostname } from 'node:os'
import type { NativeFormatOp } from '../../native/index.ts'
import { didYouMean } from '../suggest.ts'
import {
  kAliases,
  kLaterOperators,
  kOperators,
  kPathQuery,
  kPathSource,
  kTimeConversions,
  kTimePoints,
  kTimeUnits,
  type Operator,
} from './operators.ts'

/** What is wrong with a format string, and which of its characters are meant. */
export class FormatError extends Error {
  readonly from: number
  readonly to: number
  readonly hint: string | undefined

  constructor(message: string, from: number, to: number, hint?: string) {
    super(message)
    this.name = 'FormatError'
    this.from = from
    this.to = to
    this.hint = hint
  }
}

/** The format of an access log that names none (SEMANTICS of Envoy: http_formatter_context.cc). */
export const kDefaultFormat: string =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% ' +
  '%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ' +
  '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n'

/** Limits of the native core's programs (native/proxy/formatter.h and format_time.h). */
const kTimeTextMax = 512
const kLiteralBytesMax = 16 * 1024
const kPartsMax = 512

interface Spot {
  readonly from: number
  readonly to: number
}

/** Literals and operators; throws a FormatError. `%%` is a percent sign. */
export function parseFormat(format: string): NativeFormatOp[] {
  const ops: NativeFormatOp[] = []
  let literal = ''
  for (let at = 0; at < format.length; ) {
    const percent = format.indexOf('%', at)
    literal += format.slice(at, percent < 0 ? format.length : percent)
    if (percent < 0) break
    if (format[percent + 1] === '%') {
      literal += '%'
      at = percent + 2
      continue
    }
    const { op, end } = parseOperator(format, percent)
    at = end
    // What is known now is a literal from now on.
    if (typeof op === 'string') literal += op
    else {
      if (literal !== '') ops.push(literal)
      literal = ''
      ops.push(op)
    }
  }
  if (literal !== '') ops.push(literal)
  const literals = ops.map((op) => (typeof op === 'string' ? Buffer.byteLength(op) : 0))
  if (ops.length > kPartsMax || literals.reduce((sum, size) => sum + size, 0) > kLiteralBytesMax) {
    const limits = `${kPartsMax} parts and ${kLiteralBytesMax} bytes of text`
    throw new FormatError(`a format has at most ${limits}`, 0, format.length)
  }
  return ops
}

const kOperatorSyntax = /%([A-Z0-9_]+)(?:\(([^)]*)\))?(?::(\d+))?%/y

function parseOperator(format: string, from: number): { op: NativeFormatOp; end: number } {
  kOperatorSyntax.lastIndex = from
  const found = kOperatorSyntax.exec(format)
  if (found === null) throw unreadable(format, from)
  const [all, written = '', parameters, length] = found
  const name = kAliases.get(written) ?? written
  const spot = { from, to: from + all.length }
  const operator = kOperators.get(name)
  if (operator === undefined) throw unknown(name, spot)
  checkShape(name, operator, parameters, length, spot)
  const max = length === undefined ? {} : { max: Number(length) }
  return { op: build(name, parameters, max, spot), end: spot.to }
}

function unreadable(format: string, from: number): FormatError {
  const name = /^%([A-Za-z0-9_]*)/.exec(format.slice(from))?.[1] ?? ''
  const hint =
    name === ''
      ? 'write %% for a percent sign'
      : (didYouMean(name, kOperators.keys()) ??
        'an operator is %NAME%, %NAME(…)% or %NAME(…):length%')
  return new FormatError('this "%" begins no operator', from, from + 1 + name.length, hint)
}

function unknown(name: string, spot: Spot): FormatError {
  const later = kLaterOperators.get(name)
  if (later !== undefined) {
    return new FormatError(`%${name}% is not supported yet: ${later}`, spot.from, spot.to)
  }
  const hint = didYouMean(name, [...kOperators.keys(), ...kLaterOperators.keys()])
  return new FormatError(`no operator is called ${name}`, spot.from, spot.to, hint)
}

function checkShape(
  name: string,
  operator: Operator,
  parameters: string | undefined,
  length: string | undefined,
  spot: Spot,
): void {
  if (operator.parameters === 'required' && !parameters) {
    throw new FormatError(`%${name}% needs something in parentheses`, spot.from, spot.to)
  }
  if (operator.parameters === 'none' && parameters !== undefined) {
    throw new FormatError(`%${name}% takes no parentheses`, spot.from, spot.to)
  }
  if (!operator.length && length !== undefined) {
    throw new FormatError(`%${name}% takes no length`, spot.from, spot.to)
  }
}

function build(
  name: string,
  parameters: string | undefined,
  max: { max?: number },
  spot: Spot,
): NativeFormatOp {
  switch (name) {
    case 'HOSTNAME':
      return hostname()
    case 'ENVIRONMENT':
      return (process.env[parameters ?? ''] ?? '-').slice(0, max.max)
    case 'REQ':
    case 'RESP':
    case 'TRAILER':
      return { op: name, ...headerNames(parameters ?? '', spot), ...max }
    case 'COMMON_DURATION':
      return { op: name, ...duration(parameters ?? '', spot) }
    case 'START_TIME':
    case 'EMIT_TIME':
      checkTime(parameters ?? '', spot)
      return { op: name, ...(parameters ? { a: parameters } : {}) }
    case 'RESPONSE_CODE_DETAILS':
      if (parameters) choose(parameters, ['ALLOW_WHITESPACES'], 'option', spot)
      return { op: name, ...(parameters ? { a: parameters } : {}) }
    case 'PATH':
      return { op: name, ...pathOptions(parameters, spot), ...max }
    default:
      return { op: name, ...(parameters ? { a: parameters } : {}), ...max }
  }
}

function headerNames(parameters: string, spot: Spot): { a: string; b?: string } {
  const names = parameters.toLowerCase().split('?')
  const [a = '', b] = names
  const wrong = names.find((name) => !/^:?[\w!#$%&'*+.^`|~-]+$/.test(name))
  if (names.length > 2 || wrong !== undefined) {
    const hint = 'one name, or two: %REQ(X-FIRST?X-SECOND)%'
    throw new FormatError(`"${parameters}" is not a header's name`, spot.from, spot.to, hint)
  }
  return b === undefined ? { a } : { a, b }
}

function duration(parameters: string, spot: Spot): { a: string; b: string; c: string } {
  const [a = '', b = '', c = '', ...rest] = parameters.split(':')
  if (rest.length > 0 || c === '') {
    throw new FormatError('%COMMON_DURATION% is written (from:to:unit)', spot.from, spot.to)
  }
  for (const point of [a, b]) choose(point, kTimePoints, 'point in time', spot)
  choose(c, kTimeUnits, 'unit', spot)
  return { a, b, c }
}

/** A format of a time: text and strftime's conversions, and fractions of a second. */
function checkTime(format: string, spot: Spot): void {
  // `%c` is the longest conversion, and stands for seven others.
  const longest =
    format.length +
    20 * (format.match(/%./g) ?? []).length +
    50 * (format.match(/%c/g) ?? []).length
  if (longest > kTimeTextMax || /[\r\n]/.test(format)) {
    const text = `a time is one line, and as text it has at most ${kTimeTextMax} characters`
    throw new FormatError(text, spot.from, spot.to)
  }
  for (const [conversion, digits, letter = ''] of format.matchAll(/%([1-9]?)(.?)/g)) {
    const fraction = letter === 'f'
    if (!fraction && (digits !== '' || letter === '' || !kTimeConversions.includes(letter))) {
      const hint = "strftime's letters, %s for seconds since 1970, %3f for milliseconds"
      throw new FormatError(`a time has no conversion ${conversion}`, spot.from, spot.to, hint)
    }
  }
}

/** `%PATH(WQ|NQ:ORIG|PATH|ORIG_OR_PATH)%`: with or without the query, and which path. */
function pathOptions(parameters: string | undefined, spot: Spot): { a: string; b: string } {
  const [a = 'WQ', b = 'ORIG_OR_PATH'] = (parameters ?? '')
    .split(':')
    .map((part) => part || undefined)
  choose(a, kPathQuery, 'option', spot)
  choose(b, kPathSource, 'option', spot)
  return { a, b }
}

function choose(value: string, known: readonly string[], what: string, spot: Spot): void {
  if (known.includes(value)) return
  const hint = didYouMean(value, known) ?? `one of ${known.join(', ')}`
  throw new FormatError(`no ${what} is called "${value}"`, spot.from, spot.to, hint)
}
