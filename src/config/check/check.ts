/**
 * Checks a source tree against the schema of Envoy's messages and makes plain objects of it: fields
 * by their names in the `.proto` files, durations in ms, wrappers unwrapped, enums by name,
 * extensions with their `@type`. What cannot be read is left out and said; the rest goes on, so
 * that everything is said at once.
 */

import type { Steps } from '../../slices.ts'
import type { ProblemCode } from '../problem.ts'
import type { Problems } from '../problems.ts'
import {
  camelCase,
  type FieldSchema,
  type MessageSchema,
  messageNames,
  messageSchema,
} from '../schema/schema.ts'
import {
  childPath,
  entryOf,
  type MapEntry,
  type MapNode,
  type SourceNode,
  toJson,
} from '../source/tree.ts'
import { didYouMean } from '../suggest.ts'
import type { Origins } from './origins.ts'
import { violation } from './rules.ts'
import { kindOf, readScalar, zeroValue } from './scalars.ts'

type Message = Record<string, unknown>

/**
 * Where the walk is. `built`: fields that Millrace does not implement are to be refused (not again
 * inside of one).
 */
interface At {
  readonly path: string
  readonly built: boolean
  /** An extension that is not built is left out. */
  readonly lenient?: boolean
}

/** Lists of more messages than these are checked by and by. */
const kAtOnceMax = 16

const kTypedStructs = new Set(['xds.type.v3.TypedStruct', 'udpa.type.v1.TypedStruct'])

export class Checker {
  readonly #problems: Problems
  readonly #origins: Origins
  /** Messages of long lists, which are checked after what is around them. */
  readonly #later: (() => void)[] = []

  constructor(problems: Problems, origins: Origins) {
    this.#problems = problems
    this.#origins = origins
  }

  /** The message, or undefined when the node is none at all. */
  *check(node: SourceNode, type: string): Steps<Message | undefined> {
    const schema = messageSchema(type)
    if (schema === undefined) throw new Error(`the schema has no ${type}`)
    const message = this.#message(node, schema, { path: node.path ?? '', built: true })
    yield
    for (let i = 0; i < this.#later.length; i++) {
      this.#later[i]?.()
      yield
    }
    return message
  }

