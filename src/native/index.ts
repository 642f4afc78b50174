/**
 * The addon's surface: its types, and the one way to load it. What is passed in is checked and
 * complete: defaults filled in, names resolved to slots, regular expressions and formats compiled.
 * The addon checks types again and throws a `TypeError` with the path of what is wrong; that would
 * be a defect of ours, never of the user's configuration.
 *
 * Durations are milliseconds, sizes bytes. Times on the wall are milliseconds since 1970.
 */

export type * from './balancing.ts'
export * from './clusters.ts'
export type * from './core.ts'
export type * from './filters.ts'
export * from './flush.ts'
export type * from './format.ts'
export type * from './listeners.ts'
export * from './load.ts'
export type * from './matching.ts'
export type * from './resilience.ts'
export type * from './routes.ts'
export * from './slots.ts'
export type * from './values.ts'
