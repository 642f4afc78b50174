/** Numbers that a runtime flag may override. */

import type { NativeRuntimeNumber } from '../../native/index.ts'
import type {
  RuntimeDouble,
  RuntimeFeatureFlag,
  RuntimePercent,
  RuntimeUInt32,
} from '../schema/messages.generated.ts'
import type { Context } from './context.ts'

/** Bytes that a worker may hold for its peers before it refuses what is new. */
export const kMostHeld = 'millrace.worker_buffer_limit_bytes'
/** Whether a client may end its side of an HTTP/1 connection and wait for its response. */
export const kHalfClose = 'millrace.http1_half_close'

/** `fallback`: without the message. */
export function runtimeNumber(
  context: Context,
  number: RuntimeDouble | RuntimeUInt32 | undefined,
  fallback: number,
): NativeRuntimeNumber {
  if (number === undefined) return { value: fallback, flag: -1 }
  return { value: number.default_value ?? 0, flag: flagOf(context, number) }
}

/** As {@link runtimeNumber}, in percent. */
export function runtimePercent(
  context: Context,
  percent: RuntimePercent | undefined,
  fallback: number,
): NativeRuntimeNumber {
  if (percent === undefined) return { value: fallback, flag: -1 }
  return { value: percent.default_value?.value ?? 0, flag: flagOf(context, percent) }
}

/** 1 or 0; enabled without the message. */
export function featureFlag(
  context: Context,
  feature: RuntimeFeatureFlag | undefined,
): NativeRuntimeNumber {
  if (feature === undefined) return { value: 1, flag: -1 }
  return { value: feature.default_value ? 1 : 0, flag: flagOf(context, feature) }
}

/** A number with a flag of a fixed name. */
export function flagged(context: Context, value: number, key: string): NativeRuntimeNumber {
  return { value, flag: context.resolver.runtime(key) }
}

function flagOf(context: Context, { runtime_key: key = '' }: { readonly runtime_key?: string }) {
  return key === '' ? -1 : context.resolver.runtime(key)
}