  #refuse(
    code: ProblemCode,
    node: { readonly start: number; readonly end: number },
    path: string,
    message: string,
    hint?: string,
  ): void {
    this.#problems.add({ code, message, hint, path, start: node.start, end: node.end })
  }

  #message(node: SourceNode, schema: MessageSchema, at: At, skip?: string): Message | undefined {
    if (node.kind !== 'map') {
      const empty = node.kind === 'scalar' && node.value === null
      if (!empty)
        this.#refuse('wrong-type', node, at.path, `is a map of fields, not ${kindOf(node)}`)
      return empty ? {} : undefined
    }
    const message: Message = {}
    const written = new Map<FieldSchema, { entry: MapEntry; path: string }>()
    let unknown = false
    for (const entry of node.entries) {
      if (entry.key === skip) continue
      const path = entry.value.path ?? childPath(at.path, entry.key)
      const field = schema.byName.get(entry.key)
      if (field === undefined) {
        unknown = true
        this.#unknownField(entry, schema, path)
      } else if (written.has(field)) {
        this.#refuse('duplicate', keyOf(entry), path, `${field.name} is in this message twice`)
      } else {
        written.set(field, { entry, path })
      }
    }
    this.#origins.set(message, { node, path: at.path, schema })
    for (const [field, { entry, path }] of written) {
      const lenient = isOptional(field, written)
      const value = this.#field(entry, field, { path, built: at.built, lenient })
      if (value !== undefined) message[field.name] = value
    }
    this.#oneofs(schema, written, node, at, unknown)
    if (!unknown) this.#absent(schema, written, node, at)
    return message
  }

  #unknownField(entry: MapEntry, schema: MessageSchema, path: string): void {
    const hint = didYouMean(entry.key, schema.byName.keys())
    const type = schema.name.replace(/^.*\.v\d\w*\./, '')
    this.#refuse('unknown-field', keyOf(entry), path, `no such field in ${type}`, hint)
  }

  #oneofs(
    schema: MessageSchema,
    written: ReadonlyMap<FieldSchema, { entry: MapEntry; path: string }>,
    node: MapNode,
    at: At,
    unknown: boolean,
  ): void {
    const set = new Map<string, string>()
    for (const [field, { entry, path }] of written) {
      if (field.oneof === undefined || isNull(entry.value)) continue
      const other = set.get(field.oneof)
      if (other !== undefined) {
        this.#refuse('conflict', keyOf(entry), path, `excludes ${other}, which is set here too`)
      }
      set.set(field.oneof, entry.key)
    }
    if (unknown) return
    for (const oneof of schema.required) {
      if (set.has(oneof)) continue
      const names = schema.fields
        .filter((field) => field.oneof === oneof)
        .map((field) => field.name)
      this.#refuse('missing', firstOf(node), at.path, `needs one of ${names.join(', ')}`)
    }
  }

  /** The rules also hold for what is not there: an absent field has its type's zero value. */
  #absent(
    schema: MessageSchema,
    written: ReadonlyMap<FieldSchema, { entry: MapEntry; path: string }>,
    node: MapNode,
    at: At,
  ): void {
    for (const field of schema.fields) {
      const { rules, list, type } = field
      if (rules === undefined || written.has(field) || field.oneof !== undefined) continue
      const missing =
        list !== undefined
          ? (rules.min_items ?? rules.min_pairs ?? 0) > 0
          : rules.required === true ||
            (!field.presence && zeroValue(type) !== undefined && violation(rules, zeroValue(type)))
      if (missing) this.#refuse('missing', firstOf(node), at.path, `needs ${field.name}`)
    }
  }

  #field(entry: MapEntry, field: FieldSchema, at: At): unknown {
    const { value: node } = entry
    if (isNull(node) && field.type !== 'value') return undefined
    const status = field.status
    const refused = at.built && (status === undefined || status.later !== undefined)
    const built = at.built && !refused && status?.ignored === undefined
    const inner = { ...at, built }
    const value = this.#values(node, field, inner)
    if (refused && value !== undefined && !isDefault(value, field)) {
      const reason = status?.later === undefined ? '' : `: ${status.later}`
      this.#refuse('not-supported', keyOf(entry), at.path, `not supported yet${reason}`)
    }
    return inner.built || !at.built ? value : undefined
  }

  #values(node: SourceNode, field: FieldSchema, at: At): unknown {
    if (field.list === 'list') return this.#list(node, field, at)
    if (field.list === 'map') return this.#map(node, field, at)
    return this.#value(node, field, field.rules, at)
  }

  #list(node: SourceNode, field: FieldSchema, at: At): unknown[] | undefined {
    if (node.kind !== 'list') {
      this.#refuse('wrong-type', node, at.path, `is a list, not ${kindOf(node)}`)
      return undefined
    }
    const { min_items = 0, max_items = Number.POSITIVE_INFINITY, unique, items } = field.rules ?? {}
    const count = node.items.length
    if (count < min_items)
      this.#refuse('bad-value', node, at.path, `needs at least ${min_items} in the list`)
    if (count > max_items)
      this.#refuse('bad-value', node, at.path, `has ${count}, may have at most ${max_items}`)
    const values: unknown[] = []
    const seen = new Set<string>()
    const alternatives = field.status?.alternatives === true
    const passedOver = alternatives ? unbuiltAlternatives(node.items) : kNone
    // Whether a list that is to be refused says anything has to be known at once.
    const many = count > kAtOnceMax && field.type.startsWith('message:')
    const long = many && at.built && !unique && !alternatives
    node.items.forEach((item, i) => {
      const path = item.path ?? `${at.path}[${i}]`
      if (long) {
        this.#later.push(() => {
          const value = this.#value(item, field, items, { path, built: true })
          if (value !== undefined) values.push(value)
        })
        return
      }
      const built = at.built && !passedOver.has(item)
      const value = this.#value(item, field, items, { path, built })
      if (passedOver.has(item)) return
      const text = unique ? JSON.stringify(value) : ''
      if (unique && seen.has(text))
        this.#refuse('duplicate', item, path, `${text} is in the list twice`)
      seen.add(text)
      if (value !== undefined) values.push(value)
    })
    return values
  }

  #map(node: SourceNode, field: FieldSchema, at: At): Message | undefined {
    if (node.kind !== 'map') {
      this.#refuse('wrong-type', node, at.path, `is a map, not ${kindOf(node)}`)
      return undefined
    }
    const values = new Map<string, unknown>()
    for (const entry of node.entries) {
      const path = entry.value.path ?? childPath(at.path, entry.key)
      const value = this.#value(entry.value, field, field.rules?.values, { path, built: at.built })
      if (value !== undefined) values.set(entry.key, value)
    }
    return Object.fromEntries(values)
  }

  #value(node: SourceNode, field: FieldSchema, rules: FieldSchema['rules'], at: At): unknown {
    const { type, status } = field
    if (type.startsWith('message:')) {
      const schema = messageSchema(type.slice(8))
      return schema === undefined ? undefined : this.#message(node, schema, at)
    }
    if (type === 'any') return this.#any(node, field, at)
    if (type === 'opaque' || type === 'value') return toJson(node)
    if (type === 'struct' || type === 'list') return this.#json(node, type, at)
    const read = readScalar(type, node)
    if ('wrong' in read) {
      const code = node.kind === 'scalar' && type.startsWith('enum:') ? 'bad-value' : 'wrong-type'
      this.#refuse(code, node, at.path, read.wrong.message, read.wrong.hint)
      return undefined
    }
    const broken = rules && violation(rules, read.value, type === 'duration')
    if (broken) {
      this.#refuse('bad-value', node, at.path, broken.message, broken.hint)
      return undefined
    }
    // Envoy's DurationUtil::durationToMilliseconds: what is less than a millisecond is not counted.
    const value = type === 'duration' ? Math.floor(Number(read.value)) : read.value
    const beyond = at.built ? beyondCore(field, value) : undefined
    if (beyond !== undefined) {
      this.#refuse('bad-value', node, at.path, beyond)
      return undefined
    }
    const only = at.built ? status?.only : undefined
    if (only !== undefined && !only.some((value) => value === read.value)) {
      const why = status?.why === undefined ? '' : `: ${status.why}`
      this.#refuse(
        'not-supported',
        node,
        at.path,
        `${String(read.value)} is not supported yet${why}`,
      )
      return undefined
    }
    return value
  }

  #json(node: SourceNode, type: 'struct' | 'list', at: At): unknown {
    const kind = type === 'struct' ? 'map' : 'list'
    if (node.kind === kind) {
      const json = toJson(node)
      if (typeof json === 'object' && json !== null) {
        this.#origins.set(json, { node, path: at.path })
      }
      return json
    }
    this.#refuse('wrong-type', node, at.path, `is a ${kind}, not ${kindOf(node)}`)
    return undefined
  }

  /** An extension: `@type` says which message the other keys are fields of. */
  #any(node: SourceNode, field: FieldSchema, at: At): Message | undefined {
    if (node.kind !== 'map') {
      this.#refuse('wrong-type', node, at.path, `is a map with "@type", not ${kindOf(node)}`)
      return undefined
    }
    if (field.status?.empty && node.entries.length === 0) return { '@type': '' }
    const named = entryOf(node, '@type')
    if (
      named === undefined ||
      named.value.kind !== 'scalar' ||
      typeof named.value.value !== 'string'
    ) {
      const hint = 'write "@type": type.googleapis.com/… with the full name of the message'
      this.#refuse('missing', firstOf(node), at.path, 'needs "@type"', hint)
      return undefined
    }
    const name = named.value.value.replace(/^.*\//, '')
    const payload = kTypedStructs.has(name) ? structPayload(node) : { name, node, skip: '@type' }
    if (payload === undefined) {
      this.#refuse('missing', node, at.path, 'a TypedStruct needs type_url and value')
      return undefined
    }
    const schema = messageSchema(payload.name)
    const allowed = field.status?.types?.includes(payload.name) ?? false
    if (at.built && !allowed && !at.lenient) this.#refuseType(payload.name, named, at, field)
    if (schema === undefined) return undefined
    const inner = { path: at.path, built: at.built && allowed }
    const message = this.#message(payload.node, schema, inner, payload.skip)
    if (message !== undefined) message['@type'] = payload.name
    return allowed ? message : undefined
  }

  #refuseType(name: string, named: MapEntry, at: At, field: FieldSchema): void {
    const path = named.value.path ?? childPath(at.path, '@type')
    const known = messageSchema(name) !== undefined || name.startsWith('google.protobuf.')
    const hint = known ? undefined : didYouMean(name, messageNames())
    // The schema has the extensions of Envoy's own API package; what is added elsewhere is known by
    // its package only.
    if (known || (hint === undefined && name.startsWith('envoy.'))) {
      const why = field.status?.why === undefined ? '' : `: ${field.status.why}`
      this.#refuse('not-supported', named.value, path, `${name} is not supported yet${why}`)
    } else {
      this.#refuse('unknown-type', named.value, path, `no message is called ${name}`, hint)
    }
  }
}

