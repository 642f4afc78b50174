// However the bytes of a response to a health check come, they are read alike.

import { describe, expect, it } from 'vitest'
import { ResponseReader } from '../../../src/cluster/health/response.ts'

const kResponses = [
  'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 0\r\nconnection: close\r\n\r\n',
  'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nx: y\r\n\r\n',
  'HTTP/1.0 204 None\r\nconnection: keep-alive\r\n\r\n',
  'HTTP/1.1 200 OK\r\n\r\nuntil the end',
  'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nz\r\n',
]

function read(pieces: readonly string[]): unknown {
  const reader = new ResponseReader(false, 20)
  let state = 'more'
  for (const piece of pieces) {
    if (state !== 'more') break
    const bytes = Buffer.from(piece)
    state = reader.feed(bytes)
    bytes.fill('!') // who feeds it uses the memory again
  }
  const { status, reusable, begun, headers } = reader
  return { state, status, reusable, begun, headers, body: reader.body.toString() }
}

describe('a response to a health check', () => {
  for (const response of kResponses) {
    it(`is the same at every split: ${response.slice(0, 40)}`, () => {
      const whole = read([response])
      for (let a = 0; a <= response.length; a++) {
        for (let b = a; b <= response.length; b++) {
          const pieces = [response.slice(0, a), response.slice(a, b), response.slice(b)]
          expect(read(pieces.filter((piece) => piece !== ''))).toEqual(whole)
        }
      }
      expect(read([...response])).toEqual(whole)
    })
  }
})
