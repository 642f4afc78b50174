// Addresses as people write them, to what the native core takes.

import { isIP } from 'node:net'
import type { NativeAddress } from '../native/index.ts'

/**
 * `3000`, `127.0.0.1:3000`, `[::1]:3000`, `localhost:3000` or `unix:/path` (`unix:@name`); a port
 * alone is on loopback. undefined: it is none.
 */
export function readAddress(text: string): NativeAddress | undefined {
  const path = /^unix:(?:\/\/(?=\/))?(.+)$/.exec(text)?.[1]
  if (path !== undefined) return { path }
  const match = /^(?:(?:\[([^\]]+)\]|([^:]+)):)?(\d{1,5})$/.exec(text)
  const ip = (match?.[1] ?? match?.[2] ?? '127.0.0.1').replace(/^localhost$/, '127.0.0.1')
  const port = Number(match?.[3])
  return match && isIP(ip) !== 0 && port <= 65_535 ? { ip, port } : undefined
}

/** `127.0.0.1:3000`, `[::1]:3000`, or the path of a unix socket. */
export function addressText(address: NativeAddress): string {
  if ('path' in address) return address.path
  return `${address.ip.includes(':') ? `[${address.ip}]` : address.ip}:${address.port}`
}
