// TCP checks: connecting is enough, or bytes are sent and others have to come back.

import type { Socket } from 'node:net'
import type { TcpCheckDefinition } from '../../config/index.ts'
import { containsInOrder, type Prober, type ProbeTarget } from './prober.ts'
import { openSocket } from './socket.ts'
import type { CheckResult } from './state.ts'

/** A host that says more without saying what is expected is not one that does. */
const kReceivedMax = 64 * 1024

export class TcpProber implements Prober {
  readonly #target: ProbeTarget
  readonly #check: TcpCheckDefinition
  readonly #reuse: boolean
  #socket: Socket | undefined
  #connected = false
  #used = 0
  #received = Buffer.alloc(0)
  #done: ((result: CheckResult) => void) | undefined

  constructor(target: ProbeTarget, check: TcpCheckDefinition, reuseConnection: boolean) {
    this.#target = target
    this.#check = check
    // Connecting is all that a check without bytes does.
    this.#reuse = reuseConnection && (check.send.length > 0 || check.receive.length > 0)
  }

  check(done: (result: CheckResult) => void): void {
    this.#done = done
    this.#received = Buffer.alloc(0)
    if (!this.#socket) this.#open()
    else if (this.#connected) this.#send(this.#socket)
  }

  abort(): void {
    this.#done = undefined
    this.#drop()
  }

  close(): void {
    this.abort()
  }

  #open(): void {
    this.#used = 0
    this.#connected = false
    const socket = openSocket(this.#target, {
      connected: () => {
        if (this.#socket !== socket) return
        this.#connected = true
        if (this.#done) this.#send(socket)
      },
      data: (bytes) => {
        if (this.#socket === socket && this.#done) this.#onData(bytes)
      },
      closed: () => {
        if (this.#socket === socket) this.#onClosed()
      },
    })
    this.#socket = socket
  }

  #send(socket: Socket): void {
    const { send, receive } = this.#check
    if (send.length > 0) socket.write(send)
    if (receive.length > 0) return
    // Later: `done` is not called before `check` has returned.
    setImmediate(() => {
      if (this.#socket === socket && this.#done) this.#succeed()
    })
  }

  #onData(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes])
    if (containsInOrder(this.#received, this.#check.receive)) this.#succeed()
    else if (this.#received.length > kReceivedMax) {
      this.#drop()
      this.#finish({ ok: false, kind: 'active' })
    }
  }

  #onClosed(): void {
    this.#socket = undefined
    if (!this.#done) return
    if (this.#used > 0 && this.#received.length === 0) this.#open()
    else this.#finish({ ok: false, kind: 'network' })
  }

  #succeed(): void {
    this.#used++
    if (!this.#reuse) this.#drop()
    this.#finish({ ok: true, degraded: false })
  }

  #drop(): void {
    const socket = this.#socket
    this.#socket = undefined
    socket?.destroy()
  }

  #finish(result: CheckResult): void {
    const done = this.#done
    this.#done = undefined
    done?.(result)
  }
}
