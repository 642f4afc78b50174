// Makes the schema and the TypeScript types of the configuration from Envoy's .proto files (which
// come with @grpc/grpc-js-xds), from our own in proto/, and from implemented.yaml.
//
//   node src/config/schema/generate.mjs           writes the generated files and the field table
//   node src/config/schema/generate.mjs --check   fails when one of them is not what it would write

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import protobuf from 'protobufjs'
import { parse as parseYaml } from 'yaml'
import { fieldTable } from './generate-docs.mjs'
import { messageTypes, writtenTypes } from './generate-types.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const docsFile = join(here, '../../../docs/configuration.md')

/**
 * Where the closure begins: what a configuration file and a file of resources start with, and the
 * extensions that occur in one.
 */
const rootMessages = [
  'envoy.config.bootstrap.v3.Bootstrap',
  'envoy.service.discovery.v3.DiscoveryResponse',
  // Only ever in an Any: what routes say to filters.
  'envoy.config.route.v3.FilterConfig',
]
const extensionFolders = [
  'millrace',
  'envoy/extensions',
  'envoy/config/trace/v3',
  'envoy/type/matcher/v3',
]

const scalarTypes = new Set([
  ...['bool', 'string', 'bytes', 'double', 'float'],
  ...['int32', 'uint32', 'sint32', 'fixed32', 'sfixed32'],
  ...['int64', 'uint64', 'sint64', 'fixed64', 'sfixed64'],
])
/** Messages whose JSON form is not an object of their fields. */
const wellKnown = {
  'google.protobuf.Any': 'any',
  'google.protobuf.Duration': 'duration',
  'google.protobuf.Timestamp': 'timestamp',
  'google.protobuf.FieldMask': 'string',
  'google.protobuf.Struct': 'struct',
  'google.protobuf.Value': 'value',
  'google.protobuf.ListValue': 'list',
  'google.protobuf.DoubleValue': 'double',
  'google.protobuf.FloatValue': 'float',
  'google.protobuf.Int64Value': 'int64',
  'google.protobuf.UInt64Value': 'uint64',
  'google.protobuf.Int32Value': 'int32',
  'google.protobuf.UInt32Value': 'uint32',
  'google.protobuf.BoolValue': 'bool',
  'google.protobuf.StringValue': 'string',
  'google.protobuf.BytesValue': 'bytes',
}

function protoFiles(folder, prefix = '') {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const name = prefix + entry.name
      // The v2 API imports files that are not there, and nothing of ours needs it.
      if (entry.isDirectory()) {
        return /^v2(alpha)?$/.test(entry.name)
          ? []
          : protoFiles(join(folder, entry.name), `${name}/`)
      }
      return entry.name.endsWith('.proto') ? [name] : []
    })
}

function loadProtos() {
  const require = createRequire(import.meta.url)
  const deps = join(dirname(require.resolve('@grpc/grpc-js-xds/package.json')), 'deps')
  const root = new protobuf.Root()
  const extensions = []
  for (const folder of [join(deps, 'envoy-api'), join(deps, 'xds'), join(here, 'proto')]) {
    for (const name of protoFiles(folder)) {
      const parsed = protobuf.parse(readFileSync(join(folder, name), 'utf8'), root, {
        keepCase: true,
      })
      if (extensionFolders.some((folder) => name.startsWith(folder)))
        extensions.push(parsed.package)
    }
  }
  return { root, packages: new Set(extensions) }
}

const plainName = (type) => type.fullName.replace(/^\./, '')

/** Every message of the extension packages, nested ones left to the closure. */
function extensionMessages(root, packages) {
  return [...packages].flatMap((name) =>
    (root.lookup(name)?.nestedArray ?? [])
      .filter((item) => item instanceof protobuf.Type)
      .map(plainName),
  )
}

function options(reflected, name) {
  return (reflected.parsedOptions ?? []).flatMap((option) =>
    name in option ? [option[name]] : [],
  )[0]
}

const milliseconds = (duration) =>
  Number(duration.seconds ?? 0) * 1000 + Number(duration.nanos ?? 0) / 1e6

const asList = (value) => (Array.isArray(value) ? value : [value])

/** One argument of a rule: durations in ms, enum values by name, lists as lists. */
function plainArgument(kind, name, argument, names) {
  if (name === 'in' || name === 'not_in') {
    return asList(argument).map((item) => plainArgument(kind, 'const', item, names))
  }
  if (kind === 'duration' && typeof argument === 'object') return milliseconds(argument)
  return kind === 'enum' && name === 'const' ? (names[argument] ?? argument) : argument
}

/** `validate.rules` without the level that names the type; `names`: of an enum's values. */
function plainRules(rules, names = {}) {
  const { message, any, ...typed } = rules
  const plain = { ...message, ...any }
  for (const [kind, value] of Object.entries(typed)) {
    for (const [name, argument] of Object.entries(value)) {
      const nested = name === 'items' || name === 'keys' || name === 'values'
      plain[name] = nested
        ? plainRules(argument, names)
        : plainArgument(kind, name, argument, names)
    }
  }
  return plain
}

/** Numbers to names of the field's enum; undefined for a field of another type. */
function enumNames(field) {
  return scalarTypes.has(field.type)
    ? undefined
    : field.parent.lookup(field.type, [protobuf.Enum])?.valuesById
}

/**
 * The JSON form of a field's type: a scalar's name, a well-known type's, `enum:Name` or
 * `message:Name`.
 */
