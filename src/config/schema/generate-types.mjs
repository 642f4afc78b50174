// The TypeScript types of Envoy's messages: as the compiler reads them (only fields that are built,
// so that reading one that is not is a type error), and as a program writes them.

const scalars = {
  bool: 'boolean',
  string: 'string',
  bytes: 'Uint8Array',
  duration: 'number',
  timestamp: 'string',
  any: 'AnyMessage',
  struct: 'JsonObject',
  value: 'JsonValue',
  list: 'readonly JsonValue[]',
}

/** `envoy.config.route.v3.WeightedCluster.ClusterWeight` → `WeightedClusterClusterWeight`. */
const shortName = (name) =>
  name
    .split('.')
    .filter((part) => /^[A-Z]/.test(part))
    .join('')

function typeOf(field, names, enums) {
  const [kind, name] = field.type.split(':')
  if (kind === 'message') return names.get(name)
  if (kind === 'enum') return enumType(enums[name], field.status?.only)
  return scalars[kind] ?? 'number'
}

function enumType(values, only) {
  const allowed = only ?? values.map(([value]) => value)
  return allowed.map((value) => `'${value}'`).join(' | ')
}

const isRead = (field) => field.status !== undefined && !field.status.ignored && !field.status.later

function fieldLine(field, names, enums) {
  const type = typeOf(field, names, enums)
  const list = /[|]/.test(type) || type.startsWith('readonly') ? `(${type})` : type
  const whole =
    field.list === 'list'
      ? `readonly ${list}[]`
      : field.list === 'map'
        ? `Readonly<Record<string, ${type}>>`
        : type
  return `  readonly ${field.name}?: ${whole}\n`
}

/**
 * Names of the messages that implemented.yaml lists, told apart where two packages use the same.
 */
function chooseNames(implemented) {
  const names = new Map()
  for (const name of Object.keys(implemented)) {
    let short = shortName(name)
    if ([...names.values()].includes(short)) {
      const parts = name.split('.').filter((part) => /^[a-z]/.test(part))
      short =
        parts.at(-2).replace(/(^|_)([a-z])/g, (_all, _bar, letter) => letter.toUpperCase()) + short
    }
    names.set(name, short)
  }
  return names
}

export function messageTypes({ messages, enums, implemented }) {
  const names = chooseNames(implemented)
  const extensions = new Set()
  let text =
    "// Made by generate.mjs from Envoy's .proto files and implemented.yaml; not to be edited.\n" +
    '// biome-ignore-all format: as generated\n\n' +
    '/** Values as they are in JSON. */\n' +
    'export type JsonScalar = null | boolean | number | string\n' +
    'export type JsonValue = JsonScalar | readonly JsonValue[] | JsonObject\n' +
    'export type JsonObject = { readonly [key: string]: JsonValue }\n\n' +
    '/** An extension: the fields of the message that `@type` names. Narrowed by `unpack`. */\n' +
    "export interface AnyMessage {\n  readonly '@type': string\n}\n"
  for (const [name, short] of names) {
    const fields = messages[name].fields.filter(isRead)
    for (const field of fields) for (const type of field.status.types ?? []) extensions.add(type)
    const body = fields.map((field) => fieldLine(field, names, enums)).join('')
    text += `\n/** ${name} */\n`
    text +=
      body === '' ? `export type ${short} = object\n` : `export interface ${short} {\n${body}}\n`
  }
  const known = [...extensions].sort().map((name) => `  '${name}': ${names.get(name)}\n`)
  text += '\n/** The extensions that are built. */\n'
  return `${text}export interface ExtensionTypes {\n${known.join('')}}\n`
}

/** How JSON writes what is no number, and no message. */
const writtenScalars = {
  bool: 'boolean',
  string: 'string',
  bytes: 'string',
  duration: 'EnvoyDuration',
  timestamp: 'string',
  struct: 'Readonly<Record<string, unknown>>',
  value: 'unknown',
  list: 'readonly unknown[]',
}

function writtenType(field, names, enums) {
  const [kind, name] = field.type.split(':')
  if (field.status.ignored) return 'unknown'
  if (kind === 'message') return names.get(name) ?? 'unknown'
  if (kind === 'enum') return enumType(enums[name], field.status.only)
  if (kind === 'any') {
    const types = (field.status.types ?? []).map((type) => `'${type}'`)
    const extension = types.length > 0 ? `EnvoyExtension<${types.join(' | ')}>` : 'unknown'
    return field.status.empty ? `${extension} | Readonly<Record<string, never>>` : extension
  }
  return writtenScalars[kind] ?? (kind.endsWith('64') ? 'number | string' : 'number')
}

function writtenLine(field, names, enums) {
  const type = writtenType(field, names, enums)
  const item = /[|]/.test(type) || type.startsWith('readonly') ? `(${type})` : type
  const whole = { list: `readonly ${item}[]`, map: `Readonly<Record<string, ${type}>>` }[field.list]
  return `  readonly ${field.name}?: ${whole ?? type}\n`
}

/** The messages as a program writes them: fields that are taken, under the names of the files. */
export function writtenTypes({ messages, enums, implemented }) {
  const names = chooseNames(implemented)
  const extensions = new Set()
  let text =
    "// Made by generate.mjs from Envoy's .proto files and implemented.yaml; not to be edited.\n" +
    '// biome-ignore-all format: as generated\n\n' +
    '/** Seconds, such as `0.25s`. */\n' +
    'export type EnvoyDuration = `${number}s`\n\n' +
    '/** One of these messages, with the URL that says which. */\n' +
    'export type EnvoyExtension<N extends keyof EnvoyExtensions> = {\n' +
    "  [K in N]: EnvoyExtensions[K] & { readonly '@type': `type.googleapis.com/${K}` }\n}[N]\n"
  for (const [name, short] of names) {
    const fields = messages[name].fields.filter(({ status }) => status && !status.later)
    for (const { status } of fields) for (const type of status.types ?? []) extensions.add(type)
    const body = fields.map((field) => writtenLine(field, names, enums)).join('')
    text += `\n/** ${name} */\n`
    text +=
      body === '' ? `export type ${short} = object\n` : `export interface ${short} {\n${body}}\n`
  }
  const known = [...extensions].sort().map((name) => `  '${name}': ${names.get(name)}\n`)
  text += '\n/** The extensions that are built. */\n'
  return `${text}export interface EnvoyExtensions {\n${known.join('')}}\n`
}
