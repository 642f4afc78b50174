// Plain sockets for checks. All of them read into one buffer: what is read is looked at before the
// next socket reads.

import { connect, type Socket } from 'node:net'
import type { ProbeTarget } from './prober.ts'

const kBuffer = Buffer.allocUnsafe(64 * 1024)

export interface SocketEvents {
  connected(): void
  /** Valid until this returns. */
  data(bytes: Buffer): void
  /** The other side is done, or the connection failed; once. */
  closed(): void
}

export function openSocket({ address, bind }: ProbeTarget, events: SocketEvents): Socket {
  const onread = {
    buffer: kBuffer,
    callback: (length: number): boolean => {
      events.data(kBuffer.subarray(0, length))
      return true
    },
  }
  const local = bind && 'ip' in bind ? { localAddress: bind.ip, localPort: bind.port } : {}
  const socket =
    'path' in address
      ? connect({ path: address.path.replace(/^@/, '\0'), onread })
      : connect({ host: address.ip, port: address.port, noDelay: true, onread, ...local })
  let over = false
  const closed = (): void => {
    if (over) return
    over = true
    socket.destroy()
    events.closed()
  }
  socket.once('connect', () => events.connected())
  socket.once('end', closed)
  socket.once('close', closed)
  socket.on('error', closed)
  return socket
}
