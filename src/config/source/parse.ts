/** YAML (and so JSON) to a source tree. */

import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  type Node,
  type Pair,
  Parser,
  Scalar,
} from 'yaml'
import type { Steps } from '../../slices.ts'
import type { Problems } from '../problems.ts'
import type { SourceText } from './text.ts'
import { childPath, type MapEntry, type SourceNode } from './tree.ts'

/** Deeper than any message of Envoy's API goes; the walkers recurse. */
const kDepthMax = 100
/** What the parser has on its stack besides maps and lists: the document, and a scalar. */
const kStackBeside = 2
/** Nodes that may come from aliases: an alias bomb has billions, a configuration some hundreds. */
const kAliasedNodesMax = 100_000
/** So much of what is meant to be a key is looked at for a colon. */
const kKeyShown = 64

/** The tree, or undefined when the text is empty or not YAML (which `problems` then says). */
export function* parseSource(
  source: SourceText,
  problems: Problems,
): Steps<SourceNode | undefined> {
  const documents = yield* parseDocuments(source, problems)
  const [first, second] = documents
  for (const error of documents.flatMap((document) => document.errors)) {
    const message = error.message.replace(/ at line \d+, column \d+:[\s\S]*$/, '')
    const [start, end] = error.pos
    // Of the parser's, the one that says least, to who wrote `listen:8080`.
    const begin = source.text.slice(start, start + kKeyShown)
    const glued = error.code === 'MULTILINE_IMPLICIT_KEY' && /^[\w-]+:\S/.test(begin)
    const hint = glued ? 'a colon needs a space behind it' : undefined
    problems.add({ code: 'syntax', message, ...(hint && { hint }), path: '', start, end })
  }
  if (second !== undefined) {
    const start = second.range[0]
    const message = 'a configuration is one document, and a second one begins here'
    problems.add({ code: 'syntax', message, path: '', start, end: start + 3 })
  }
  if (problems.size > 0) return undefined
  if (first === undefined || first.contents === null || isEmpty(first.contents)) {
    const hint = 'a listener and where to send its requests are the least that is needed'
    problems.add({ code: 'missing', message: 'nothing is in it', hint, path: '', start: 0, end: 1 })
    return undefined
  }
  return new TreeBuilder(problems).build(first.contents, '', 0)
}

const isEmpty = (node: Node): boolean => isScalar(node) && node.value === null

function* parseDocuments(source: SourceText, problems: Problems): Steps<Document.Parsed[]> {
  const tokens: CST.Token[] = []
  const parser = new Parser()
  for (const lexeme of new Lexer().lex(source.text)) {
    tokens.push(...parser.next(lexeme))
    // The composer recurses, and a stack that is nearly used up can end the process, not only this
    // call: nothing that is too deep may reach it.
    if (parser.stack.length > kDepthMax + kStackBeside) {
      const message = `nested deeper than ${kDepthMax} levels`
      const end = parser.offset
      problems.add({ code: 'syntax', message, path: '', start: Math.max(0, end - 1), end })
      return []
    }
    yield
  }
  tokens.push(...parser.end())
  const options = { uniqueKeys: false, prettyErrors: false, logLevel: 'silent' } as const
  const documents: Document.Parsed[] = []
  for (const document of new Composer(options).compose(tokens)) {
    documents.push(document as Document.Parsed)
    yield
  }
  return documents
}

class TreeBuilder {
  readonly #problems: Problems
  /** Undefined while the anchored node is being built: an alias to it would never end. */
  readonly #anchors = new Map<
    string,
    { readonly node: SourceNode; readonly size: number } | undefined
  >()
  /** Nodes built so far, those behind aliases counted each time. */
  #size = 0
  #aliased = 0

  constructor(problems: Problems) {
    this.#problems = problems
  }

  build(node: Node | null, path: string, depth: number): SourceNode {
    const [start, end] = rangeOf(node)
    const before = this.#size
    const anchor = node !== null && !isAlias(node) ? node.anchor : undefined
    if (anchor !== undefined) this.#anchors.set(anchor, undefined)
    this.#size++
    const built = this.#buildKind(node, { path, start, end, depth })
    if (anchor !== undefined) {
      this.#anchors.set(anchor, { node: built, size: this.#size - before })
    }
    return built
  }

