// The command line. Each command's code is loaded only when it is asked for: starting fast is a
// feature.

import { isReading } from '../read_file.ts'
import { leave } from './leave.ts'
import { type Arguments, readArguments } from './options.ts'
import { describe, exitCodeOf } from './report.ts'
import type { Signals } from './signals.ts'

export async function main(args: readonly string[], signals: Signals): Promise<void> {
  try {
    const parsed = readArguments(args)
    const runs = parsed.command === 'run' && !parsed.help && !parsed.version
    if (runs) return await (await import('./run.ts')).run(parsed, signals)
    signals.release()
    await command(parsed)
  } catch (error) {
    process.stderr.on('error', () => {})
    process.stderr.write(`${describe(error, args.includes('--json'))}\n`)
    leave(exitCodeOf(error))
  }
  if (isReading()) leave(Number(process.exitCode ?? 0))
}

async function command(args: Arguments): Promise<void> {
  // A reader that has gone (`millrace validate | true`) or a full disk is no reason to crash.
  process.stdout.on('error', () => {})
  if (args.help) return printHelp()
  if (args.version) return printVersion()
  switch (args.command) {
    case 'validate':
      return (await import('./check.ts')).validate(args)
    case 'config':
      return (await import('./check.ts')).showConfiguration(args)
    case 'doctor':
      return (await import('./doctor.ts')).doctor(args)
    case 'build-native':
      return (await import('./build_native.ts')).buildNative()
    case 'run':
      throw new TypeError('run goes another way')
  }
}

async function printHelp(): Promise<void> {
  const { helpText } = await import('./options.ts')
  const { searchPath } = await import('../config/index.ts')
  process.stdout.write(helpText(searchPath()))
}

async function printVersion(): Promise<void> {
  const { version } = await import('../version.ts')
  process.stdout.write(`millrace ${version()}\n`)
}
