// The address of --admin.

import type { NativeAddress } from '../native/index.ts'
import { readAddress } from '../server/address.ts'
import { UsageError } from './options.ts'

/** What {@link readAddress} reads. */
export function adminAddress(value: string): NativeAddress {
  const address = readAddress(value)
  if (address) return address
  throw new UsageError(
    `--admin: "${value}" is no address`,
    'write a port, IP:port, [IPv6]:port or unix:PATH',
  )
}
