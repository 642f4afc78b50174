// A DNS server whose answers a test sets name by name, and may hold back.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'

/** Of A records: addresses. Of SRV records: `port name`. */
export type DnsSays = readonly string[] | 'fails'

const kSrv = 33

export class ControlledDns {
  readonly port: number
  readonly #socket: Socket
  readonly #says = new Map<string, DnsSays>()
  readonly #held = new Map<string, (() => void)[]>()
  readonly #answered = new Map<string, number>()

  private constructor(socket: Socket) {
    this.#socket = socket
    this.port = socket.address().port
    socket.on('message', (query, { port, address }) => {
      const { name, question } = readQuestion(query)
      const send = (): void => {
        this.#answered.set(name, this.answered(name) + 1)
        socket.send(this.#answer(query, question, name), port, address)
      }
      const held = this.#held.get(name)
      if (held) held.push(send)
      else send()
    })
  }

  static async start(): Promise<ControlledDns> {
    const socket = createSocket('udp4').bind(0, '127.0.0.1')
    await once(socket, 'listening')
    return new ControlledDns(socket)
  }

  /** Answers that were sent. */
  answered(name: string): number {
    return this.#answered.get(name) ?? 0
  }

  /** A name without an entry does not exist. */
  set(name: string, says: DnsSays): void {
    this.#says.set(name, says)
  }

  hold(name: string): void {
    if (!this.#held.has(name)) this.#held.set(name, [])
  }

  release(name: string): void {
    const held = this.#held.get(name) ?? []
    this.#held.delete(name)
    for (const send of held) send()
  }

  stop(): void {
    this.#socket.close()
  }

  #answer(query: Buffer, question: Buffer, name: string): Buffer {
    const says = this.#says.get(name)
    const code = says === undefined ? 3 : says === 'fails' ? 2 : 0
    const records = says === 'fails' || says === undefined ? [] : says
    const type = question.readUInt16BE(question.length - 4)
    const written = records.flatMap((record) => recordOf(type, record))
    const head = Buffer.from([...query.subarray(0, 2), 0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0])
    head.writeUInt16BE(written.length, 6)
    return Buffer.concat([head, question, ...written])
  }
}

function readQuestion(query: Buffer): { name: string; question: Buffer } {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += length + 1
  }
  return { name: labels.join('.').toLowerCase(), question: query.subarray(12, at + 5) }
}

function recordOf(type: number, record: string): Buffer[] {
  const isSrv = record.includes(' ')
  if (isSrv !== (type === kSrv)) return []
  const data = isSrv ? srvData(record) : Buffer.from(record.split('.').map(Number))
  const fixed = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, data.length])
  return [Buffer.concat([fixed, data])]
}

function srvData(record: string): Buffer {
  const [port = '', name = ''] = record.split(' ')
  const head = Buffer.from([0, 1, 0, 3, 0, 0]) // priority 1, weight 3
  head.writeUInt16BE(Number(port), 4)
  const labels = name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)]))
  return Buffer.concat([head, ...labels, Buffer.from([0])])
}
