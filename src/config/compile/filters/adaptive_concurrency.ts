/** `envoy.filters.http.adaptive_concurrency`: how the limit of requests under way is found. */

import type { NativeGradient, NativeRuntimeNumber } from '../../../native/index.ts'
import type { GradientControllerConfig } from '../../schema/messages.generated.ts'
import { enumSchema } from '../../schema/schema.ts'
import { type Context, unpack } from '../context.ts'
import { featureFlag, flagged } from '../runtime_values.ts'
import type { FilterCompiler } from './filter_compiler.ts'

export const kAdaptiveConcurrency =
  'envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency'
const kKeys = 'adaptive_concurrency.gradient_controller'
const kLeastStatus = 400
const kExceeded = 503

export const adaptiveConcurrency: FilterCompiler = {
  compile: (context, message) => {
    const filter = unpack(message, kAdaptiveConcurrency)
    const gradient = filter?.gradient_controller_config
    if (filter === undefined || gradient === undefined) return undefined
    const name = filter.concurrency_limit_exceeded_status?.code
    const status = name === undefined ? 0 : (enumSchema('envoy.type.v3.StatusCode').get(name) ?? 0)
    return {
      kind: 'adaptive-concurrency',
      enabled: featureFlag(context, filter.enabled),
      exceededStatus: status < kLeastStatus ? kExceeded : status,
      gradient: compileGradient(context, gradient),
    }
  },
}

function compileGradient(context: Context, gradient: GradientControllerConfig): NativeGradient {
  const limit = gradient.concurrency_limit_params ?? {}
  const measuring = gradient.min_rtt_calc_params ?? {}
  const value = (key: string, number: number): NativeRuntimeNumber =>
    flagged(context, number, `${kKeys}.${key}`)
  return {
    percentile: value(
      'sample_aggregate_percentile',
      gradient.sample_aggregate_percentile?.value ?? 50,
    ),
    mostConcurrency: value('max_concurrency_limit', limit.max_concurrency_limit ?? 1000),
    updateEvery: value('sample_rtt_calc_interval_ms', limit.concurrency_update_interval ?? 0),
    measureEvery: value('min_rtt_calc_interval_ms', measuring.interval ?? 0),
    requests: value('min_rtt_aggregate_request_count', measuring.request_count ?? 50),
    jitter: value('jitter', measuring.jitter?.value ?? 15),
    leastConcurrency: value('min_concurrency', measuring.min_concurrency ?? 3),
    buffer: value('min_rtt_buffer', measuring.buffer?.value ?? 25),
  }
}
