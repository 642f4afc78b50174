/** `envoy.filters.http.admission_control`: what counts as success, and who is turned away. */

import type { NativeAdmissionControl } from '../../../native/index.ts'
import type {
  AdmissionControl,
  AdmissionControlSuccessCriteria as Criteria,
} from '../../schema/messages.generated.ts'
import { type Context, unpack } from '../context.ts'
import { featureFlag, runtimeNumber, runtimePercent } from '../runtime_values.ts'
import type { FilterCompiler } from './filter_compiler.ts'

export const kAdmissionControl =
  'envoy.extensions.filters.http.admission_control.v3.AdmissionControl'

const kWindow = 30_000
/** Whoever looks back further looks at another day's load; each worker keeps every second. */
const kMostSeconds = 3600
const kLastGrpcStatus = 16
/** What fewer requests would not change (admission_control.proto). */
const kGrpcSuccess = [0, 1, 2, 3, 5, 6, 7, 9, 11, 12, 16]

export const admissionControl: FilterCompiler = {
  compile: (context, message) => {
    const filter = unpack(message, kAdmissionControl)
    return filter && { kind: 'admission-control', ...compileFilter(context, filter) }
  },
}

function compileFilter(context: Context, filter: AdmissionControl): NativeAdmissionControl {
  const { origins } = context
  const threshold = runtimePercent(context, filter.sr_threshold, 95)
  const written = filter.sr_threshold
  if (written !== undefined && threshold.value < 1 && !origins.isTouched(written)) {
    origins.add(filter, ['sr_threshold'], 'bad-value', 'must be at least 1 percent')
  }
  const seconds = Math.round((filter.sampling_window ?? kWindow) / 1000)
  if (seconds < 1 || seconds > kMostSeconds) {
    const text = `must be from 1 to ${kMostSeconds} whole seconds`
    origins.add(filter, ['sampling_window'], 'bad-value', text)
  }
  const criteria = filter.success_criteria ?? {}
  return {
    enabled: featureFlag(context, filter.enabled),
    httpSuccess: httpSuccess(context, criteria),
    grpcSuccess: grpcSuccess(context, criteria),
    windowSeconds: seconds,
    aggression: runtimeNumber(context, filter.aggression, 1),
    threshold,
    rpsThreshold: runtimeNumber(context, filter.rps_threshold, 0),
    mostRejected: runtimePercent(context, filter.max_rejection_probability, 80),
  }
}

function httpSuccess(context: Context, criteria: Criteria): (readonly [number, number])[] {
  const ranges = criteria.http_criteria?.http_success_status
  if (ranges === undefined) return [[0, 500]]
  return ranges.map((range) => {
    const { start = 0, end = 0 } = range
    // Envoy's own example of one status is [404, 404) (success_criteria_evaluator.cc refuses only
    // what begins behind its end); as it is written it has none.
    if (start < 100 || end > 600 || start > end) {
      const text = `[${start}, ${end}) is no range of status codes within [100, 600)`
      context.origins.add(range, undefined, 'bad-value', text)
    }
    return [start, end] as const
  })
}

/** One bit for each status. */
function grpcSuccess(context: Context, criteria: Criteria): number {
  const grpc = criteria.grpc_criteria
  const statuses = grpc?.grpc_success_status ?? kGrpcSuccess
  statuses.forEach((status, i) => {
    if (grpc === undefined || status <= kLastGrpcStatus) return
    const text = `${status} is no gRPC status: they go from 0 to ${kLastGrpcStatus}`
    context.origins.add(grpc, ['grpc_success_status', i], 'bad-value', text)
  })
  return statuses.reduce((bits, status) => bits | (1 << status), 0)
}
