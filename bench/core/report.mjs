// Results of bench:core as Markdown.

const text = (value) => {
  if (typeof value !== 'number') return value ?? ''
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)))
}
const line = (cells) => `| ${cells.join(' | ')} |\n`

function table({ title, goal, columns, rows }) {
  const keys = Object.keys(columns)
  let out = `## ${title}\n\nTo reach: ${goal}\n\n`
  out += line(['', ...Object.values(columns), 'reached'])
  out += line(['---', ...keys.map(() => '---:'), '---'])
  for (const { way, reached, ...row } of rows) {
    const verdict = reached === undefined ? '' : reached ? 'yes' : '**no**'
    out += line([way, ...keys.map((key) => text(row[key])), verdict])
  }
  return `${out}\n`
}

/** One table a scenario; the machine first, where it is given. */
export function markdown({ machine, results }) {
  let out = ''
  if (machine !== undefined) {
    const facts = Object.entries(machine).map(
      ([name, value]) => `- ${name}: ${typeof value === 'object' ? JSON.stringify(value) : value}`,
    )
    out += `# What embedders use\n\n${facts.join('\n')}\n\n`
  }
  return out + results.map(table).join('')
}
