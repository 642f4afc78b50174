// The service of the demonstration, on a worker thread: says what reached it.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parentPort } from 'node:worker_threads'

const server = createServer((request, response) => {
  const { method, url, headers } = request
  const lines = Object.entries(headers).map(([name, value]) => `  ${name}: ${value}`)
  response.setHeader('content-type', 'text/plain; charset=utf-8')
  response.end(
    [
      'Hello from the service behind Millrace.',
      `What reached it: ${method} ${url}`,
      ...lines,
      '',
    ].join('\n'),
  )
  request.resume()
})

server.listen(0, '127.0.0.1', () => {
  parentPort?.postMessage((server.address() as AddressInfo).port)
})
