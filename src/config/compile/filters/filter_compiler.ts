/** What each HTTP filter states about itself; the list of them is in filters.ts. */

import type { NativeFilterConfig, NativeFilterRouteConfig } from '../../../native/index.ts'
import type { AnyMessage } from '../../schema/messages.generated.ts'
import type { Context } from '../context.ts'

export interface FilterCompiler {
  /** Undefined: something is wrong with it, and was said. */
  readonly compile: (context: Context, message: AnyMessage) => NativeFilterConfig | undefined
  /** What routes may tell it. Absent: nothing but whether it is there. */
  readonly perRoute?: {
    /** The message's name. */
    readonly type: string
    readonly compile: (context: Context, message: AnyMessage) => NativeFilterRouteConfig | undefined
  }
}
