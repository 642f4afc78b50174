// pino, with a file that is written by a thread of its own. The program ends without closing it:
// nothing is lost.
//
// Prints:
//   {"level":30,"user":7,"msg":"signed in"}
//   {"level":50,"msg":"and out"}

import { destination } from 'millrace/pino'
import { pino } from 'pino'

const log = pino({ base: null, timestamp: false }, destination(1))
log.info({ user: 7 }, 'signed in')
log.error('and out')
process.exit(0)
