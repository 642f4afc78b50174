// Compiled, not run: the types of every door, as an ES module and (copied) as CommonJS sees them.
import { type ConfigError, createProxy, type ListenAddress } from 'millrace'
import { FlushFile } from 'millrace/core'
import { type Destination, destination } from 'millrace/pino'

export async function start(signal: AbortSignal): Promise<readonly number[]> {
  const proxy = await createProxy({ listen: 0, routes: { '/': 'http://[::1]:1' } }, { signal })
  const addresses: readonly ListenAddress[] = proxy.addresses
  return addresses.map(({ port }) => port ?? 0)
}

export const lines: (error: ConfigError) => number[] = (error) =>
  error.problems.map(({ line }) => line ?? 0)

export const written: boolean = new FlushFile({ path: '/dev/null' }).write('line\n')
export const log: Destination = destination({ path: '/dev/null' })
