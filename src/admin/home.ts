// GET / and /help: what there is.

import { type Endpoint, text } from './endpoint.ts'

function helpText(endpoints: readonly Endpoint[]): string {
  const lines = endpoints.flatMap(({ path, method, help, parameters }) => [
    `  ${path}${method === 'POST' ? ' (POST)' : ''}: ${help}`,
    ...Object.entries(parameters).map(([name, what]) => `      ${name}: ${what}`),
  ])
  return `admin commands are:\n${lines.join('\n')}\n`
}

const kStyle = `
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 50rem }
  td { padding: .15rem 1rem .15rem 0; vertical-align: top }
  form { display: inline } code { font-size: .9em }`

function page(endpoints: readonly Endpoint[]): string {
  const rows = endpoints.map(({ path, method, help, parameters }) => {
    const go =
      method === 'GET'
        ? `<a href="${path.slice(1)}">${path}</a>`
        : `<form method="post" action="${path.slice(1)}"><button>${path}</button></form>`
    const names = Object.keys(parameters).map((name) => `<code>${name}</code>`)
    return `<tr><td>${go}</td><td>${help}</td><td>${names.join(' ')}</td></tr>`
  })
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Millrace admin</title>
<style>${kStyle}
</style>
<h1>Millrace admin</h1>
<table>
${rows.join('\n')}
</table>
</html>
`
}

/** The two endpoints that list `others`. */
export function homeEndpoints(others: readonly Endpoint[]): Endpoint[] {
  const endpoints: Endpoint[] = [
    {
      path: '/',
      method: 'GET',
      help: 'this page',
      parameters: {},
      handle: () => ({ status: 200, type: 'text/html; charset=utf-8', body: page(endpoints) }),
    },
    {
      path: '/help',
      method: 'GET',
      help: 'this list',
      parameters: {},
      handle: () => text(helpText(endpoints)),
    },
    ...others,
  ]
  return endpoints.slice(0, 2)
}
