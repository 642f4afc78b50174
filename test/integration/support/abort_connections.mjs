// node abort_connections.mjs PORT COUNT: opens connections, says a word on every other one, and
// resets them.
import { connect } from 'node:net'

const [port, count] = process.argv.slice(2).map(Number)
const kAtOnce = 128

let left = count
function one(done) {
  if (left-- <= 0) return done()
  const socket = connect(port, '127.0.0.1')
  const speaks = left % 2 === 0
  socket.on('connect', () => {
    if (speaks) socket.write(left % 4 === 0 ? 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' : 'GET / HT')
    socket.resetAndDestroy()
  })
  socket.on('error', () => {}) // a reset may come back
  socket.on('close', () => one(done))
}
await Promise.all(Array.from({ length: kAtOnce }, () => new Promise(one)))
