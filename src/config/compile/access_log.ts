/** Access logs: where they go, their formats, and which requests they record. */

import { isDeepStrictEqual } from 'node:util'
import type {
  NativeAccessLog,
  NativeFormat,
  NativeLogFilter,
  NativeRotation,
} from '../../native/index.ts'
import { FormatError, kDefaultFormat, parseFormat } from '../format/format.ts'
import { type JsonFormatOptions, parseJsonFormat } from '../format/json.ts'
import type {
  AccessLog,
  AccessLogFilter,
  ComparisonFilter,
  FileAccessLog,
  JsonObject,
  RotatingFileAccessLog,
  Rotation,
  SubstitutionFormatString,
} from '../schema/messages.generated.ts'
import { readSource } from './actions.ts'
import { type Context, unpack } from './context.ts'
import { formatField } from './headers.ts'
import { compileHeaderMatcher } from './matchers.ts'

export function compileAccessLogs(
  context: Context,
  logs: readonly AccessLog[] | undefined,
): NativeAccessLog[] {
  return (logs ?? []).flatMap((log) => compileLog(context, log) ?? [])
}

function compileLog(context: Context, log: AccessLog): NativeAccessLog | undefined {
  const filter = log.filter && compileFilter(context, log.filter)
  const sink = compileSink(context, log)
  if (sink === undefined) return undefined
  const { target, format, rotation } = sink
  return { log: context.resolver.log(target, rotation), format, ...(filter && { filter }) }
}

const kRotatingFile = 'millrace.access_loggers.rotating_file.v1.RotatingFileAccessLog'

interface Sink {
  readonly target: string | 1 | 2
  readonly format: NativeFormat
  readonly rotation?: NativeRotation
}

function compileSink(
  context: Context,
  { typed_config: config, ...log }: AccessLog,
): Sink | undefined {
  const rotating = unpack(config, kRotatingFile)
  if (rotating !== undefined) return rotatingFile(context, rotating)
  const file = unpack(config, 'envoy.extensions.access_loggers.file.v3.FileAccessLog')
  if (file !== undefined) {
    // Opened by name, the two are files of their own, which a pipe or a socket behind them may
    // refuse.
    const standard = { '/dev/stdout': 1, '/dev/stderr': 2 } as const
    const path = file.path ?? ''
    const target = path === '/dev/stdout' || path === '/dev/stderr' ? standard[path] : path
    if (typeof target === 'string') rotateOnce(context, file, target, undefined)
    return { target, format: fileFormat(context, file) }
  }
  const stdout = unpack(config, 'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog')
  if (stdout !== undefined) return { target: 1, format: logFormat(context, stdout.log_format) }
  const stderr = unpack(config, 'envoy.extensions.access_loggers.stream.v3.StderrAccessLog')
  if (stderr !== undefined) return { target: 2, format: logFormat(context, stderr.log_format) }
  if (config === undefined) context.origins.addMissing(log, 'an access log needs typed_config')
  return undefined
}

function rotatingFile(context: Context, file: RotatingFileAccessLog): Sink {
  const { path = '', rotation: given = {} } = file
  const rotation = compileRotation(context, given)
  rotateOnce(context, file, path, rotation)
  return { target: path, format: logFormat(context, file.log_format), rotation }
}

function compileRotation({ origins }: Context, given: Rotation): NativeRotation {
  const { period = 'NONE', interval, gzip = false } = given
  const maxBytes = Number(given.max_bytes ?? 0)
  if (maxBytes === 0 && period === 'NONE' && interval === undefined) {
    origins.addMissing(given, 'needs max_bytes, period or interval')
  }
  if (interval !== undefined && period !== 'NONE') {
    origins.add(given, ['interval'], 'conflict', 'does not go with period')
  }
  if (given.keep === 0) {
    origins.add(given, ['keep'], 'bad-value', 'is 1 or more', 'leave it out to keep all')
  }
  const every = period === 'HOURLY' ? 'hour' : period === 'DAILY' ? 'day' : 'never'
  return {
    maxBytes,
    every: interval === undefined ? every : 'period',
    periodMs: interval ?? 0,
    keep: given.keep ?? 0,
    gzip,
  }
}

