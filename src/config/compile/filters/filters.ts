/** The HTTP filters that are built, by the names of their messages. */

import { adaptiveConcurrency, kAdaptiveConcurrency } from './adaptive_concurrency.ts'
import { admissionControl, kAdmissionControl } from './admission_control.ts'
import { dynamicForwardProxy, kDynamicForwardProxy } from './dynamic_forward_proxy.ts'
import type { FilterCompiler } from './filter_compiler.ts'
import { kStatefulSession, statefulSession } from './stateful_session.ts'

export const filterCompilers: ReadonlyMap<string, FilterCompiler> = new Map([
  [kAdaptiveConcurrency, adaptiveConcurrency],
  [kAdmissionControl, admissionControl],
  [kDynamicForwardProxy, dynamicForwardProxy],
  [kStatefulSession, statefulSession],
])