function fieldType(field, visit) {
  if (scalarTypes.has(field.type)) return field.type
  const known = wellKnown[field.type.replace(/^\./, '')]
  if (known !== undefined) return known
  const resolved = field.parent.lookup(field.type, [protobuf.Type, protobuf.Enum])
  // A few fields are of types whose .proto files are not part of the package; none of them is
  // built.
  if (resolved === null) return 'opaque'
  visit(resolved)
  return `${resolved instanceof protobuf.Enum ? 'enum' : 'message'}:${plainName(resolved)}`
}

const isWrapper = (field) => /google\.protobuf\.\w+Value$/.test(field.type)

function describeField(field, status, visit) {
  const rules = options(field, '(validate.rules)')
  const described = { name: field.name, type: fieldType(field, visit) }
  if (field.map) described.list = 'map'
  else if (field.repeated) described.list = 'list'
  if (field.partOf) described.oneof = field.partOf.name
  // Set to the type's zero value, such a field still says something.
  if (isWrapper(field) || field.partOf) described.presence = true
  if (options(field, 'deprecated')) described.deprecated = true
  if (rules !== undefined) {
    const plain = plainRules(rules, enumNames(field))
    if (Object.keys(plain).length > 0) described.rules = plain
  }
  if (status !== undefined) described.status = status === 'built' ? {} : status
  return described
}

/** Fields that Envoy's API has, and the .proto files that the package carries do not yet. */
const newerFields = {
  'envoy.config.cluster.v3.Cluster': [
    { name: 'dns_jitter', type: 'duration', rules: { gte: 0 }, status: {} },
  ],
}

function describeMessage(type, implemented, visit) {
  const fields = type.fieldsArray.map((field) =>
    describeField(field, implemented?.[field.name], visit),
  )
  fields.push(...(newerFields[plainName(type)] ?? []))
  const required = type.oneofsArray
    .filter((oneof) => options(oneof, '(validate.required)'))
    .map((oneof) => oneof.name)
  for (const name of Object.keys(implemented ?? {})) {
    if (!type.fields[name])
      throw new Error(`implemented.yaml: ${plainName(type)} has no field ${name}`)
  }
  return required.length > 0 ? { fields, required } : { fields }
}

function buildSchema() {
  const { root, packages } = loadProtos()
  const implemented = parseYaml(readFileSync(join(here, 'implemented.yaml'), 'utf8'))
  const messages = {}
  const enums = {}
  const queue = [...rootMessages, ...extensionMessages(root, packages)].map((name) =>
    root.lookupType(name),
  )
  const seen = new Set(queue)
  const visit = (resolved) => {
    if (!seen.has(resolved)) queue.push(resolved)
    seen.add(resolved)
  }
  for (let type = queue.shift(); type !== undefined; type = queue.shift()) {
    const name = plainName(type)
    if (type instanceof protobuf.Enum)
      enums[name] = Object.entries(type.values).sort((a, b) => a[1] - b[1])
    else messages[name] = describeMessage(type, implemented[name], visit)
  }
  for (const name of Object.keys(implemented)) {
    if (messages[name] === undefined) throw new Error(`implemented.yaml: no message ${name}`)
  }
  return { messages, enums, implemented }
}

const quoted = (text) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
const lines = (record) =>
  Object.keys(record)
    .sort()
    .map((name) => `  ${quoted(name)}: ${quoted(JSON.stringify(record[name]))},\n`)
    .join('')

/**
 * One line of JSON for each message, parsed only when a configuration needs it: that is what keeps
 * the start fast.
 */
function schemaModule({ messages, enums }) {
  return (
    "// Made by generate.mjs from Envoy's .proto files and implemented.yaml; not to be edited.\n" +
    '// biome-ignore-all format: one line for each message\n\n' +
    `export const messageTexts: Readonly<Record<string, string>> = {\n${lines(messages)}}\n\n` +
    `export const enumTexts: Readonly<Record<string, string>> = {\n${lines(enums)}}\n`
  )
}

/** What the generated files should hold, by path. */
export function generatedFiles() {
  const schema = buildSchema()
  const fields = between(readFileSync(docsFile, 'utf8'), 'fields', fieldTable(schema))
  return new Map([
    [join(here, 'schema.generated.ts'), schemaModule(schema)],
    [join(here, 'messages.generated.ts'), messageTypes(schema)],
    [join(here, 'written.generated.ts'), writtenTypes(schema)],
    [docsFile, between(fields, 'operators', operatorList())],
  ])
}

/** The page with a part that is marked by comments replaced. */
function between(page, part, text) {
  const begin = `<!-- ${part}: begin -->\n`
  const from = page.indexOf(begin) + begin.length
  return page.slice(0, from) + text + page.slice(page.indexOf(`<!-- ${part}: end -->`))
}

/** From the list that the native core is built from. */
function operatorList() {
  const source = readFileSync(join(here, '../../../native/proxy/format_ops.inc'), 'utf8')
  const names = [...source.matchAll(/^X\(\w+, "(\w+)"\)/gm)].map(([, name]) => `\`${name}\``)
  return `\n${names.sort().join(', ')}.\n\n`
}

function main() {
  const stale = [...generatedFiles()].filter(([path, text]) => {
    if (process.argv.includes('--check')) return readFileSync(path, 'utf8') !== text
    writeFileSync(path, text)
    return false
  })
  for (const [path] of stale)
    console.error(`${path} is stale: run node src/config/schema/generate.mjs`)
  process.exitCode = stale.length > 0 ? 1 : 0
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main()
