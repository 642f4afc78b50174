// DNS servers: a real one (dnsmasq), and one that answers as no server should.

import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import { temporaryFolder } from './files.ts'

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

export class Dns {
  readonly port: number
  readonly #hosts: string
  readonly #child: ChildProcess

  private constructor(port: number, hosts: string, child: ChildProcess) {
    this.port = port
    this.#hosts = hosts
    this.#child = child
  }

  /** `lines`: of an /etc/hosts. `options`: of dnsmasq. */
  static async start(
    lines: readonly string[],
    options: readonly string[] = [],
    port?: number,
  ): Promise<Dns> {
    const at = port ?? (await freePort())
    const hosts = join(temporaryFolder(), 'hosts')
    writeFileSync(hosts, `${lines.join('\n')}\n`)
    const child = spawn(
      'dnsmasq',
      [
        ...['--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts'],
        ...[`--port=${at}`, '--listen-address=127.0.0.1', '--bind-interfaces', '--user=root'],
        ...[`--addn-hosts=${hosts}`, '--local=/test/', '--log-facility=/dev/null', '--pid-file='],
        ...options,
      ],
      { stdio: 'ignore' },
    )
    const dns = new Dns(at, hosts, child)
    stops.push(() => dns.stop())
    await dns.#answers()
    return dns
  }

  async #answers(): Promise<void> {
    for (let i = 0; ; i++) {
      const resolver = new Resolver({ timeout: 200, tries: 1 })
      resolver.setServers([`127.0.0.1:${this.port}`])
      try {
        await resolver.resolve4('nothing.test')
        return
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'ENOTFOUND' || code === 'ENODATA') return
        if (i > 50 || this.#child.exitCode !== null) throw error
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }

  /** Other names from now on. */
  set(lines: readonly string[]): void {
    writeFileSync(this.#hosts, `${lines.join('\n')}\n`)
    this.#child.kill('SIGHUP')
  }

  stop(): void {
    this.#child.kill('SIGKILL')
  }
}

/** Answers every question with what `answer` makes of it; undefined: with nothing. */
export async function badDns(answer: (query: Buffer) => Buffer | undefined): Promise<number> {
  const socket = createSocket('udp4')
  socket.on('message', (query, { port, address }) => {
    const said = answer(query)
    if (said) socket.send(said, port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  stops.push(() => socket.close())
  return socket.address().port
}

/** The question back, as an answer with this code and nothing in it. */
export function withCode(code: number): (query: Buffer) => Buffer {
  return (query) => {
    const answer = Buffer.from(query)
    answer[2] = 0x81 // an answer, recursion desired
    answer[3] = 0x80 | code
    return answer
  }
}

export type QueryType = 'A' | 'AAAA'
const kTypes: Readonly<Record<number, QueryType>> = { 1: 'A', 28: 'AAAA' }

/**
 * Answers with these addresses and their TTLs in seconds; `fails`: with SERVFAIL. What is not there
 * has no records.
 */
export function records(
  answers: Partial<Record<QueryType, 'fails' | readonly (readonly [string, number])[]>>,
): (query: Buffer) => Buffer {
  return (query) => {
    const question = query.subarray(0, endOfQuestion(query))
    const type = kTypes[question.readUInt16BE(question.length - 4)]
    const found = type && answers[type]
    if (found === 'fails') return withCode(2)(question)
    const head = withCode(0)(question)
    head.writeUInt16BE(found?.length ?? 0, 6)
    head.writeUInt32BE(0, 8)
    const written = (found ?? []).map(([address, ttl]) => {
      const bytes = addressBytes(address)
      const fixed = Buffer.alloc(12)
      fixed.writeUInt16BE(0xc00c, 0) // the name of the question
      question.copy(fixed, 2, question.length - 4)
      fixed.writeUInt32BE(ttl, 6)
      fixed.writeUInt16BE(bytes.length, 10)
      return Buffer.concat([fixed, bytes])
    })
    return Buffer.concat([head, ...written])
  }
}

/** Where a query's first question ends. */
export function endOfQuestion(query: Buffer): number {
  let at = 12
  while ((query[at] ?? 0) !== 0) at += (query[at] ?? 0) + 1
  return at + 5
}

/** Of IPv6 addresses those of the form `fd00::1`. */
function addressBytes(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number))
  const bytes = Buffer.alloc(16)
  const [first = '', last = ''] = address.split('::')
  bytes.writeUInt16BE(Number.parseInt(first, 16), 0)
  bytes.writeUInt16BE(Number.parseInt(last, 16), 14)
  return bytes
}
