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
  let fields: unknown
  try {
    fields = JSON.parse(line)
  } catch {}
  // Whoever wrote it meant it so.
  if (typeof fields !== 'object' || fields === null) return harmless(line.trimEnd())
  return sentence(fields as Readonly<Record<string, unknown>>)
}

function sentence(fields: Readonly<Record<string, unknown>>): string {
  const { level, time, msg, err, problems, ...rest } = fields
  const label = (kLevels[Number(level)] ?? String(level)).padEnd(5)
  const error = (err as { message?: string } | undefined)?.message
  const details = Object.entries(rest).flatMap(([key, value]) => {
    const told = inWords(value, 0)
    return told === '' ? [] : [`${spaced(key)} ${told}`]
  })
  const parts = [inWords(msg, 0), inWords(error, 0), details.join(', ')]
  const said = parts.filter((part) => part !== '').join(': ')
  const told = [clockOf(time), label, said].filter((part) => part !== '').join(' ')
  return [told, ...problemLines(problems)].map(harmless).join('\n')
}

/** Empty: the line says none, or one that is not to be understood. Numbers, or as ISO 8601. */
function clockOf(time: unknown): string {
  const moment = new Date(typeof time === 'string' || typeof time === 'number' ? time : Number.NaN)
  return Number.isNaN(moment.getTime()) ? '' : moment.toISOString().slice(11, 19)
}

/** Values may hold what a terminal would obey, or what looks like another line. */
function harmless(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, escaped)
}

const kEscapes: Readonly<Record<string, string>> = {
  '\t': '\t',
  '\n': '\\n',
  '\r': '\\r',
  '\u001b': '\\e',
}

function escaped(char: string): string {
  return kEscapes[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
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
  return problems.map((problem: Readonly<Record<string, unknown>> | null) => {
    const { file, line, column, path, message, hint } = problem ?? {}
    const where = [file, line, column].join(':')
    return `  ${where}: ${path ? `${path}: ` : ''}${message}${hint ? ` (${hint})` : ''}`
  })
}
