/** Outlier detection: what workers count, and what the main thread decides on. */

import type { NativeOutlier } from '../../native/index.ts'
import type { OutlierDefinition } from '../definitions.ts'
import type { Cluster, OutlierDetection } from '../schema/messages.generated.ts'
import type { Context } from './context.ts'
import { runtimeNumber } from './health_checks.ts'

const kMaxEjectionTime = 300_000

/** Defaults as the comments of outlier_detection.proto say. */
const kDefaults = {
  consecutive_5xx: 5,
  interval: 10_000,
  base_ejection_time: 30_000,
  max_ejection_percent: 10,
  enforcing_consecutive_5xx: 100,
  enforcing_success_rate: 100,
  success_rate_minimum_hosts: 5,
  success_rate_request_volume: 100,
  success_rate_stdev_factor: 1900,
  consecutive_gateway_failure: 5,
  enforcing_consecutive_gateway_failure: 0,
  consecutive_local_origin_failure: 5,
  enforcing_consecutive_local_origin_failure: 100,
  enforcing_local_origin_success_rate: 100,
  failure_percentage_threshold: 85,
  enforcing_failure_percentage: 0,
  enforcing_failure_percentage_local_origin: 0,
  failure_percentage_minimum_hosts: 5,
  failure_percentage_request_volume: 50,
} as const satisfies Partial<Record<keyof OutlierDetection, number>>

/** Envoy's runtime keys, where they are not `outlier_detection.` and the field's name. */
const kKeys: Partial<Record<keyof OutlierDetection | 'max_ejection_time', string>> = {
  interval: 'interval_ms',
  base_ejection_time: 'base_ejection_time_ms',
  max_ejection_time: 'max_ejection_time_ms',
  max_ejection_time_jitter: 'max_ejection_time_jitter_ms',
}

export interface CompiledOutlier {
  readonly outlier: NativeOutlier
  readonly outlierDetection: OutlierDefinition
}

export function compileOutlier(context: Context, cluster: Cluster): CompiledOutlier | undefined {
  const message = cluster.outlier_detection
  if (message === undefined) return undefined
  const number = (field: keyof typeof kDefaults): number =>
    runtime(context, field, message[field] ?? kDefaults[field])
  const split = message.split_external_local_origin_errors ?? false
  const baseEjectionTime = number('base_ejection_time')
  const longest = message.max_ejection_time ?? Math.max(kMaxEjectionTime, baseEjectionTime)
  return {
    outlier: {
      consecutive5xx: number('consecutive_5xx'),
      consecutiveGatewayFailure: number('consecutive_gateway_failure'),
      consecutiveLocalOriginFailure: number('consecutive_local_origin_failure'),
      splitExternalLocalOriginErrors: split,
    },
    outlierDetection: {
      interval: number('interval'),
      baseEjectionTime,
      maxEjectionTime: Math.max(baseEjectionTime, runtime(context, 'max_ejection_time', longest)),
      maxEjectionTimeJitter: runtime(
        context,
        'max_ejection_time_jitter',
        message.max_ejection_time_jitter ?? 0,
      ),
      maxEjectionPercent: Math.min(100, number('max_ejection_percent')),
      alwaysEjectOneHost: message.always_eject_one_host ?? false,
      split,
      enforcingConsecutive5xx: number('enforcing_consecutive_5xx'),
      enforcingConsecutiveGatewayFailure: number('enforcing_consecutive_gateway_failure'),
      enforcingConsecutiveLocalOriginFailure: number('enforcing_consecutive_local_origin_failure'),
      enforcingSuccessRate: number('enforcing_success_rate'),
      enforcingLocalOriginSuccessRate: number('enforcing_local_origin_success_rate'),
      successRateMinimumHosts: number('success_rate_minimum_hosts'),
      successRateRequestVolume: number('success_rate_request_volume'),
      successRateStdevFactor: number('success_rate_stdev_factor'),
      failurePercentageThreshold: number('failure_percentage_threshold'),
      enforcingFailurePercentage: number('enforcing_failure_percentage'),
      enforcingFailurePercentageLocalOrigin: number('enforcing_failure_percentage_local_origin'),
      failurePercentageMinimumHosts: number('failure_percentage_minimum_hosts'),
      failurePercentageRequestVolume: number('failure_percentage_request_volume'),
      successfulCheckUnejects: message.successful_active_health_check_uneject_host ?? true,
      eventLog: context.outlierEventLog ?? '',
    },
  }
}

function runtime(context: Context, field: keyof OutlierDetection, value: number): number {
  return runtimeNumber(context, `outlier_detection.${kKeys[field] ?? field}`, value)
}
