// The requests of one connection, one after the other. Node hands over all that one read brought,
// a thousand or more of a client that pipelines: answered at once they are one long turn of the
// main thread, and as many answers in memory.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

type Serve = (request: IncomingMessage, response: ServerResponse) => void
type Asked = Parameters<Serve>

/** A connection on which more of them wait is cut. */
const kWaitingMost = 1000

/** Serves a connection's next request in a turn of its own, when the one before it is answered. */
export function inTurn(serve: Serve): Serve {
  const connections = new WeakMap<Socket, Asked[]>()

  function begin(waiting: Asked[], [request, response]: Asked): void {
    const { socket } = request
    response.on('close', () => {
      const next = waiting.shift()
      if (!next || socket.destroyed) {
        connections.delete(socket)
        return
      }
      setImmediate(() => begin(waiting, next))
    })
    serve(request, response)
  }

  return (request, response) => {
    request.resume() // bodies mean nothing here
    const { socket } = request
    const waiting = connections.get(socket)
    if (waiting) {
      waiting.push([request, response])
      if (waiting.length > kWaitingMost) socket.destroy()
      return
    }
    const first: Asked[] = []
    connections.set(socket, first)
    begin(first, [request, response])
  }
}
