// README.md and docs/*.md do what they say: commands are run, programs are checked with the
// published types and run, and what the program lists is what the tables list. What needs no
// process is in test/unit/documents/.
//
// A block `console` shows commands, each behind `$ `, and what they print. A `…` in what is printed
// stands for anything in its line, a line of it alone for any lines; `$ cat FILE` shows a file that
// the commands after it find.

import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { transform } from 'esbuild'
import { beforeAll, describe, expect, it } from 'vitest'
import { kPatience } from '../patience.ts'
import { type Block, blocks, codeIn, page, type Table, table } from '../support/pages.ts'
import { fileLog, simple } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace, main, root } from './support/millrace.ts'
import { sayingService } from './support/peers.ts'
import { kLogFile, kService, others, type Snippet, snippets } from './support/programs.ts'

const execute = promisify(execFile)

/** Commands that are not run here, and where they are. */
const kElsewhere: ReadonlyMap<string, string> = new Map([
  [
    'npm ci && npm run build && npm start',
    'builds this tree; npm start is in first_command.test.ts',
  ],
  ['npm ci && npm test', 'is what runs this'],
  ['npm install millrace', 'test/package/run.mjs installs the packed package'],
  ['npx millrace build-native', 'test/package/run.mjs builds it from source; takes minutes'],
])

const firstLine = ({ text }: Block): string => text.split('\n')[0] ?? ''
const named = (block: Block): string => `${block.page}:${block.line} ${firstLine(block)}`
const written = (language: string): readonly [string, Block][] =>
  blocks.filter((block) => block.language === language).map((block) => [named(block), block])

/** A folder in which `millrace` and `npx millrace` are this tree's. */
function shellFolder(): string {
  const folder = temporaryFolder()
  const run = `exec "${process.execPath}" "${main}" "$@"\n`
  write(folder, 'bin-millrace', `#!/bin/sh\n${run}`)
  write(folder, 'bin-npx', `#!/bin/sh\nshift\n${run}`)
  return folder
}

async function shell(command: string, folder: string): Promise<string> {
  const functions = ['millrace', 'npx'].map((name) => `${name}() { sh ./bin-${name} "$@"; }`)
  const script = [...functions, `${command} 2>&1 || true`].join('\n')
  const { stdout } = await execute('bash', ['-c', script], { ...kPatience, cwd: folder })
  return stdout
}

describe('commands', () => {
  const commands = written('sh').filter(([, { text }]) => !kElsewhere.has(text.trim()))

  it('of the list of what is not run are all there', () => {
    const there = written('sh').map(([, { text }]) => text.trim())
    expect(there).toEqual(expect.arrayContaining([...kElsewhere.keys()]))
  })

  it.each(commands)('%s', async (_, { text }) => {
    const command = text.trim()
    const folder = shellFolder()
    const [, path = ''] = /^curl http:\/\/127\.0\.0\.1:8080(\S*)$/.exec(command) ?? []
    const [, args] = /^npx millrace ((?:--\S+ \S+ ?)+)$/.exec(command) ?? []
    if (path !== '') {
      const demo = Millrace.spawn(['--demo', '--admin', '0'], { cwd: folder })
      const url = (): string | undefined => /proxy {4}(\S+)\n/.exec(demo.stdout)?.[1]
      const said = await execute('curl', ['-sS', `${await demo.until('its URL', url)}${path}`])
      expect(said.stdout).toContain(`GET ${path}`)
    } else if (args !== undefined) {
      const service = await sayingService('it is forwarded')
      const put = args.replace(/:3000\b/, `:${service}`).replace(/ 8080\b/, ' 127.0.0.1:0')
      const proxy = await Millrace.start(put.trim().split(' '))
      expect(await (await fetch(proxy.url())).text()).toBe('it is forwarded')
    } else {
      expect(command).toMatch(/^npx millrace [\w-]+$/)
      expect(await shell(command, folder)).not.toMatch(/^error: |unknown command/m)
    }
  })

  it.each(written('console'))('%s', async (_, { text }) => {
    const folder = shellFolder()
    for (const part of text.split(/^\$ /m).slice(1)) {
      const [command = '', ...lines] = part.split('\n')
      const shown = lines.join('\n')
      const [, file] = /^cat (\S+)$/.exec(command) ?? []
      if (file === undefined) expect(await shell(command, folder)).toMatch(pattern(shown))
      else write(folder, file, shown)
    }
  })
})

/** What is shown, as an expression for what is printed. */
function pattern(shown: string): RegExp {
  const quote = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
  const lines = shown
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => (line === '…' ? '(?:.*\\n)*' : `${quote(line).replaceAll('…', '.*')}\\n`))
  return new RegExp(`^${lines.join('')}$`)
}

/** The block of a snippet with what is put for its dots. */
function codeOf({ page: on, first, put, before = '', after = '' }: Snippet, log: string): string {
  const block = page(on).blocks.find((each) => firstLine(each) === first)
  if (!block) throw new Error(`${on} has no block ${first}`)
  let code = block.text
  for (const [from, to] of put) {
    if (!code.includes(from)) throw new Error(`${on}: ${first}: no ${from}`)
    code = code.replace(from, to)
  }
  return `${before}${code}${after}`.replaceAll(kLogFile, log)
}

