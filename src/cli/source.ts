// Which configuration the arguments mean.

import { type ConfigSource, findConfiguration, readStandardInput } from '../config/index.ts'
import { type Arguments, UsageError } from './options.ts'

/** As `-c -` asks for it; not read yet. */
export interface StandardInput {
  readonly kind: 'stdin'
}

const kStandardInput = 'standard input'

/** undefined: there is none. */
export function sourceOf(args: Arguments): ConfigSource | StandardInput | undefined {
  if (args.config === '-') return { kind: 'stdin' }
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

/** What can be loaded; standard input is read to its end. */
export async function given(source: ConfigSource | StandardInput): Promise<ConfigSource> {
  if (source.kind !== 'stdin') return source
  return { kind: 'text', name: kStandardInput, text: await readStandardInput(kStandardInput) }
}
