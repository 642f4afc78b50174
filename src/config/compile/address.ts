/** Addresses of listeners, hosts and the admin interface. */

import { isIP } from 'node:net'
import type { NativeAddress } from '../../native/index.ts'
import type { Address, SocketAddress } from '../schema/messages.generated.ts'
import type { Context } from './context.ts'

/** `sun_path` of Linux, with its terminating zero. */
const kUnixPathMax = 107

/** `what` says whose address is missing. */
export function compileAddress(
  context: Context,
  address: Address | undefined,
  owner: object,
  what: string,
): NativeAddress | undefined {
  if (address?.socket_address !== undefined) return socketAddress(context, address.socket_address)
  const pipe = address?.pipe
  if (pipe === undefined) {
    context.origins.addMissing(owner, `${what} needs an address`)
    return undefined
  }
  const { path = '', mode } = pipe
  if (Buffer.byteLength(path) > kUnixPathMax) {
    const text = `the path of a unix socket has at most ${kUnixPathMax} bytes`
    context.origins.add(pipe, ['path'], 'bad-value', text)
  } else if (path.includes('\0')) {
    const text = 'a path with a zero byte names no socket'
    context.origins.add(pipe, ['path'], 'bad-value', text)
  }
  return mode === undefined ? { path } : { path, mode }
}

export function socketAddress(context: Context, address: SocketAddress): NativeAddress | undefined {
  const { address: ip = '', port_value: port = 0 } = address
  if (isIP(ip) === 0) {
    const hint = ip === 'localhost' ? 'write 127.0.0.1' : undefined
    const text =
      `"${ip}" is not an IP address; ` +
      'names are resolved in clusters of type STRICT_DNS and LOGICAL_DNS'
    context.origins.add(address, ['address'], 'bad-value', text, hint)
    return undefined
  }
  if (address.named_port !== undefined) {
    const text = 'a service is looked up in clusters of type STRICT_DNS and LOGICAL_DNS only'
    context.origins.add(address, ['named_port'], 'bad-value', text)
  }
  return { ip, port }
}

export function addressText(address: NativeAddress): string {
  if (!('ip' in address)) return address.path
  return address.ip.includes(':')
    ? `[${address.ip}]:${address.port}`
    : `${address.ip}:${address.port}`
}
