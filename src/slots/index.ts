/** Snapshots shared by the threads of a process: what `millrace/core` exports of this folder. */

export {
  type FlagValue,
  type FlagValues,
  PercentFlag,
  RuntimeFlag,
  RuntimeFlags,
} from './flags.ts'
export { ReadableSlotMap, SlotMap } from './map.ts'
export type { DeepReadonly } from './readonly.ts'
export { ReadableSlot, Slot, type SlotEvents } from './slot.ts'
export {
  SlotTable,
  type TableEvents,
  type TableHandle,
  type TableOptions,
  TableView,
} from './table.ts'
export { NotTakenError, Publication, type PublishOptions, type TableReader } from './taken.ts'
