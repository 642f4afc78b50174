// Checks of grpc.health.v1.Health, through @grpc/grpc-js (grpc_client.ts), which is loaded by the
// first of them. The two messages are so small that they are written and read by hand.

import type { Client, ClientUnaryCall, Metadata, ServiceError } from '@grpc/grpc-js'
import type { GrpcCheckDefinition } from '../../config/index.ts'
import type { Prober, ProbeTarget } from './prober.ts'
import type { CheckResult } from './state.ts'

const kMethod = '/grpc.health.v1.Health/Check'
const kServing = 1
const kUnavailable = 14

type Grpc = typeof import('./grpc_client.ts')
let loading: Promise<Grpc> | undefined

export class GrpcProber implements Prober {
  readonly #target: ProbeTarget
  readonly #check: GrpcCheckDefinition
  readonly #reuse: boolean
  #client: Client | undefined
  #call: ClientUnaryCall | undefined
  /** Counts checks, so that what came too late is known. */
  #turn = 0

  constructor(target: ProbeTarget, check: GrpcCheckDefinition, reuseConnection: boolean) {
    this.#target = target
    this.#check = check
    this.#reuse = reuseConnection
  }

  check(done: (result: CheckResult) => void): void {
    const turn = ++this.#turn
    loading ??= import('./grpc_client.ts').catch((error: unknown) => {
      loading = undefined // the next check tries again
      throw error
    })
    loading.then(
      (grpc) => {
        if (turn === this.#turn) this.#ask(grpc, turn, done)
      },
      () => {
        if (turn === this.#turn) done({ ok: false, kind: 'network' })
      },
    )
  }

  abort(): void {
    this.#turn++
    this.#call?.cancel()
    this.#call = undefined
    this.#closeClient()
  }

  close(): void {
    this.abort()
  }

  #ask(grpc: Grpc, turn: number, done: (result: CheckResult) => void): void {
    this.#client ??= this.#connect(grpc)
    const metadata = new grpc.Metadata()
    for (const [name, value] of this.#check.metadata) metadata.add(name, value)
    this.#call = this.#client.makeUnaryRequest(
      kMethod,
      encodeRequest,
      readStatus,
      this.#check.serviceName,
      metadata,
      (error, status) => {
        if (turn !== this.#turn) return
        this.#call = undefined
        const result = judge(error, status)
        // After a failure a channel waits before it tries again, and a check must not.
        if (!result.ok || !this.#reuse) this.#closeClient()
        done(result)
      },
    )
  }

  #connect(grpc: Grpc): Client {
    const { address, hostname, clusterName } = this.#target
    const target =
      'path' in address
        ? `unix:${address.path}`
        : `${address.ip.includes(':') ? 'ipv6:' : 'ipv4:'}${literal(address)}`
    return new grpc.Client(target, grpc.credentials.createInsecure(), {
      'grpc.default_authority': hostname || this.#check.authority || clusterName,
      'grpc.enable_http_proxy': 0,
      'grpc.enable_retries': 0,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.service_config_disable_resolution': 1,
    })
  }

  #closeClient(): void {
    this.#client?.close()
    this.#client = undefined
  }
}

const literal = ({ ip, port }: { ip: string; port: number }): string =>
  ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`

function judge(error: ServiceError | null, status: number | undefined): CheckResult {
  if (!error) {
    return status === kServing ? { ok: true, degraded: false } : { ok: false, kind: 'active' }
  }
  // What has no metadata of an answer is not the host's word.
  const answered = Object.keys((error.metadata as Metadata | undefined)?.getMap() ?? {}).length > 0
  const network = error.code === kUnavailable && !answered
  return { ok: false, kind: network ? 'network' : 'active' }
}

/** `HealthCheckRequest { string service = 1 }`. */
export function encodeRequest(service: string): Buffer {
  const text = Buffer.from(service)
  if (text.length === 0) return text
  const length: number[] = []
  for (let rest = text.length; ; rest >>>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest)
    if (rest <= 127) break
  }
  return Buffer.concat([Buffer.from([0x0a, ...length]), text])
}

/** `HealthCheckResponse { ServingStatus status = 1 }`; 0 when it says nothing. */
export function readStatus(bytes: Buffer): number {
  return bytes.length >= 2 && bytes[0] === 0x08 ? (bytes[1] ?? 0) : 0
}
