// Answers about many clusters by a server that has them: each turn of the main thread does a part
// of them, and who asks for something else in between is answered.

import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfiguration } from '../../src/config/index.ts'
import { Server } from '../../src/server/server.ts'
import { bootstrap, cluster, httpListener, route } from './support/config.ts'

const kClusters = 500

let server: Server
beforeAll(async () => {
  const nothing = (): void => {}
  server = new Server({
    concurrency: 1,
    fileFlushIntervalMs: 1_000,
    drainTimeMs: 1_000,
    admin: { ip: '127.0.0.1', port: 0 },
    log: { level: 'info', debug: nothing, info: nothing, warn: nothing, error: nothing },
  })
  const clusters = Array.from({ length: kClusters }, (_, i) => cluster(`cluster-${i}`, [1]))
  const config = bootstrap([httpListener({ routes: [route('/', 'cluster-0')] })], clusters)
  const text = JSON.stringify(config)
  await server.start(await loadConfiguration({ kind: 'text', name: 'x.json', text }))
})
afterAll(async () => {
  await server.stop()
})

describe('/ready', () => {
  const ask = (path: string): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      get(`${server.adminUrl}${path}`, { agent: false }, resolve).on('error', reject)
    })
  const textOf = async (response: IncomingMessage): Promise<string> => {
    let text = ''
    for await (const chunk of response) text += chunk
    return text
  }

  it.each(['/stats', '/stats/prometheus', '/clusters?format=json', '/config_dump'])(
    'is answered amid %s, whose reader is slow',
    async (path) => {
      const response = await ask(path)
      let length = 0
      let answered = 0
      for (let reads = 0; ; reads++) {
        const chunk = response.read() as Buffer | null
        if (chunk !== null) length += chunk.length
        else if (response.readableEnded) break
        else await Promise.race([once(response, 'readable'), once(response, 'end')])
        if (reads >= 20) continue
        expect(await textOf(await ask('/ready'))).toBe('LIVE\n')
        if (!response.readableEnded) answered++
      }
      expect(response.complete).toBe(true)
      expect(length).toBeGreaterThan(100_000)
      expect(answered).toBeGreaterThan(3)
    },
  )
})
