// HTTP/1 checks over plain sockets, without Node's HTTP client, whose cost would be most of that of
// a check.

import type { Socket } from 'node:net'
import type { HttpCheckDefinition, StatusRange } from '../../config/index.ts'
import type { NativeStringMatcher } from '../../native/index.ts'
import { containsInOrder, type Prober, type ProbeTarget } from './prober.ts'
import { ResponseReader } from './response.ts'
import { openSocket } from './socket.ts'
import type { CheckResult } from './state.ts'

const kNetwork: CheckResult = { ok: false, kind: 'network' }

export interface HttpProberOptions {
  readonly check: HttpCheckDefinition
  readonly reuseConnection: boolean
  /** Whether the service's name is looked at now. */
  readonly verifiesService: () => boolean
  /** A service's name was looked at. */
  readonly onVerify: () => void
}

export class HttpProber implements Prober {
  readonly #target: ProbeTarget
  readonly #options: HttpProberOptions
  readonly #request: Buffer
  #socket: Socket | undefined
  #connected = false
  /** Checks that the connection has carried. */
  #used = 0
  #reader: ResponseReader | undefined
  #done: ((result: CheckResult) => void) | undefined

  constructor(target: ProbeTarget, options: HttpProberOptions) {
    this.#target = target
    this.#options = options
    this.#request = requestBytes(target, options.check)
  }

  check(done: (result: CheckResult) => void): void {
    const { check } = this.#options
    const keeps = check.receive.length === 0 ? 0 : check.bodyBytes || Number.POSITIVE_INFINITY
    this.#done = done
    this.#reader = new ResponseReader(check.method === 'HEAD', keeps)
    if (!this.#socket) this.#open()
    else if (this.#connected) this.#socket.write(this.#request)
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
        if (this.#done) socket.write(this.#request)
      },
      data: (bytes) => {
        if (this.#socket === socket) this.#onData(bytes)
      },
      closed: () => {
        if (this.#socket === socket) this.#onClosed()
      },
    })
    this.#socket = socket
  }

  #drop(): void {
    const socket = this.#socket
    this.#socket = undefined
    socket?.destroy()
  }

  #onData(bytes: Buffer): void {
    const reader = this.#reader
    if (!reader || !this.#done) {
      this.#drop() // nobody asked
      return
    }
    const state = reader.feed(bytes)
    if (state === 'more') return
    if (state === 'bad') {
      this.#drop()
      this.#finish(kNetwork)
      return
    }
    this.#used++
    if (!reader.reusable || !this.#options.reuseConnection) this.#drop()
    this.#finish(judge(reader, this.#options))
  }

  #onClosed(): void {
    this.#socket = undefined
    const reader = this.#reader
    if (!reader || !this.#done) return
    // The host closed a connection that was idle, as it may: that says nothing of its health.
    if (this.#used > 0 && !reader.begun) this.#open()
    else this.#finish(reader.end() === 'done' ? judge(reader, this.#options) : kNetwork)
  }

  #finish(result: CheckResult): void {
    const done = this.#done
    this.#done = undefined
    this.#reader = undefined
    done?.(result)
  }
}

function judge(reader: ResponseReader, options: HttpProberOptions): CheckResult {
  const { check, verifiesService, onVerify } = options
  const { headers, status } = reader
  if (headers.has('x-envoy-immediate-health-check-fail')) {
    return { ok: false, kind: 'active', excluded: true }
  }
  if (!inRanges(check.expected, status)) {
    return { ok: false, kind: 'active', retriable: inRanges(check.retriable, status) }
  }
  if (!containsInOrder(reader.body, check.receive)) return { ok: false, kind: 'active' }
  if (check.serviceName && verifiesService()) {
    onVerify()
    const name = headers.get('x-envoy-upstream-healthchecked-cluster') ?? ''
    if (!matchesString(check.serviceName, name)) return { ok: false, kind: 'active' }
  }
  return { ok: true, degraded: headers.has('x-envoy-degraded') }
}

const inRanges = (ranges: readonly StatusRange[], status: number): boolean =>
  ranges.some(([start, end]) => status >= start && status < end)

/** As workers match, for the few texts that the main thread looks at. */
export function matchesString(matcher: NativeStringMatcher, text: string): boolean {
  const { kind, dfa, ignoreCase = false } = matcher
  if (kind === 'regex') {
    if (!dfa) return false
    let state = dfa.start
    for (const byte of Buffer.from(text, 'latin1')) {
      state = dfa.next[state * dfa.classCount + (dfa.classes[byte] ?? 0)] ?? 0
    }
    return dfa.accepting[state] === 1
  }
  const fold = (value: string): string => (ignoreCase ? value.toLowerCase() : value)
  const [given, wanted] = [fold(text), fold(matcher.value ?? '')]
  switch (kind) {
    case 'exact':
      return given === wanted
    case 'prefix':
      return given.startsWith(wanted)
    case 'suffix':
      return given.endsWith(wanted)
    case 'contains':
      return given.includes(wanted)
  }
}

function requestBytes({ hostname, clusterName }: ProbeTarget, check: HttpCheckDefinition): Buffer {
  const headers: [name: string, value: string][] = [
    ['host', hostname || check.host || clusterName],
    ['user-agent', 'Envoy/HC'],
  ]
  // A request that may have a body says that it has none.
  if (/^(POST|PUT|PATCH)$/.test(check.method)) headers.push(['content-length', '0'])
  for (const { name, value, append } of check.addHeaders) {
    const key = name.toLowerCase()
    if (!append) {
      const others = headers.filter(([known]) => known !== key)
      headers.splice(0, headers.length, ...others)
    }
    headers.push([key, value])
  }
  const kept = headers.filter(([name]) => !check.removeHeaders.includes(name))
  const lines = kept.map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${check.method} ${check.path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1')
}