/** Paths and texts of the files of all programs, which log into a file. */
function filesOf(log: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>()
  const add = (path: string, more: string): void => {
    files.set(path, (files.get(path) ?? '') + more)
  }
  for (const snippet of snippets) {
    const [first = '', ...rest] = codeOf(snippet, log).split(/^\/\/\/\/ /m)
    add(join(snippet.program, snippet.file), first)
    for (const part of rest) {
      const end = part.indexOf('\n')
      add(join(snippet.program, part.slice(0, end)), part.slice(end + 1))
    }
  }
  for (const { program, file, text } of others) add(join(program, file), text)
  return files
}

describe('programs', () => {
  const folder = temporaryFolder()
  const log = join(folder, 'app.log')

  it('are all blocks of ts and js', () => {
    const there = [...written('ts'), ...written('js')].map(([, block]) => block)
    const known = snippets.map(({ page: on, first }) => `${on} ${first}`)
    expect(there.map((block) => `${block.page} ${firstLine(block)}`).sort()).toEqual(known.sort())
  })

  beforeAll(() => {
    write(folder, 'package.json', { type: 'module' })
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(root, join(folder, 'node_modules/millrace'))
    for (const name of ['pino', '@types', 'undici-types']) {
      symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name))
    }
    for (const [path, text] of filesOf(log)) {
      mkdirSync(join(folder, dirname(path)), { recursive: true })
      write(folder, path, text)
    }
  })

  it('are right by the types of the package', async () => {
    const compilerOptions = {
      target: 'es2023',
      lib: ['es2023', 'esnext.disposable'],
      module: 'nodenext',
      moduleDetection: 'force',
      strict: true,
      noEmit: true,
      types: ['node'],
      skipLibCheck: true,
      preserveSymlinks: true,
    }
    write(folder, 'tsconfig.json', { compilerOptions, include: ['*/*.ts'] })
    const checked = execute(join(root, 'node_modules/.bin/tsc'), ['-p', '.'], { cwd: folder })
    const { stdout } = await checked.catch((error: { stdout: string }) => error)
    expect(stdout).toBe('')
  })

  const programs = [...new Set(snippets.map(({ program }) => program))]
  it.each(programs)('%s runs', async (program) => {
    const service = `http://127.0.0.1:${await sayingService('served')}`
    let logs = false
    for (const [path, text] of filesOf(log)) {
      if (dirname(path) !== program) continue
      const code = text.replaceAll(kService, service)
      const { code: js } = await transform(code, { loader: 'ts', target: 'node20', format: 'esm' })
      write(folder, path.replace(/\.ts$/, '.js'), js)
      logs ||= text.includes(log)
    }
    const cwd = join(folder, program)
    const { stderr } = await execute(process.execPath, ['main.js'], { ...kPatience, cwd })
    expect(stderr).toBe('')
    if (logs) expect(readFileSync(log, 'utf8')).not.toBe('')
    rmSync(log, { force: true })
  })
})

describe('docs/admin.md', () => {
  /** Paths of a table, each with the names of its parameters: what the admin interface lists. */
  const endpoints = (from: Table): Record<string, string[]> =>
    Object.fromEntries(
      from.rows.flatMap(([paths = '', ...rest]) => {
        const names = codeIn(rest.join(' ')).flatMap((code) => /^[?&](\w+)/.exec(code)?.[1] ?? [])
        return codeIn(paths).map((path) => [path, names.sort()])
      }),
    )

  it('has the endpoints, and the statistics of Millrace itself', async () => {
    const folder = temporaryFolder()
    const log = join(folder, 'access.log')
    const config = simple([await sayingService('')], { manager: { access_log: [fileLog(log)] } })
    const proxy = await Millrace.start(['-c', write(folder, 'config.json', config)])

    const help = await (await fetch(proxy.admin('/help'))).text()
    const listed: Record<'GET' | 'POST', Record<string, string[]>> = { GET: {}, POST: {} }
    for (const part of help.split(/\n {2}(?=\/)/).slice(1)) {
      const [, path = '', post] = /^(\/[\w/]*)( \(POST\))?:/.exec(part) ?? []
      const names = [...part.matchAll(/^ {6}(\w+):/gm)].map(([, name = '']) => name)
      listed[post ? 'POST' : 'GET'][path] = names.sort()
    }
    expect(endpoints(table('docs/admin.md', 'GET'))).toEqual(listed.GET)
    expect(endpoints(table('docs/admin.md', 'POST'))).toEqual(listed.POST)

    const stats = await (await fetch(proxy.admin('/stats'))).text()
    const own = /^(?:configuration|filesystem|server\.(?:log|worker_0))\./
    const counted = stats
      .split('\n')
      .map((line) => line.replace(/: \S+$/, ''))
      .filter((name) => own.test(name))
      .map((name) => name.replace(log, '<file>').replace('worker_0', 'worker_<n>'))
    const told = table('docs/admin.md', 'Stats of Millrace itself').rows.flatMap(([cell = '']) => {
      const [first = '', ...more] = codeIn(cell)
      return [first, ...more.map((name) => first.replace(/\.\w+$/, name))]
    })
    expect(told.sort()).toEqual(counted.sort())
  })
})
