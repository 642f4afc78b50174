#!/usr/bin/env node
// The command line. Each command's code is loaded only when it is asked for: starting fast is a
// feature.

import { readArguments } from './options.ts'
import { describe, exitCodeOf } from './report.ts'

async function main(args: readonly string[]): Promise<void> {
  const parsed = readArguments(args)
  if (parsed.help) return printHelp()
  if (parsed.version) return printVersion()
  switch (parsed.command) {
    case 'run':
      return (await import('./run.ts')).run(parsed)
    case 'validate':
      return (await import('./check.ts')).validate(parsed)
    case 'config':
      return (await import('./check.ts')).showConfiguration(parsed)
    case 'doctor':
      return (await import('./doctor.ts')).doctor(parsed)
    case 'build-native':
      return (await import('./build_native.ts')).buildNative()
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

const args = process.argv.slice(2)
try {
  await main(args)
} catch (error) {
  process.stderr.write(`${describe(error, args.includes('--json'))}\n`)
  process.exit(exitCodeOf(error))
}
