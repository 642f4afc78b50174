// A proxy inside a program: before a service of the same program, changed while it runs.
//
// Prints:
//   hello from the service, by /hello
//   after apply: 404
//   closed

import { once } from 'node:events'
import { createServer } from 'node:http'
import { createProxy } from 'millrace'

const service = createServer((request, response) => {
  response.end(`hello from the service, by ${request.url}`)
})
service.listen(0, '127.0.0.1')
await once(service, 'listening')
const to = `http://127.0.0.1:${service.address().port}`

const proxy = await createProxy({ listen: '127.0.0.1:0', routes: { '/': to } })
proxy.on('error', (error) => console.error(error.code, error.message))
const url = `http://${proxy.addresses[0].text}`
console.log(await (await fetch(`${url}/hello`)).text())

// Another configuration: in force on every worker when this resolves, or refused with every problem
// in it, and nothing changed.
await proxy.apply({ listen: '127.0.0.1:0', routes: { '/api': to } })
console.log('after apply:', (await fetch(`${url}/hello`)).status)

await proxy.close() // `await using proxy = …` does this at the end of its scope
console.log('closed')
service.close()
