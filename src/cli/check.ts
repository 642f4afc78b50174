// millrace validate, and millrace config --effective: what a configuration means, without running
// it.

import { effectiveYaml, loadConfiguration, searchPath } from '../config/index.ts'
import { type Arguments, UsageError } from './options.ts'
import { describe, exitCodeOf } from './report.ts'
import { given, sourceOf } from './source.ts'

function wantedSource(args: Arguments): NonNullable<ReturnType<typeof sourceOf>> {
  const source = sourceOf(args)
  if (source) return source
  throw new UsageError('there is no configuration', `name one with -c, or write ${searchPath()[0]}`)
}

export async function validate(args: Arguments): Promise<void> {
  const source = wantedSource(args)
  try {
    const { name } = await loadConfiguration(await given(source))
    const answer = args.json ? JSON.stringify({ ok: true, configuration: name }) : `OK: ${name}`
    process.stdout.write(`${answer}\n`)
  } catch (error) {
    const stream = args.json ? process.stdout : process.stderr
    stream.write(`${describe(error, args.json)}\n`)
    process.exitCode = exitCodeOf(error)
  }
}

export async function showConfiguration(args: Arguments): Promise<void> {
  if (!args.effective) {
    throw new UsageError('config needs --effective', 'millrace config --effective -c FILE')
  }
  const source = await given(wantedSource(args))
  process.stdout.write(effectiveYaml(await loadConfiguration(source)))
}
