/** The HTTP filters that are built, by the names of their messages. */

import type { NativeFilterConfig, NativeFilterRouteConfig } from '../../../native/index.ts'
import type { AnyMessage } from '../../schema/messages.generated.ts'
import type { Context } from '../context.ts'
import { adaptiveConcurrency, kAdaptiveConcurrency } from './adaptive_concurrency.ts'
import { admissionControl, kAdmissionControl } from './admission_control.ts'
import { dynamicForwardProxy, kDynamicForwardProxy } from './dynamic_forward_proxy.ts'
import { kStatefulSession, statefulSession } from './stateful_session.ts'

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

export const filterCompilers: ReadonlyMap<string, FilterCompiler> = new Map([
  [kAdaptiveConcurrency, adaptiveConcurrency],
  [kAdmissionControl, admissionControl],
  [kDynamicForwardProxy, dynamicForwardProxy],
  [kStatefulSession, statefulSession],
])
