/** Circuit breakers: the limits of a cluster, for each priority (circuit_breaker.proto). */

import type { NativeBreaker, NativeCluster } from '../../native/index.ts'
import type {
  CircuitBreakers,
  CircuitBreakersThresholds as Thresholds,
} from '../schema/messages.generated.ts'
import type { Context } from './context.ts'

type Priority = 'default' | 'high'

const defaults: NativeBreaker = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
  trackRemaining: false,
}
const defaultBudget = { percent: 20, minConcurrency: 3 }

export function compileBreakers(
  context: Context,
  cluster: string,
  breakers: CircuitBreakers | undefined,
): NativeCluster['breakers'] {
  const limits = byPriority(context, breakers?.thresholds)
  const perHost = byPriority(context, breakers?.per_host_thresholds)
  for (const limit of Object.values(perHost)) checkPerHost(context, limit)
  const compiled = (priority: Priority): NativeBreaker =>
    overridden(
      context,
      `circuit_breakers.${cluster}.${priority}.`,
      compile(limits[priority], perHost[priority]),
    )
  return { default: compiled('default'), high: compiled('high') }
}

function byPriority(
  context: Context,
  thresholds: readonly Thresholds[] = [],
): { [P in Priority]?: Thresholds } {
  const found: { [P in Priority]?: Thresholds } = {}
  for (const limits of thresholds) {
    const priority = limits.priority === 'HIGH' ? 'high' : 'default'
    if (found[priority] !== undefined) {
      const text = `thresholds of priority ${limits.priority ?? 'DEFAULT'} are there twice`
      context.origins.add(limits, undefined, 'duplicate', text)
    }
    found[priority] ??= limits
  }
  return found
}

function checkPerHost(context: Context, limits: Thresholds): void {
  for (const field of Object.keys(limits)) {
    if (field === 'priority' || field === 'max_connections') continue
    const text = 'not supported for each host: only max_connections is (circuit_breaker.proto)'
    context.origins.add(limits, [field], 'not-supported', text)
  }
}

function compile(limits: Thresholds = {}, perHost: Thresholds = {}): NativeBreaker {
  const budget = limits.retry_budget
  return {
    maxConnections: limits.max_connections ?? defaults.maxConnections,
    maxPendingRequests: limits.max_pending_requests ?? defaults.maxPendingRequests,
    maxRequests: limits.max_requests ?? defaults.maxRequests,
    maxRetries: limits.max_retries ?? defaults.maxRetries,
    ...(limits.max_connection_pools !== undefined && {
      maxConnectionPools: limits.max_connection_pools,
    }),
    ...(perHost.max_connections !== undefined && {
      maxConnectionsPerHost: perHost.max_connections,
    }),
    ...(budget !== undefined && {
      retryBudget: {
        percent: budget.budget_percent?.value ?? defaultBudget.percent,
        minConcurrency: budget.min_retry_concurrency ?? defaultBudget.minConcurrency,
      },
    }),
    trackRemaining: limits.track_remaining ?? false,
  }
}

/** Runtime keys such as `circuit_breakers.<cluster>.<priority>.max_connections` win. */
function overridden(context: Context, prefix: string, limits: NativeBreaker): NativeBreaker {
  const value = (key: string): number | undefined => {
    const found = context.runtime.get(prefix + key)
    return typeof found === 'number' ? Math.max(0, found) : undefined
  }
  const limit = (key: string): number | undefined => {
    const found = value(key)
    return found === undefined ? undefined : Math.min(Math.floor(found), 0xffff_ffff)
  }
  const maxConnectionPools = limit('max_connection_pools') ?? limits.maxConnectionPools
  const maxConnectionsPerHost = limit('max_connections_per_host') ?? limits.maxConnectionsPerHost
  const percent = value('retry_budget.budget_percent')
  const minConcurrency = limit('retry_budget.min_retry_concurrency')
  const budgeted = percent !== undefined || minConcurrency !== undefined
  const retryBudget = limits.retryBudget ?? (budgeted ? defaultBudget : undefined)
  return {
    maxConnections: limit('max_connections') ?? limits.maxConnections,
    maxPendingRequests: limit('max_pending_requests') ?? limits.maxPendingRequests,
    maxRequests: limit('max_requests') ?? limits.maxRequests,
    maxRetries: limit('max_retries') ?? limits.maxRetries,
    ...(maxConnectionPools !== undefined && { maxConnectionPools }),
    ...(maxConnectionsPerHost !== undefined && { maxConnectionsPerHost }),
    ...(retryBudget !== undefined && {
      retryBudget: {
        percent: percent ?? retryBudget.percent,
        minConcurrency: minConcurrency ?? retryBudget.minConcurrency,
      },
    }),
    trackRemaining: limits.trackRemaining,
  }
}
