// The table of fields in docs/configuration.md.

function describe(field) {
  const { only, types, ignored, most, why } = field.status
  if (ignored !== undefined) return `accepted without effect: ${ignored}`
  if (types !== undefined) return types.map((type) => `\`${type.split('.').at(-1)}\``).join(', ')
  if (most !== undefined) {
    const written = field.type === 'duration' ? `${most / 1000}s` : most
    return `at most \`${written}\` (${why})`
  }
  if (only !== undefined)
    return `only ${only.map((value) => `\`${value}\``).join(', ')}${why ? ` (${why})` : ''}`
  return ''
}

function messageSection(name, { fields }) {
  const rows = fields.filter((field) => field.status !== undefined && !field.status.later)
  if (rows.length === 0) return ''
  const plain = rows.filter((field) => describe(field) === '').map((field) => `\`${field.name}\``)
  const special = rows
    .filter((field) => describe(field) !== '')
    .map((field) => `- \`${field.name}\`: ${describe(field)}\n`)
  const list = plain.length > 0 ? `${plain.join(', ')}\n` : ''
  return `\n**${name}**\n\n${list}${list && special.length > 0 ? '\n' : ''}${special.join('')}`
}

export function fieldTable({ messages, implemented }) {
  return `${Object.keys(implemented)
    .map((name) => messageSection(name, messages[name]))
    .join('')}\n`
}