  #buildKind(
    node: Node | null,
    at: { path: string; start: number; end: number; depth: number },
  ): SourceNode {
    const { path, start, end, depth } = at
    const empty = { kind: 'scalar', value: null, text: '', quoted: false, start, end } as const
    if (depth > kDepthMax) {
      this.#refuse('syntax', `nested deeper than ${kDepthMax} levels`, at)
      return empty
    }
    if (node === null) return empty
    if (isAlias(node)) return this.#resolve(node.source, at) ?? empty
    this.#checkTag(node, at)
    if (isMap(node)) {
      return {
        kind: 'map',
        entries: this.#entries(node.items as Pair<Node, Node>[], path, depth),
        start,
        end,
      }
    }
    if (isSeq(node)) {
      const items = node.items.map((item, i) =>
        this.build(item as Node, `${path}[${i}]`, depth + 1),
      )
      return { kind: 'list', items, start, end }
    }
    return scalarNode(node, start, end)
  }

  #resolve(name: string, at: { path: string; start: number; end: number }): SourceNode | undefined {
    const anchored = this.#anchors.get(name)
    if (anchored === undefined) {
      const inside = this.#anchors.has(name)
      this.#refuse(
        'syntax',
        inside ? `*${name} contains itself` : `no anchor &${name} before this`,
        at,
      )
      return undefined
    }
    this.#aliased += anchored.size
    this.#size += anchored.size
    if (this.#aliased > kAliasedNodesMax) {
      this.#refuse('syntax', `aliases stand for more than ${kAliasedNodesMax} values`, at)
      return undefined
    }
    return anchored.node
  }

  #checkTag(node: Node, at: { path: string; start: number; end: number }): void {
    const tag = node.tag
    if (tag === undefined || tag === '!' || tag.startsWith('tag:yaml.org,2002:')) return
    this.#refuse('syntax', `the tag ${tag} is not known here`, at)
  }

  #entries(pairs: readonly Pair<Node, Node | null>[], path: string, depth: number): MapEntry[] {
    const entries = new Map<string, MapEntry>()
    const merged: MapEntry[] = []
    for (const { key, value } of pairs) {
      const [keyStart, keyEnd] = rangeOf(key)
      if (!isScalar(key)) {
        this.#refuse('syntax', 'a key is a plain word', { path, start: keyStart, end: keyEnd })
        continue
      }
      const name = typeof key.value === 'string' ? key.value : (key.source ?? '')
      const built = this.build(value, childPath(path, name), depth + 1)
      // Envoy's own way to keep anchors in a file: `!ignore name: &anchor …`.
      if (key.tag === '!ignore') continue
      if (name === '<<' && key.type === Scalar.PLAIN) {
        merged.push(...this.#merge(built, path))
        continue
      }
      if (entries.has(name)) {
        const place = { path: childPath(path, name), start: keyStart, end: keyEnd }
        this.#refuse('duplicate', 'this key is in the same map twice', place)
      } else {
        entries.set(name, { key: name, keyStart, keyEnd, value: built })
      }
    }
    for (const entry of merged) if (!entries.has(entry.key)) entries.set(entry.key, entry)
    return [...entries.values()]
  }

  #merge(node: SourceNode, path: string): readonly MapEntry[] {
    if (node.kind === 'map') return node.entries
    if (node.kind === 'list') return node.items.flatMap((item) => this.#merge(item, path))
    this.#refuse('wrong-type', '<< takes a map, or a list of maps', { ...node, path })
    return []
  }

  #refuse(
    code: 'syntax' | 'duplicate' | 'wrong-type',
    message: string,
    at: { path: string; start: number; end: number },
  ): void {
    this.#problems.add({ code, message, path: at.path, start: at.start, end: at.end })
  }
}

function rangeOf(node: unknown): [number, number] {
  const range = (node as Node | null)?.range
  return range ? [range[0], Math.max(range[0], range[1])] : [0, 0]
}

function scalarNode(node: Node, start: number, end: number): SourceNode {
  const scalar = node as Scalar
  const quoted = scalar.type !== Scalar.PLAIN
  const raw = scalar.value
  const value =
    raw === null || typeof raw === 'string' || typeof raw === 'number' || typeof raw === 'boolean'
      ? raw
      : String(raw)
  const text = typeof value === 'string' ? value : (scalar.source ?? String(value))
  return { kind: 'scalar', value, text, quoted, start, end }
}
