// README.md and docs/*.md, as what they are made of: blocks of code, tables, sentences.

import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const root: string = resolve(import.meta.dirname, '../..')

export interface Block {
  readonly page: string
  readonly line: number
  readonly language: string
  readonly text: string
}

export interface Table {
  readonly page: string
  readonly line: number
  /** The heading that it stands under, without its marks. */
  readonly heading: string
  readonly header: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

export interface Page {
  /** `README.md`, `docs/running.md`. */
  readonly name: string
  readonly text: string
  readonly blocks: readonly Block[]
  readonly tables: readonly Table[]
  /** What is neither in a block nor in a table. */
  readonly prose: string
}

export const pages: readonly Page[] = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
].map((name) => readPage(name, readFileSync(join(root, name), 'utf8')))

export const blocks: readonly Block[] = pages.flatMap((page) => page.blocks)

export function page(name: string): Page {
  const found = pages.find((each) => each.name === name)
  if (!found) throw new Error(`no page ${name}`)
  return found
}

/** The one table of a page whose first column, or heading, is called so. */
export function table(pageName: string, named: string): Table {
  const found = page(pageName).tables.filter(
    ({ header, heading }) => header[0] === named || heading === named,
  )
  if (found.length !== 1) throw new Error(`${pageName} has ${found.length} tables "${named}"`)
  return found[0] as Table
}

/** What stands between backticks in a text. */
export function codeIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
}

/** The code of a column, a cell at a time: what a table lists. */
export function listed({ rows }: Table, column = 0): string[] {
  return rows.flatMap((row) => codeIn(row[column] ?? ''))
}

/** The rows of a table as an object: the code of the first cell to the text of another. */
export function byCode(from: Table, column: number): Record<string, string> {
  return Object.fromEntries(
    from.rows.flatMap((row) => codeIn(row[0] ?? '').map((code) => [code, row[column] ?? ''])),
  )
}

export function readPage(name: string, text: string): Page {
  const lines = text.split('\n')
  const blocks: Block[] = []
  const tables: Table[] = []
  const prose: string[] = []
  let heading = ''
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] as string
    const fence = /^( *)```(\S*)/.exec(line)
    if (fence) {
      const start = i
      while (++i < lines.length && !/^ *```\s*$/.test(lines[i] as string));
      const body = `${lines.slice(start + 1, i).join('\n')}\n`
      blocks.push({ page: name, line: start + 1, language: fence[2] ?? '', text: body })
    } else if (line.startsWith('    ') && (lines[i - 1] ?? '') === '') {
      const start = i
      while (/^( {4}.*)?$/.test(lines[i + 1] ?? 'end')) i++
      const body = lines.slice(start, i + 1).map((each) => each.slice(4))
      const block = { page: name, line: start + 1, language: 'indented' }
      blocks.push({ ...block, text: `${body.join('\n').trimEnd()}\n` })
    } else if (line.startsWith('|') && /^\|[-:| ]+\|$/.test(lines[i + 1] ?? '')) {
      const start = i
      i++
      while (lines[i + 1]?.startsWith('|')) i++
      const rows = lines.slice(start + 2, i + 1).map(cells)
      tables.push({ page: name, line: start + 1, heading, header: cells(line), rows })
    } else {
      heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading
      prose.push(line)
    }
  }
  return { name, text, blocks, tables, prose: prose.join('\n') }
}

function cells(line: string): string[] {
  const inner = line.trim().replace(/^\||\|$/g, '')
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'))
}
