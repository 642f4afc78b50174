// Which configuration the arguments mean.

import { type ConfigSource, findConfiguration } from '../config/index.ts'
import { type Arguments, UsageError } from './options.ts'

/** undefined: there is none. */
export function sourceOf(args: Arguments): ConfigSource | undefined {
  if (args.config !== undefined) return { kind: 'file', path: args.config }
  if (args.to.length > 0) {
    return {
      kind: 'flags',
      to: args.to,
      ...(args.listen === undefined ? {} : { listen: args.listen }),
    }
  }
  const path = args.demo ? undefined : findConfiguration()
  if (path === undefined) return undefined
  if (args.listen !== undefined) {
    throw new UsageError(
      `--listen does not go with a file, and there is ${path}`,
      'use --listen with --to or --demo',
    )
  }
  return { kind: 'file', path }
}