const kNone: ReadonlySet<SourceNode> = new Set()

/** Those of a list of TypedExtensionConfigs that are not built, if another one is. */
function unbuiltAlternatives(items: readonly SourceNode[]): ReadonlySet<SourceNode> {
  const extension = messageSchema('envoy.config.core.v3.TypedExtensionConfig')
  const types = extension?.byName.get('typed_config')?.status?.types ?? []
  const isBuilt = (item: SourceNode): boolean => types.includes(extensionType(item) ?? '')
  return items.some(isBuilt) ? new Set(items.filter((item) => !isBuilt(item))) : kNone
}

function extensionType(item: SourceNode): string | undefined {
  const config = child(child(item, 'typed_extension_config'), 'typed_config')
  const named = child(config, '@type')
  const name = named?.kind === 'scalar' ? String(named.value).replace(/^.*\//, '') : undefined
  if (name === undefined || !kTypedStructs.has(name)) return name
  return config?.kind === 'map' ? structPayload(config)?.name : undefined
}

/** JSON may use either form of a field's name. */
function child(node: SourceNode | undefined, field: string): SourceNode | undefined {
  if (node?.kind !== 'map') return undefined
  return (entryOf(node, field) ?? entryOf(node, camelCase(field)))?.value
}

function structPayload(
  node: MapNode,
): { name: string; node: SourceNode; skip?: string } | undefined {
  const url = entryOf(node, 'type_url')?.value
  const value = entryOf(node, 'value')?.value
  if (url?.kind !== 'scalar' || typeof url.value !== 'string' || value === undefined)
    return undefined
  return { name: url.value.replace(/^.*\//, ''), node: value }
}

/** Whether the field that `status.optional` names is set to true beside this one. */
function isOptional(
  { status }: FieldSchema,
  written: ReadonlyMap<FieldSchema, { entry: MapEntry }>,
): boolean {
  if (status?.optional === undefined) return false
  for (const [field, { entry }] of written) {
    if (field.name !== status.optional) continue
    return entry.value.kind === 'scalar' && entry.value.value === true
  }
  return false
}

const isNull = (node: SourceNode): boolean => node.kind === 'scalar' && node.value === null

const keyOf = (entry: MapEntry) => ({ start: entry.keyStart, end: entry.keyEnd })

/** A message is pointed at by its first line, not by all of it. */
function firstOf(node: MapNode): { start: number; end: number } {
  const first = node.entries[0]
  return first === undefined
    ? node
    : { start: node.start, end: Math.max(first.keyEnd, node.start + 1) }
}

/**
 * Whether a value says nothing: an empty list or map, or the zero value of a field without
 * presence.
 */
function isDefault(value: unknown, field: FieldSchema): boolean {
  if (Array.isArray(value)) return value.length === 0
  if (field.list === 'map') return Object.keys(value as object).length === 0
  return !field.presence && value === zeroValue(field.type)
}

/** What is wrong with a number that Envoy's API allows and the core does not take. */
function beyondCore({ type, status }: FieldSchema, value: unknown): string | undefined {
  const { least, most, why } = status ?? {}
  if (typeof value !== 'number') return undefined
  const written = (bound: number): string => (type === 'duration' ? `${bound / 1000}s` : `${bound}`)
  if (most !== undefined && value > most) return `must be at most ${written(most)}: ${why}`
  if (least !== undefined && value < least) return `must be at least ${written(least)}: ${why}`
  return undefined
}
