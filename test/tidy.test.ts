// The rules of the tree that no compiler holds: layers, lengths, banned calls, one list of sources.
// `npm run lint` runs it.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')

/** A folder of native/ may include only from itself and from folders before it. */
const NATIVE_LAYERS = [
  'base',
  'rcu',
  'event',
  'stats',
  'flush',
  'net',
  'http',
  'upstream',
  'proxy',
  'worker',
  'binding',
]

/**
 * A folder of src/ may import from itself, from folders of a lower rank, and from its own rank as
 * long as no circle comes of it. Files in src/ itself are either doors, which may import all but
 * the command line, or leaves.
 */
const SRC_RANKS: Record<string, number> = {
  cli: 3,
  embed: 2.25,
  server: 2,
  config: 1,
  cluster: 1,
  runtime: 1,
  admin: 1,
  stats: 1,
  xds: 1,
  native: 0,
  slots: 0.5,
  flush: 0.5,
}
const DOORS = ['index.ts', 'core.ts', 'pino.ts']

const LINE_LENGTH_MAX = 100
const FILE_LINES_MAX = 600
const FUNCTION_LINES_MAX = 70

/** Files that git knows or would add, relative to the root. */
function files(...patterns: string[]): string[] {
  const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate']
  const all = execFileSync('git', [...list, '--', ...patterns], { cwd: root, encoding: 'utf8' })
  const gone = execFileSync('git', ['ls-files', '-z', '--deleted'], { cwd: root, encoding: 'utf8' })
  const deleted = new Set(gone.split('\0'))
  return all.split('\0').filter((path) => path !== '' && !deleted.has(path))
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const linesOf = (path: string): string[] => read(path).replace(/\n$/, '').split('\n')

/** The same number of lines, without comments and the contents of literals. */
function withoutCommentsAndStrings(text: string): string {
  const token =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|R"\((?:[\s\S]*?)\)"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g
  return text.replace(token, (match) => match.replace(/[^\n]/g, ' '))
}

const byHand = (path: string): boolean => !path.includes('.generated.')
const cpp = files('native/*.cc', 'native/*.h')
const typescript = files('src/*.ts').filter(byHand)
const handWritten = files('*.cc', '*.h', '*.c', '*.ts', '*.mjs')
  .filter(byHand)
  .filter((path) => !path.endsWith('.generated.ts'))

describe('native layers', () => {
  it('include only from themselves and from the layers before them', () => {
    const problems: string[] = []
    for (const path of cpp) {
      const layer = path.split('/')[1] ?? ''
      const rank = NATIVE_LAYERS.indexOf(layer)
      if (rank < 0) problems.push(`${path}: ${layer}/ is not in the list of layers`)
      for (const [, included = ''] of read(path).matchAll(/^\s*#\s*include\s+"([^"]+)"/gm)) {
        const target = NATIVE_LAYERS.indexOf(included.split('/')[0] ?? '')
        if (target < 0) problems.push(`${path}: "${included}" does not start with a layer`)
        if (target > rank) problems.push(`${path}: ${layer}/ must not include "${included}"`)
      }
    }
    expect(problems).toEqual([])
  })

  it('know nothing of Node below binding/', () => {
    const below = cpp.filter((path) => !path.startsWith('native/binding/'))
    const pattern = /#\s*include\s+<(napi|node_api|node|uv|v8)[./h]/
    expect(below.filter((path) => pattern.test(read(path)))).toEqual([])
  })
})

describe('imports of src/', () => {
  type Edge = { from: string; to: string; path: string }
  const edges: Edge[] = []
  for (const path of typescript) {
    for (const [, target = ''] of read(path).matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)) {
      const to = relative('src', join(dirname(path), target))
      edges.push({ from: relative('src', path), to, path })
    }
  }
  const folder = (path: string): string => (path.includes('/') ? (path.split('/')[0] ?? '') : '')

  it('go downwards', () => {
    const problems: string[] = []
    for (const { from, to } of edges) {
      const [source, target] = [folder(from), folder(to)]
      if (source === target && source !== '') continue
      const door = source === '' && DOORS.includes(from)
      const rank = source === '' ? (door ? 2.5 : 0) : SRC_RANKS[source]
      const below = target === '' ? 0 : SRC_RANKS[target]
      const name = `${from} → ${to}`
      if (to.startsWith('..')) problems.push(`${name}: outside src/`)
      else if (rank === undefined) problems.push(`${name}: ${source}/ has no rank`)
      else if (below === undefined) problems.push(`${name}: ${target}/ has no rank`)
      else if (target === '' && DOORS.includes(to)) problems.push(`${name}: a door is for users`)
      else if (below > rank) problems.push(`${name}: upwards`)
    }
    expect(problems).toEqual([])
  })

  it('make no circle between folders', () => {
    const graph = new Map<string, Set<string>>()
    for (const { from, to } of edges) {
      const [source, target] = [folder(from), folder(to)]
      if (source === '' || target === '' || source === target) continue
      graph.set(source, (graph.get(source) ?? new Set()).add(target))
    }
    const circles: string[] = []
    const visit = (node: string, path: string[]): void => {
      if (path.includes(node)) circles.push([...path.slice(path.indexOf(node)), node].join(' → '))
      else for (const next of graph.get(node) ?? []) visit(next, [...path, node])
    }
    for (const node of graph.keys()) visit(node, [])
    expect([...new Set(circles)]).toEqual([])
  })

  it('make no circle between files, not even of types', () => {
    const graph = new Map<string, string[]>()
    for (const { from, to } of edges) graph.set(from, [...(graph.get(from) ?? []), to])
    const circles: string[] = []
    const done = new Set<string>()
    const visit = (file: string, path: string[]): void => {
      const at = path.indexOf(file)
      if (at >= 0) circles.push([...path.slice(at), file].join(' → '))
      if (at >= 0 || done.has(file)) return
      for (const next of graph.get(file) ?? []) visit(next, [...path, file])
      done.add(file)
    }
    for (const file of graph.keys()) visit(file, [])
    expect(circles).toEqual([])
  })

  it('load the addon in one place', () => {
    const loaders = typescript.filter((path) => /node-gyp-build|\.node'/.test(read(path)))
    expect(loaders.filter((path) => path !== 'src/native/load.ts')).toEqual([])
  })
})

describe('lengths', () => {
  it(`of lines are at most ${LINE_LENGTH_MAX}`, () => {
    // Tests in TypeScript hold configurations and messages as they are; their code is formatted.
    const judged = handWritten.filter((path) => !/^test\/.*\.ts$/.test(path))
    const long = judged.flatMap((path) =>
      linesOf(path).flatMap((line, i) =>
        [...line].length > LINE_LENGTH_MAX ? [`${path}:${i + 1}`] : [],
      ),
    )
    expect(long).toEqual([])
  })

  it(`of files are at most ${FILE_LINES_MAX} lines`, () => {
    expect(handWritten.filter((path) => linesOf(path).length > FILE_LINES_MAX)).toEqual([])
  })

  it(`of C++ functions are at most ${FUNCTION_LINES_MAX} lines`, () => {
    const problems: string[] = []
    for (const path of cpp) {
      let start = -1
      let depth = 0
      const lines = withoutCommentsAndStrings(read(path)).split('\n')
      lines.forEach((line, i) => {
        if (/^(\s*#|\s*$|(inline )?namespace\b)/.test(line)) return
        if (start < 0 && line.trim() !== '}') start = i
        if (start < 0) return // the end of a namespace
        depth += (line.match(/{/g) ?? []).length - (line.match(/}/g) ?? []).length
        if (depth > 0 || !/[;}]\s*$/.test(line)) return
        const head =
          lines
            .slice(start, i + 1)
            .join(' ')
            .split('{')[0] ?? ''
        const isFunction = head.includes('(') && !/^(template\b.*>\s*)?(class|struct)\b/.test(head)
        const length = i - start + 1
        if (isFunction && length > FUNCTION_LINES_MAX) {
          problems.push(`${path}:${start + 1}: ${length} lines`)
        }
        start = -1
      })
    }
    expect(problems).toEqual([])
  })
})

describe('banned', () => {
  /** Lines of the files that match, comments and literals aside. */
  function find(paths: string[], pattern: RegExp): string[] {
    return paths.flatMap((path) =>
      withoutCommentsAndStrings(read(path))
        .split('\n')
        .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [])),
    )
  }
  const outsideBase = cpp.filter((path) => !path.startsWith('native/base/'))

  it('memory fences, which ThreadSanitizer does not see', () => {
    expect(find(cpp, /atomic_(thread|signal)_fence|__sync_synchronize/)).toEqual([])
  })

  it('captures of everything by value', () => {
    expect(find(cpp, /\[=[\],]/)).toEqual([])
  })

  it('raw new and delete outside base/', () => {
    // In place, into an arena, is not raw. An owner may be made in the same breath, for the sake of
    // a private constructor.
    const found = find(outsideBase, /(?<!operator )\bnew\s+[\w:]/)
    expect(found.filter((line) => !/unique_ptr<[\w:]+>( \w+)?\(new /.test(line))).toEqual([])
    expect(find(outsideBase, /(?<![=]\s*)\bdelete\b(\[\])?\s+\w|(?<![=]\s*)\bdelete\[/)).toEqual([])
  })

  it('exceptions and run-time types', () => {
    expect(find(cpp, /\bthrow\b|\btry\s*{|\bcatch\s*\(|\bdynamic_cast\b|\btypeid\b/)).toEqual([])
  })

  it('promises of node-addon-api, uninitialised in an environment that ends', () => {
    expect(find(cpp, /Promise::Deferred/)).toEqual([]) // binding/js_promise.h
  })

  it('the escapes of the type checker (Biome refuses `any`)', () => {
    const escapes = /@ts-(ignore|nocheck|expect-error)|biome-ignore-all/
    expect(typescript.filter((path) => escapes.test(read(path)))).toEqual([])
  })

  it('tests that are left out', () => {
    const tests = files('test/*.ts').filter((path) => path !== 'test/tidy.test.ts')
    expect(find(tests, /\b(it|test|describe)\.(only|skip|todo)\b/)).toEqual([])
    // Allocations are not counted under sanitizers, where pools recycle nothing.
    expect(
      find(files('test/native/*.cc'), /doctest::(skip\((?!!MR_RECYCLE)|may_fail|should_fail)/),
    ).toEqual([])
  })
})

describe('sources', () => {
  const list = (what: string, poller: string): string[] =>
    execFileSync(process.execPath, ['native/sources.mjs', what, poller], { cwd: root })
      .toString()
      .trim()
      .split('\n')
      .filter((path) => path !== '')

  it('of both builds come from native/sources.mjs', () => {
    for (const build of ['CMakeLists.txt', 'native/addon.gypi']) {
      const text = read(build)
      expect(text, build).toContain('native')
      expect(text, build).toContain('sources.mjs')
      expect(text.match(/(?<!test\/)native\/[\w/]+\.cc/g) ?? [], build).toEqual([])
    }
    expect(read('CMakeLists.txt')).toMatch(/millrace_sources\(core_sources core\)/)
    expect(read('CMakeLists.txt')).toMatch(/millrace_sources\(binding_sources binding\)/)
    expect(read('native/addon.gypi')).toMatch(/sources\.mjs core\)/)
    expect(read('native/addon.gypi')).toMatch(/sources\.mjs binding\)/)
  })

  it('are all in the list, with one poller', () => {
    const all = readdirSync(join(root, 'native'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.cc') && !path.startsWith('from_source'))
      .map((path) => `native/${path}`)
    for (const [poller, other] of [
      ['epoll', 'kqueue'],
      ['kqueue', 'epoll'],
    ] as const) {
      const listed = [...list('core', poller), ...list('binding', poller)].sort()
      expect(listed).toEqual(all.filter((path) => path !== `native/event/${other}.cc`).sort())
    }
  })
})

describe('src/version.ts', () => {
  it('is the version of package.json', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string }
    expect(read('src/version.ts')).toContain(`const kVersion = '${version}'`)
  })
})

describe('package-lock.json', () => {
  it('has the checksum of every package, those of other platforms too', () => {
    type Lock = { packages: Record<string, { integrity?: string; link?: boolean }> }
    const { packages } = JSON.parse(read('package-lock.json')) as Lock
    const without = Object.entries(packages).filter(
      ([path, { integrity, link }]) => path !== '' && !link && integrity === undefined,
    )
    expect(without.map(([path]) => path)).toEqual([])
  })
})

describe('files', () => {
  it('say at their top what belongs in them (a .cc file: or its header does)', () => {
    const first = (path: string): string =>
      linesOf(path).find((line) => !line.startsWith('#!')) ?? ''
    const silent = [...cpp, ...typescript].filter(
      (path) => !/^(\/\/|\/\*|#include ")/.test(first(path)),
    )
    expect(silent).toEqual([])
  })

  it('of tests are all as patient (test/patience.ts)', () => {
    const own =
      /^\s*(?:\}, [\d_]{6,}\)|\{ timeout: [\d_]{5,} \},?)$|\b(?:it|poll|waitFor)\(.*\btimeout: [\d_]/m
    const tests = handWritten.filter((path) => /^test\/(?:unit|integration)\/.*\.ts$/.test(path))
    expect(tests.length).toBeGreaterThan(50)
    expect(tests.filter((path) => own.test(read(path)))).toEqual([])
  })

  it('leave nothing for later', () => {
    const marker = new RegExp(
      ['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].map((w) => `\\b${w}\\b`).join('|'),
    )
    expect(handWritten.filter((path) => marker.test(read(path)))).toEqual([])
  })
})
