// One request over a plain socket: to see that a proxy answers, and to open connections that then
// stay idle.
import { connect } from 'node:net'

/**
 * Sends GET `path` to a loopback port, on `socket` or on a new connection. Resolves to the socket,
 * still open, and to the body, once all of it is there.
 */
export function get(
  port,
  path = '/1k',
  { socket = connect(port, '127.0.0.1'), timeoutMs = 2000 } = {},
) {
  return new Promise((resolve, reject) => {
    let data = ''
    const finish = (error, result) => {
      socket.removeAllListeners()
      socket.setTimeout(0)
      // an idle connection that its peer resets is not this request's failure
      socket.on('error', () => {})
      if (error === undefined) return resolve(result)
      socket.destroy()
      reject(error)
    }
    socket.setEncoding('latin1')
    socket.setTimeout(timeoutMs, () => finish(new Error(`no answer within ${timeoutMs} ms`)))
    socket.on('error', finish)
    socket.on('close', () => finish(new Error(`closed after ${data.length} bytes`)))
    socket.on('data', (chunk) => {
      data += chunk
      const end = data.indexOf('\r\n\r\n')
      if (end < 0) return
      if (!data.startsWith('HTTP/1.1 200 ')) return finish(new Error(data.slice(0, 80)))
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(data)?.[1])
      if (data.length >= end + 4 + length) finish(undefined, { socket, body: data.slice(end + 4) })
    })
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  })
}
