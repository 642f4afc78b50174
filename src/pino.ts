/** `millrace/pino`: destinations for pino. */

export { terminalDestination } from './terminal_log.ts'
