/** What the messages to the native core are made of. */

/** Where to listen or to connect: an IP literal and a port, or a unix socket ('@…': abstract). */
export type NativeAddress =
  | { readonly ip: string; readonly port: number }
  | { readonly path: string; readonly mode?: number }

/** An index into the slot table; made by `NativeCore.allocateSlot()`. */
export type SlotId = number
/** An index into the runtime snapshot, made when a configuration is compiled; -1: no key. */
export type RuntimeIndex = number

/** A number that a runtime flag may override. */
export interface NativeRuntimeNumber {
  readonly value: number
  readonly flag: RuntimeIndex
}
