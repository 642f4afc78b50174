/** Addresses of the short form: ports, `host:port`, `unix:/path`, and URLs of upstreams. */

import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { kindOf } from '../check/scalars.ts'
import type { SourceNode } from '../source/tree.ts'
import { nodeAt, type Spot, type Value } from './nodes.ts'
import type { Reader } from './reader.ts'

interface HostPort {
  readonly host: string
  readonly port: number
}

/**
 * Addresses to listen on, as Envoy's Address: one, or of `localhost` those that `localhost` names.
 * A port alone: on `anyHost`; `[::]`: IPv4's, too.
 */
export function listenAddresses(
  reader: Reader,
  node: SourceNode,
  spot: Spot,
  { anyHost, localhost }: { readonly anyHost: string; readonly localhost: readonly string[] },
): readonly SourceNode[] {
  const text = node.kind === 'scalar' && node.value !== null ? node.text.trim() : undefined
  const what = 'an address such as 8080, 127.0.0.1:8080, [::1]:8080 or unix:/run/millrace.sock'
  if (text === undefined) {
    reader.refuse(spot, 'wrong-type', `is ${what}, not ${kindOf(node)}`)
    return []
  }
  const pipe = unixPath(text)
  if (pipe !== undefined) return [nodeAt(spot, { pipe: { path: pipe } })]
  const found = hostPort(/^\d+$/.test(text) ? `:${text}` : text)
  if (found === undefined) {
    reader.refuse(spot, 'bad-value', `is ${what}, not "${text}"`)
    return []
  }
  const host = found.host === '' || found.host === '*' ? anyHost : found.host
  const both = /^[0:]+$/.test(host) && isIP(host) === 6
  const hosts = isLocalhost(host) ? localhost : [host]
  return hosts.flatMap((each) => {
    const at = { host: each, port: found.port }
    return socketAddress(reader, spot, at, both ? { ipv4_compat: true } : {}) ?? []
  })
}

/** Of this machine: without IPv6 there is nothing to listen on at ::1. */
export function loopbacksHere(): readonly string[] {
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? [])
  return kLoopbacks.filter(
    (address) => isIP(address) === 4 || own.some((at) => at.address === address),
  )
}

/** Where requests go. */
export interface UpstreamPlace {
  /** Envoy's Address. */
  readonly address: SourceNode
  /** Others of the same host, tried when that one does not accept. */
  readonly others: readonly SourceNode[]
  /** An IP address, or two; a name whose addresses have to be asked for; the path of a socket. */
  readonly kind: 'ip' | 'name' | 'unix'
  /** As it was written, with its port: for the name of a cluster. */
  readonly text: string
}

/** A URL, `host:port`, a port of this machine, or `unix:/path`. */
export function upstreamPlace(
  reader: Reader,
  node: SourceNode,
  spot: Spot,
): UpstreamPlace | undefined {
  const what = 'a URL such as http://127.0.0.1:3000 or http://app:3000'
  if (node.kind !== 'scalar' || node.value === null) {
    return reader.refuse(spot, 'wrong-type', `is ${what}, not ${kindOf(node)}`)
  }
  const text = node.text.trim()
  const pipe = unixPath(text)
  if (pipe !== undefined) {
    const address = nodeAt(spot, { pipe: { path: pipe } })
    return { address, others: [], kind: 'unix', text: pipe }
  }
  const [, scheme, rest = ''] = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(.*)$/i.exec(text) ?? []
  const kind = scheme?.toLowerCase()
  if (kind === 'https') {
    return reader.refuse(
      spot,
      'not-supported',
      'https:// is not supported yet: TLS is not built yet',
      'write http:// if the upstream also speaks plain HTTP',
    )
  }
  if (kind !== undefined && kind !== 'http') {
    return reader.refuse(spot, 'bad-value', `is ${what}, not ${scheme}://`)
  }
  const [authority = '', tail = ''] = splitAt(rest, /[/?#]/)
  if (tail !== '' && tail !== '/') {
    const hint = 'a route changes the path by strip_prefix or rewrite'
    return reader.refuse(
      spot,
      'bad-value',
      `has the path "${tail}", and an upstream has none`,
      hint,
    )
  }
  const bare = /^\d+$/.test(authority) && kind === undefined
  const found = hostPort(bare ? `:${authority}` : authority, kind === 'http' ? 80 : undefined)
  if (found === undefined) return reader.refuse(spot, 'bad-value', `is ${what}, not "${text}"`)
  return placeAt(reader, spot, found)
}

/** What this machine is called by itself: a service listens on either of these, or on both. */
const kLoopbacks = ['127.0.0.1', '::1'] as const

const isLocalhost = (name: string): boolean => /^localhost\.?$/i.test(name)

function placeAt(reader: Reader, spot: Spot, { host, port }: HostPort): UpstreamPlace | undefined {
  if (!isPort(reader, spot, port)) return undefined
  const name = host === '' ? 'localhost' : host.toLowerCase()
  const at = (address: string): SourceNode =>
    nodeAt(spot, { socket_address: { address, port_value: port } })
  const text = `${isIP(name) === 6 ? `[${name}]` : name}:${port}`
  if (isLocalhost(name)) {
    const [address, ...others] = kLoopbacks.map(at)
    return address && { address, others, kind: 'ip', text: `localhost:${port}` }
  }
  if (isIP(name) !== 0) return { address: at(name), others: [], kind: 'ip', text }
  if (isHostName(name)) return { address: at(name), others: [], kind: 'name', text }
  const hint = name.includes('@') ? 'leave out the user and the password' : undefined
  return reader.refuse(spot, 'bad-value', `"${host}" is no name of a host, and no address`, hint)
}

/** RFC 1123, section 2.1, and underscores, as names of containers and services have them. */
function isHostName(text: string): boolean {
  const labels = text.replace(/\.$/, '').split('.')
  const isLabel = (label: string): boolean => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label)
  // What ends in a number is an IPv4 address, or a wrong one.
  return text.length <= 253 && labels.every(isLabel) && !/^\d+$/.test(labels.at(-1) ?? '')
}

function splitAt(text: string, where: RegExp): [string, string] {
  const at = text.search(where)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at)]
}

/** `unix:/path`, `unix:///path`, and `unix:@name` for Linux's abstract ones. */
function unixPath(text: string): string | undefined {
  const path = /^unix:(?:\/\/(?=\/))?([/@].+)$/.exec(text)?.[1]
  return path
}

function hostPort(text: string, defaultPort?: number): HostPort | undefined {
  const found = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text)
  if (found === null) return undefined
  const [, ipv6, other, digits] = found
  if (ipv6 !== undefined && isIP(ipv6) !== 6) return undefined
  const port = digits === undefined ? defaultPort : Number(digits)
  if (port === undefined) return undefined
  return { host: ipv6 ?? other ?? '', port }
}

/** Of an address to listen on. */
function socketAddress(
  reader: Reader,
  spot: Spot,
  { host: address, port }: HostPort,
  more: { readonly ipv4_compat?: true } = {},
): SourceNode | undefined {
  if (isIP(address) === 0) {
    const text = `"${address}" is a name, and a listener needs an address`
    return reader.refuse(spot, 'bad-value', text, 'write its IP address, or the port alone')
  }
  if (!isPort(reader, spot, port)) return undefined
  const fields: Value = { socket_address: { address, port_value: port, ...more } }
  return nodeAt(spot, fields)
}

function isPort(reader: Reader, spot: Spot, port: number): boolean {
  if (port <= 65_535) return true
  reader.refuse(spot, 'bad-value', `there is no port ${port}`)
  return false
}
