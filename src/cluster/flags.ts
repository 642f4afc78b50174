// Why a host is not simply healthy: flags that several parties set and clear, and what workers see
// of them.

import type { NativeHealth, NativeHostStatus } from '../native/index.ts'

export const HostFlag: {
  readonly failedActiveCheck: number
  readonly failedOutlierCheck: number
  readonly failedEdsHealth: number
  readonly degradedActiveCheck: number
  readonly degradedEdsHealth: number
  readonly pendingRemoval: number
  readonly pendingActiveCheck: number
  readonly excludedByImmediateFail: number
  readonly activeCheckTimeout: number
  readonly edsDraining: number
} = {
  failedActiveCheck: 1 << 0,
  failedOutlierCheck: 1 << 1,
  failedEdsHealth: 1 << 2,
  degradedActiveCheck: 1 << 3,
  degradedEdsHealth: 1 << 4,
  pendingRemoval: 1 << 5,
  pendingActiveCheck: 1 << 6,
  excludedByImmediateFail: 1 << 7,
  activeCheckTimeout: 1 << 8,
  edsDraining: 1 << 9,
}

const kFoundFailed = HostFlag.failedActiveCheck | HostFlag.failedOutlierCheck
const kFailed = kFoundFailed | HostFlag.failedEdsHealth
const kDegraded = HostFlag.degradedActiveCheck | HostFlag.degradedEdsHealth
const kExcluded = HostFlag.pendingActiveCheck | HostFlag.excludedByImmediateFail

/** The flags that discovery alone sets. */
export const kDiscoveryFlags: number =
  HostFlag.failedEdsHealth | HostFlag.degradedEdsHealth | HostFlag.edsDraining
/** The flags that active health checks alone set. */
export const kCheckFlags: number =
  HostFlag.failedActiveCheck |
  HostFlag.degradedActiveCheck |
  HostFlag.pendingActiveCheck |
  HostFlag.excludedByImmediateFail |
  HostFlag.activeCheckTimeout

/** In the order and words of Envoy's `/clusters`. */
const kNames: readonly (readonly [flag: number, name: string])[] = [
  [HostFlag.failedActiveCheck, 'failed_active_hc'],
  [HostFlag.failedOutlierCheck, 'failed_outlier_check'],
  [HostFlag.failedEdsHealth, 'failed_eds_health'],
  [HostFlag.degradedActiveCheck, 'degraded_active_hc'],
  [HostFlag.degradedEdsHealth, 'degraded_eds_health'],
  [HostFlag.pendingRemoval, 'pending_dynamic_removal'],
  [HostFlag.pendingActiveCheck, 'pending_active_hc'],
  [HostFlag.excludedByImmediateFail, 'excluded_via_immediate_hc_fail'],
  [HostFlag.activeCheckTimeout, 'active_hc_timeout'],
  [HostFlag.edsDraining, 'eds_status_draining'],
]

export function healthOf(flags: number): NativeHealth {
  if ((flags & kFailed) !== 0) return 'unhealthy'
  return (flags & kDegraded) === 0 ? 'healthy' : 'degraded'
}

/**
 * The host's status, where `healthOf` does not tell it. `said`: by discovery. As Envoy's
 * `HostImplBase::healthStatus`: what was found out about it first, then what was said.
 */
export function statusOf(
  flags: number,
  said: NativeHostStatus | undefined,
): NativeHostStatus | undefined {
  if (said === undefined) return undefined
  if ((flags & kFoundFailed) !== 0) return undefined
  if (said === 'draining' || said === 'timeout') return said
  return (flags & kDegraded) === 0 ? said : undefined
}

/** Whether the host is left out of counting for panic and spill-over. */
export const isExcluded = (flags: number): boolean => (flags & kExcluded) !== 0

/** `/failed_active_hc/pending_active_hc`, or `healthy`. */
export function flagsText(flags: number): string {
  const names = kNames.filter(([flag]) => (flags & flag) !== 0).map(([, name]) => `/${name}`)
  return names.length === 0 ? 'healthy' : names.join('')
}
