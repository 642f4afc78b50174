/** Addresses of the short form: ports, `host:port`, `unix:/path`, and URLs of upstreams. */

import { isIP } from 'node:net'
import { kindOf } from '../check/scalars.ts'
import type { SourceNode } from '../source/tree.ts'
import { nodeAt, type Spot, type Value } from './nodes.ts'
import type { Reader } from './reader.ts'

interface HostPort {
  readonly host: string
  readonly port: number
}

/** An address to listen on, as Envoy's Address. A port alone: on `anyHost`. */
export function listenAddress(
  reader: Reader,
  node: SourceNode,
  spot: Spot,
  anyHost: string,
): SourceNode | undefined {
  const text = node.kind === 'scalar' && node.value !== null ? node.text.trim() : undefined
  const what = 'an address such as 8080, 127.0.0.1:8080, [::1]:8080 or unix:/run/millrace.sock'
  if (text === undefined)
    return reader.refuse(spot, 'wrong-type', `is ${what}, not ${kindOf(node)}`)
  const pipe = unixPath(text)
  if (pipe !== undefined) return nodeAt(spot, { pipe: { path: pipe } })
  const found = hostPort(/^\d+$/.test(text) ? `:${text}` : text)
  if (found === undefined) return reader.refuse(spot, 'bad-value', `is ${what}, not "${text}"`)
  const host = found.host === '' || found.host === '*' ? anyHost : found.host
  return socketAddress(reader, spot, { host, port: found.port })
}

/**
 * Where requests go: a URL, `host:port`, a port of this machine, or `unix:/path`; as Envoy's
 * Address.
 */
export function upstreamAddress(
  reader: Reader,
  node: SourceNode,
  spot: Spot,
): SourceNode | undefined {
  const what = 'a URL such as http://127.0.0.1:3000'
  if (node.kind !== 'scalar' || node.value === null) {
    return reader.refuse(spot, 'wrong-type', `is ${what}, not ${kindOf(node)}`)
  }
  const text = node.text.trim()
  const pipe = unixPath(text)
  if (pipe !== undefined) return nodeAt(spot, { pipe: { path: pipe } })
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
  return socketAddress(reader, spot, found.host === '' ? { ...found, host: '127.0.0.1' } : found)
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

function socketAddress(
  reader: Reader,
  spot: Spot,
  { host, port }: HostPort,
): SourceNode | undefined {
  const address = host.toLowerCase() === 'localhost' ? '127.0.0.1' : host
  if (isIP(address) === 0) {
    const text = `"${host}" is a name, and resolving names is not supported yet`
    return reader.refuse(spot, 'not-supported', text, 'write its IP address')
  }
  if (port > 65_535) return reader.refuse(spot, 'bad-value', `there is no port ${port}`)
  const fields: Value = { socket_address: { address, port_value: port } }
  return nodeAt(spot, fields)
}

/** What names an address in the name of a cluster. */
export function addressName(address: SourceNode): string {
  const inner = address.kind === 'map' ? address.entries[0]?.value : undefined
  const parts = inner?.kind === 'map' ? inner.entries.map((entry) => entry.value) : []
  return parts.map((part) => (part.kind === 'scalar' ? part.text : '')).join(':')
}
