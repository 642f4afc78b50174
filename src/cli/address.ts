// The address of --admin.

import { isIP } from 'node:net'
import type { NativeAddress } from '../native/index.ts'
import { UsageError } from './options.ts'

/**
 * `9901`, `127.0.0.1:9901`, `[::1]:9901`, `localhost:9901` or `unix:/run/admin.sock`. A port alone
 * is on loopback.
 */
export function adminAddress(value: string): NativeAddress {
  if (value.startsWith('unix:') && value.length > 'unix:'.length) {
    return { path: value.slice('unix:'.length) }
  }
  const match = /^(?:(?:\[([^\]]+)\]|([^:]+)):)?(\d{1,5})$/.exec(value)
  const ip = (match?.[1] ?? match?.[2] ?? '127.0.0.1').replace(/^localhost$/, '127.0.0.1')
  const port = Number(match?.[3])
  if (!match || isIP(ip) === 0 || port > 65_535) {
    throw new UsageError(
      `--admin: "${value}" is no address`,
      'write a port, IP:port, [IPv6]:port or unix:PATH',
    )
  }
  return { ip, port }
}
