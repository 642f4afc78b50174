// node scripts/unity.mjs <out> <include root> <core|tests> <file>...: writes C++ files that include
// several of those given, so that headers are read once for all of them, and prints what is to be
// compiled. CMakeLists.txt calls it where MILLRACE_UNITY is on.
//
// Files of the core share a unit when they are of one folder, say the same `using` lines outside of
// functions, and have no name in common in their anonymous namespaces. Tests may use the same
// names: each file is put into a namespace of its own, after the headers of all of them.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'

const LINES = 2500 // a unit takes no further file after so many: the CPUs want several to work on

const [out, root, kind, ...paths] = process.argv.slice(2)

const files = paths.map((path) => ({ path, text: readFileSync(path, 'utf8') }))

/** What the files of a unit have in common; undefined for one that is compiled by itself. */
function key({ path, text }) {
  const folder = dirname(path)
  if (kind === 'tests') {
    // Its own conditions about what to include, and what other files call, stay as they are.
    if (/^#(if|define)|^extern /m.test(text) || path.endsWith('_kit.cc')) return undefined
    return /^namespace millrace/m.test(text) ? undefined : folder
  }
  const usings = text.match(/^using .*$/gm) ?? []
  return [folder, ...usings.sort()].join('\n')
}

const name = (path) => basename(path, '.cc')

function unit(members) {
  if (kind !== 'tests') return members.map(({ path }) => `#include "${relative(root, path)}"`)
  const headers = members.flatMap(({ path, text }) =>
    (text.match(/^#include .*$/gm) ?? []).map((line) =>
      // One that is beside the file.
      line.replace(/"([^"/]+)"/, (_, header) => `"${relative(root, join(dirname(path), header))}"`),
    ),
  )
  const apart = members.flatMap(({ path }) => [
    `namespace of_${name(path)} {`,
    `#include "${relative(root, path)}"`,
    `}  // namespace of_${name(path)}`,
  ])
  return [...new Set(headers), ...apart]
}

/** What a file declares for itself alone. Functions of one name are taken for the same one. */
function ownNames({ text }) {
  if (kind === 'tests') return []
  const own = [...text.matchAll(/^namespace \{$(.*?)^\} {2}\/\/ namespace$/gms)].map((m) => m[1])
  const types = /^(?:struct|class|union|enum|enum class|using) (\w+)/gm
  const functions = /^[\w:][\w:<>*&, ]* [*&]*(\w+)\(/gm
  const constants =
    /^(?:constexpr|const|static|inline|std|thread_local)\b[^(=;{]* [*&]*(\w+)(?:\[.*\])? *[={;]/gm
  return [types, functions, constants].flatMap((pattern) =>
    own.flatMap((part) => [...part.matchAll(pattern)].map((match) => match[1])),
  )
}

/** The files of one group in units: the first that has room and none of the names. */
function pack(members) {
  const units = []
  for (const file of members) {
    const names = ownNames(file)
    const fits = (unit) => unit.lines < LINES && !names.some((name) => unit.names.has(name))
    let unit = units.find(fits)
    if (unit === undefined) {
      unit = { members: [], names: new Set(), lines: 0 }
      units.push(unit)
    }
    unit.members.push(file)
    for (const name of names) unit.names.add(name)
    unit.lines += file.text.split('\n').length
  }
  return units.map(({ members: inUnit }) => inUnit)
}

/** Writes it where that changes something: what is older than its object is not compiled. */
function write(path, text) {
  if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text)
}

const groups = new Map()
const sources = []
for (const file of files) {
  const common = key(file)
  if (common === undefined) sources.push(file.path)
  else groups.set(common, [...(groups.get(common) ?? []), file])
}

mkdirSync(out, { recursive: true })
for (const members of [...groups.values()].flatMap(pack)) {
  const [{ path }] = members
  if (members.length === 1) sources.push(path)
  else {
    const written = join(out, `${basename(dirname(path))}_${name(path)}.cc`)
    write(written, `${unit(members).join('\n')}\n`)
    sources.push(written)
  }
}
console.log(sources.join('\n'))
