/**
 * `millrace/pino`: destinations for pino. The default export is for `pino.transport({ target:
 * 'millrace/pino', options })`, which runs it in a worker thread.
 */

import { type Destination, type DestinationOptions, destination } from './flush/destination.ts'

export {
  Destination,
  type DestinationEvents,
  type DestinationOptions,
  destination,
} from './flush/destination.ts'
export { terminalDestination } from './flush/terminal.ts'

/** For `pino.transport`: the same destination, written to by pino's worker thread. */
export default function transport(options: DestinationOptions = {}): Destination {
  return destination(options)
}
