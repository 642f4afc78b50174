// A task of a pool of threads, as docs/core.md shows it.
import { SlotTable } from '../../../dist/core.js'

let table
export default function task(handle) {
  table ??= SlotTable.attach(handle)
  table.refresh()
  try {
    return table.slot('a').get().round
  } finally {
    table.park()
  }
}
