// Log lines for people: what pino writes as JSON, as sentences.

const kLevels: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
}

/** How deep values are told; below it, and where they go round, they are left out. */
const kDepthMax = 4

/** `12:34:56 info  listening: listener main, addresses 127.0.0.1:8080 [::1]:8080` */
export function forPeople(line: string): string {
  let fields: Record<string, unknown>
  try {
    fields = JSON.parse(line) as Record<string, unknown>
  } catch {
    return line.trimEnd() // whoever wrote it meant it so
  }
  const { level, time, msg, err, problems, ...rest } = fields
  const clock = new Date(Number(time)).toISOString().slice(11, 19)
  const label = (kLevels[Number(level)] ?? String(level)).padEnd(5)
  const error = (err as { message?: string } | undefined)?.message
  const details = Object.entries(rest).flatMap(([key, value]) => {
    const told = inWords(value, 0)
    return told === '' ? [] : [`${spaced(key)} ${told}`]
  })
  const sentence = [msg ?? '', ...(error === undefined ? [] : [error]), details.join(', ')]
  const told = `${clock} ${label} ${sentence.filter((part) => part !== '').join(': ')}`
  return [told, ...problemLines(problems)].join('\n')
}

/** `connectionsCut` → `connections cut` */
function spaced(key: string): string {
  return key.replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

/** Empty: there is nothing to tell. */
function inWords(value: unknown, depth: number): string {
  if (value === null || value === undefined) return ''
  if (typeof value !== 'object') return String(value)
  if (depth === kDepthMax) return '…'
  const items = Array.isArray(value)
    ? value.map((item) => inWords(item, depth + 1))
    : Object.entries(value).map(([key, item]) => `${spaced(key)} ${inWords(item, depth + 1)}`)
  const told = items.filter((item) => item !== '')
  return Array.isArray(value) ? told.join(' · ') : told.join(', ')
}

/** Of a configuration that was refused, a line each. */
function problemLines(problems: unknown): readonly string[] {
  if (!Array.isArray(problems)) return []
  return problems.map((problem: Readonly<Record<string, unknown>>) => {
    const { file, line, column, path, message, hint } = problem
    const where = [file, line, column].join(':')
    return `  ${where}: ${path ? `${path}: ` : ''}${message}${hint ? ` (${hint})` : ''}`
  })
}
