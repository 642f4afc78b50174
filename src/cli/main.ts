#!/usr/bin/env node
// The program. Only what catches signals is loaded before they are caught.

import { Signals } from './signals.ts'

const signals = new Signals()
const { main } = await import('./commands.ts')
await main(process.argv.slice(2), signals)
