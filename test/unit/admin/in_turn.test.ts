// Whatever clients ask of the admin interface at the same time, the main thread has its turns.

import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { inTurn } from '../../../src/admin/in_turn.ts'
import { type Pieces, writePieces } from '../../../src/admin/pieces.ts'

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

async function serving(listener: RequestListener): Promise<() => Socket> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return () => {
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
    client.on('error', () => {})
    return client
  }
}

const asked = (n: number): string => `GET /${n} HTTP/1.1\r\nHost: localhost\r\n\r\n`
const turns = async (n: number): Promise<void> => {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve))
}

it('serves one request of a connection at a time, in order', async () => {
  const begun: { path: string; response: ServerResponse }[] = []
  let arrived = 0
  const serve = inTurn((request, response) => begun.push({ path: request.url ?? '', response }))
  const client = (
    await serving((request, response) => {
      arrived++
      serve(request, response)
    })
  )()
  let text = ''
  client.setEncoding('utf8').on('data', (more: string) => {
    text += more
  })
  client.write(Array.from({ length: 40 }, (_, i) => asked(i)).join(''))
  await expect.poll(() => arrived).toBe(40)
  for (let i = 0; i < 40; i++) {
    await expect.poll(() => begun.length).toBe(i + 1)
    await turns(3)
    expect(begun).toHaveLength(i + 1)
    expect(begun[i]?.path).toBe(`/${i}`)
    begun[i]?.response.end(`<${i}>`)
  }
  await expect.poll(() => text).toContain('<39>')
  // And as well afterwards.
  client.write(asked(40))
  await expect.poll(() => begun.at(-1)?.path).toBe('/40')
})

it('cuts a connection on which too many wait', async () => {
  let served = 0
  const client = (await serving(inTurn(() => served++)))()
  const closed = new Promise((resolve) => client.on('close', resolve))
  client.resume().write(Array.from({ length: 10_000 }, (_, i) => asked(i)).join(''))
  await closed
  await turns(10)
  expect(served).toBe(1)
})

it('forgets what waits when its connection ends', async () => {
  const begun: ServerResponse[] = []
  let arrived = 0
  const serve = inTurn((_, response) => begun.push(response))
  const client = (
    await serving((request, response) => {
      arrived++
      serve(request, response)
    })
  )()
  client.write(asked(0) + asked(1) + asked(2))
  await expect.poll(() => arrived).toBe(3)
  client.destroy()
  await expect.poll(() => begun[0]?.destroyed).toBe(true)
  await turns(10)
  expect(begun).toHaveLength(1)
})

it('makes one slice of one answer in a turn, however many are to be made', async () => {
  let made = 0
  function* pieces(): Pieces {
    for (let i = 0; i < 5; i++) {
      made++
      yield 'x'.repeat(64 * 1024)
    }
  }
  let answered = 0
  const client = await serving((_, response) => {
    void writePieces(response, pieces()).then(() => answered++)
  })
  for (let i = 0; i < 20; i++) client().resume().write(asked(i))
  let most = 0
  for (let before = 0; answered < 20; before = made) {
    await turns(1)
    most = Math.max(most, made - before)
  }
  expect(made).toBe(100)
  expect(most).toBe(1)
})
