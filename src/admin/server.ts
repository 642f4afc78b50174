// The admin interface: HTTP on the main thread, on loopback unless configured otherwise. Nothing
// here waits for workers, so /ready answers whatever else is asked.

import { chmodSync, lstatSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { MillraceError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { NativeAddress } from '../native/index.ts'
import { clustersEndpoint } from './clusters.ts'
import { configDumpEndpoint } from './config_dump.ts'
import { controlEndpoints } from './control.ts'
import { type Answer, type Endpoint, text } from './endpoint.ts'
import { isLoopback, refusal } from './guard.ts'
import { homeEndpoints } from './home.ts'
import { inTurn } from './in_turn.ts'
import { infoEndpoints } from './info.ts'
import { writePieces } from './pieces.ts'
import { statsEndpoints } from './stats.ts'
import type { AdminTarget } from './target.ts'

const kListed: readonly Endpoint[] = [
  ...infoEndpoints,
  clustersEndpoint,
  configDumpEndpoint,
  ...statsEndpoints,
  ...controlEndpoints,
].sort((a, b) => (a.path < b.path ? -1 : 1))

const kEndpoints: ReadonlyMap<string, Endpoint> = new Map(
  [...homeEndpoints(kListed), ...kListed].map((endpoint) => [endpoint.path, endpoint]),
)

const kInUse = 'stop what listens there, or choose another address'

export class AdminServer {
  readonly #http: Server
  readonly #address: NativeAddress
  readonly #target: AdminTarget
  readonly #log: Logger
  readonly #onLoopback: boolean
  /** `http://host:port`, or `unix:path`. */
  readonly url: string

  private constructor(
    http: Server,
    address: NativeAddress,
    url: string,
    onLoopback: boolean,
    target: AdminTarget,
    log: Logger,
  ) {
    this.#http = http
    this.#address = address
    this.url = url
    this.#onLoopback = onLoopback
    this.#target = target
    this.#log = log
    http.on(
      'request',
      inTurn((request, response) => this.#serve(request, response)),
    )
  }

  static async listen(
    address: NativeAddress,
    target: AdminTarget,
    log: Logger,
  ): Promise<AdminServer> {
    const http = createServer({ requestTimeout: 10_000 })
    await bind(http, address)
    http.unref() // what keeps the process alive is the server's to say
    if ('path' in address) {
      return new AdminServer(http, address, `unix:${address.path}`, true, target, log)
    }
    const { port } = http.address() as AddressInfo
    const host = address.ip.includes(':') ? `[${address.ip}]` : address.ip
    const url = `http://${host}:${port}`
    return new AdminServer(http, { ...address, port }, url, isLoopback(address.ip), target, log)
  }

  /** Whether an interface at `address` cannot listen beside this one: it has its port, or path. */
  blocks(address: NativeAddress): boolean {
    const own = this.#address
    if ('path' in own || 'path' in address) {
      return 'path' in own && 'path' in address && own.path === address.path
    }
    return own.port === address.port
  }

  /** Lets go of the address, for a successor that needs its port or path. Requests go on. */
  async makeRoom(): Promise<void> {
    // The socket is closed at once, and only that is waited for: connections may last.
    this.#http.close()
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** After {@link makeRoom}: listens again. */
  async comeBack(): Promise<void> {
    await bind(this.#http, this.#address)
    this.#http.unref()
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#http.close(resolve))
    this.#http.closeAllConnections()
    await closed
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    let answer: Answer
    try {
      answer = this.#answer(request)
    } catch (error) {
      this.#log.error({ err: error, url: request.url }, 'admin request failed')
      answer = text(`${error instanceof Error ? error.message : String(error)}\n`, 500)
    }
    this.#send(request, response, answer)
  }

  #send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
    const { after, body } = answer
    if (after) response.on('close', after)
    response.writeHead(answer.status, {
      'content-type': answer.type,
      'cache-control': 'no-cache, max-age=0',
      'x-content-type-options': 'nosniff',
      ...(typeof body === 'string' && { 'content-length': Buffer.byteLength(body) }),
    })
    if (request.method === 'HEAD') response.end()
    else if (typeof body === 'string') response.end(body)
    else {
      writePieces(response, body).catch((error: unknown) => {
        // The client sees that the answer is not whole.
        this.#log.error({ err: error, url: request.url }, 'admin request failed')
        response.destroy()
      })
    }
  }

  #answer(request: IncomingMessage): Answer {
    const refused = refusal(request.headers, this.#onLoopback)
    if (refused !== undefined) return text(`${refused}\n`, 403)
    const [path = '/', search = ''] = (request.url ?? '/').split('?', 2)
    const endpoint = kEndpoints.get(path)
    if (!endpoint) return text(`invalid path ${path}; /help lists what there is\n`, 404)
    const method = request.method === 'HEAD' ? 'GET' : request.method
    if (method !== endpoint.method) {
      return text(`Method ${request.method} not allowed, ${endpoint.method} required.\n`, 405)
    }
    const query = new URLSearchParams(search)
    const known = Object.keys(endpoint.parameters)
    const unknown = [...query.keys()].find((name) => !known.includes(name))
    if (unknown !== undefined) {
      const there = known.length > 0 ? `there are: ${known.join(', ')}` : 'there are none'
      return text(`${path} has no parameter "${unknown}"; ${there}\n`, 400)
    }
    return endpoint.handle(this.#target, query)
  }
}

async function bind(http: Server, address: NativeAddress): Promise<void> {
  const where = 'path' in address ? address.path : `${address.ip}:${address.port}`
  if ('path' in address) await removeStaleSocket(address.path)
  await new Promise<void>((resolve, reject) => {
    http.once('error', (cause: NodeJS.ErrnoException) => {
      const message = `admin: cannot listen on ${where}: ${cause.code ?? cause.message}`
      const hint = cause.code === 'EADDRINUSE' ? { hint: kInUse } : {}
      const about = { path: 'admin.address', cause, ...hint }
      reject(new MillraceError('ERR_MILLRACE_LISTEN', message, about))
    })
    if ('path' in address) http.listen(address.path.replace(/^@/, '\0'), resolve)
    else http.listen(address.port, address.ip, resolve)
  })
  if ('path' in address && !address.path.startsWith('@')) {
    chmodSync(address.path, address.mode ?? 0o600)
  }
}

/** What a process that is gone left. Where somebody answers, or no socket is, binding fails. */
async function removeStaleSocket(path: string): Promise<void> {
  if (path.startsWith('@') || !lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return
  if (await isDeserted(path)) rmSync(path, { force: true })
}

/** Whether nobody listens on the socket at `path`. */
function isDeserted(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path)
    probe.on('connect', () => {
      probe.destroy()
      resolve(false)
    })
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'))
  })
}
