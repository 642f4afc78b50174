/**
 * The schema of Envoy's messages at run time: each message is parsed from its line when it is first
 * needed.
 */

import { enumTexts, messageTexts } from './schema.generated.ts'

/** How far a field is built; see implemented.yaml. An absent status: refused. */
export interface FieldStatus {
  readonly only?: readonly (string | number | boolean)[]
  /** What the core takes, where that is less than what the API allows; durations in ms. */
  readonly least?: number
  readonly most?: number
  readonly types?: readonly string[]
  /** The boolean field that lets another type be left out. */
  readonly optional?: string
  /** The message may be empty, and then has no type. */
  readonly empty?: boolean
  /** Of a list of extensions: what is not built is passed over where something else is. */
  readonly alternatives?: boolean
  readonly ignored?: string
  readonly later?: string
  readonly why?: string
}

/** `validate.rules` of the `.proto` files; durations in ms. */
export interface FieldRules {
  readonly required?: boolean
  readonly ignore_empty?: boolean
  readonly const?: unknown
  readonly in?: readonly unknown[]
  readonly not_in?: readonly unknown[]
  readonly min_len?: number
  readonly max_len?: number
  readonly len?: number
  readonly min_bytes?: number
  readonly max_bytes?: number
  readonly pattern?: string
  readonly prefix?: string
  readonly suffix?: string
  readonly contains?: string
  readonly well_known_regex?: string
  readonly strict?: boolean
  readonly uri?: boolean
  readonly gt?: number
  readonly gte?: number
  readonly lt?: number
  readonly lte?: number
  readonly defined_only?: boolean
  readonly min_items?: number
  readonly max_items?: number
  readonly unique?: boolean
  readonly min_pairs?: number
  readonly items?: FieldRules
  readonly keys?: FieldRules
  readonly values?: FieldRules
}

export interface FieldSchema {
  readonly name: string
  /** A scalar's name, a well-known type's, `enum:Name`, `message:Name`, or `opaque`. */
  readonly type: string
  readonly list?: 'list' | 'map'
  readonly oneof?: string
  /** The type's zero value is told apart from absence. */
  readonly presence?: boolean
  readonly deprecated?: boolean
  readonly rules?: FieldRules
  readonly status?: FieldStatus
}

export interface MessageSchema {
  readonly name: string
  readonly fields: readonly FieldSchema[]
  /** By the name in the `.proto` file and by its lowerCamelCase form: JSON may use either. */
  readonly byName: ReadonlyMap<string, FieldSchema>
  /** Oneofs of which one field has to be set. */
  readonly required: readonly string[]
}

const messages = new Map<string, MessageSchema>()
const enums = new Map<string, ReadonlyMap<string, number>>()

export function messageSchema(name: string): MessageSchema | undefined {
  const known = messages.get(name)
  if (known !== undefined) return known
  // The name is the user's; what every object has is no message.
  const text = Object.hasOwn(messageTexts, name) ? messageTexts[name] : undefined
  if (text === undefined) return undefined
  const parsed = JSON.parse(text) as { fields: FieldSchema[]; required?: string[] }
  const byName = new Map<string, FieldSchema>()
  for (const field of parsed.fields) {
    byName.set(field.name, field)
    byName.set(camelCase(field.name), field)
  }
  const schema = { name, fields: parsed.fields, byName, required: parsed.required ?? [] }
  messages.set(name, schema)
  return schema
}

/** Names and numbers of an enum, in the order of the numbers. */
export function enumSchema(name: string): ReadonlyMap<string, number> {
  let known = enums.get(name)
  if (known === undefined) {
    known = new Map(JSON.parse(enumTexts[name] ?? '[]') as [string, number][])
    enums.set(name, known)
  }
  return known
}

/** Every message that an extension can be. */
export function messageNames(): readonly string[] {
  return Object.keys(messageTexts)
}

export function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_all, letter: string) => letter.toUpperCase())
}