/** Whoever writes to a file that another one rotates would write to what is removed. */
function rotateOnce(
  { origins, rotations }: Context,
  message: FileAccessLog | RotatingFileAccessLog,
  path: string,
  rotation: NativeRotation | undefined,
): void {
  if (!rotations.has(path)) rotations.set(path, rotation)
  if (isDeepStrictEqual(rotations.get(path), rotation)) return
  const hint = 'give all access logs of the file the same rotation'
  origins.add(message, ['path'], 'conflict', 'is rotated otherwise by another access log', hint)
}

const text = (ops: ReturnType<typeof parseFormat>): NativeFormat => ({ mode: 'text', ops })

/** The older fields of a file's log say what `log_format` says too. */
function fileFormat(context: Context, file: FileAccessLog): NativeFormat {
  if (file.format !== undefined && file.format !== '') {
    return text(formatField(context, file, 'format', file.format))
  }
  if (file.json_format !== undefined) {
    return {
      mode: 'json',
      omitEmpty: false,
      root: jsonFormat(context, file.json_format, { textsOnly: true }),
    }
  }
  if (file.typed_json_format !== undefined) {
    return { mode: 'json', omitEmpty: false, root: jsonFormat(context, file.typed_json_format, {}) }
  }
  return logFormat(context, file.log_format)
}

function logFormat(context: Context, format: SubstitutionFormatString | undefined): NativeFormat {
  if (format === undefined) return text(parseFormat(kDefaultFormat))
  const omitEmpty = format.omit_empty_values ?? false
  if (format.json_format !== undefined) {
    const sortKeys = format.json_format_options?.sort_properties ?? false
    return { mode: 'json', omitEmpty, root: jsonFormat(context, format.json_format, { sortKeys }) }
  }
  const source = format.text_format_source
  const ops =
    source === undefined
      ? formatField(context, format, 'text_format', format.text_format ?? '')
      : formatField(
          context,
          source,
          'inline_string',
          Buffer.from(readSource(context, source)).toString(),
        )
  return { mode: 'text', ops, ...(omitEmpty && { omitEmpty }) }
}

function jsonFormat(context: Context, format: JsonObject, options: JsonFormatOptions) {
  let at: readonly (string | number)[] = []
  try {
    return parseJsonFormat(format, options, (path) => {
      at = path
    })
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    context.origins.addInStruct(format, at, [error.from, error.to], error.message, error.hint)
    return { kind: 'object', entries: [] } as const
  }
}

const operators = { EQ: 'eq', GE: 'ge', LE: 'le', NE: 'ne' } as const

function compileFilter(context: Context, filter: AccessLogFilter): NativeLogFilter | undefined {
  const { status_code_filter: status, duration_filter: duration } = filter
  if (status !== undefined) return comparison(context, 'status', status.comparison)
  if (duration !== undefined) return comparison(context, 'duration', duration.comparison)
  for (const kind of ['and', 'or'] as const) {
    const parts = filter[`${kind}_filter`]?.filters
    if (parts === undefined) continue
    return { kind, filters: parts.flatMap((part) => compileFilter(context, part) ?? []) }
  }
  const header = filter.header_filter?.header
  if (header !== undefined) return { kind: 'header', header: compileHeaderMatcher(context, header) }
  const flags = filter.response_flag_filter
  return flags && { kind: 'flag', flags: flags.flags ?? [] }
}

function comparison(
  context: Context,
  kind: 'status' | 'duration',
  filter: ComparisonFilter | undefined,
): NativeLogFilter | undefined {
  if (filter?.value === undefined) return undefined
  const { default_value: value = 0, runtime_key: key = '' } = filter.value
  const flag = key === '' ? -1 : context.resolver.runtime(key)
  return { kind, op: operators[filter.op ?? 'EQ'], value, flag }
}
