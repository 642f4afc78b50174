// Files of events, one JSON object a line, in the shape of Envoy's data.core.v3.HealthCheckEvent
// and data.cluster.v3.OutlierDetectionEvent. A thread of its own writes each of them, so that no
// check waits for a disk.

import { FlushFile } from '../flush/flush_file.ts'
import type { Logger } from '../log.ts'
import type { NativeAddress, NativeLocality } from '../native/index.ts'
import type { CheckEvent, FailureKind } from './health/state.ts'
import type { HostEntry } from './host_table.ts'
import type { EjectionKind, OutlierAction } from './outlier/decisions.ts'

/** What is written at the end of the process must be there within so much. */
const kEndDeadlineMs = 1_000

export class EventLogs {
  readonly #files = new Map<string, FlushFile>()
  readonly #log: Pick<Logger, 'warn'> | undefined

  constructor(log?: Pick<Logger, 'warn'>) {
    this.#log = log
  }

  write(path: string, event: object): void {
    try {
      this.#file(path).write(`${JSON.stringify(event)}\n`)
    } catch (error) {
      this.#log?.warn({ path, error: String(error) }, 'cannot write an event log')
    }
  }

  #file(path: string): FlushFile {
    let file = this.#files.get(path)
    if (!file) {
      file = new FlushFile({ path })
      file.on('error', (error: Error) =>
        this.#log?.warn({ path, error: error.message }, 'cannot write an event log'),
      )
      this.#files.set(path, file)
    }
    return file
  }

  /** Opens every file again by its name. */
  reopen(): void {
    for (const [path, file] of this.#files) {
      file.reopen().catch((error: unknown) => {
        this.#log?.warn({ path, error: String(error) }, 'cannot reopen an event log')
      })
    }
  }

  async close(): Promise<void> {
    const files = [...this.#files.values()]
    this.#files.clear()
    await Promise.all(files.map((file) => file.end({ deadline: kEndDeadlineMs })))
  }
}

const kFailures: Record<FailureKind, string> = {
  active: 'ACTIVE',
  passive: 'PASSIVE',
  network: 'NETWORK',
  'network-timeout': 'NETWORK_TIMEOUT',
}

const addressMessage = (address: NativeAddress): object =>
  'path' in address
    ? { pipe: { path: address.path } }
    : { socket_address: { address: address.ip, port_value: address.port } }

export function healthEvent(
  cluster: string,
  checker: 'http' | 'tcp' | 'grpc',
  { definition }: HostEntry,
  locality: NativeLocality | undefined,
  event: CheckEvent,
): object {
  const { region = '', zone = '', subZone: sub_zone = '' } = locality ?? {}
  return {
    health_checker_type: checker.toUpperCase(),
    host: addressMessage(definition.address),
    cluster_name: cluster,
    ...eventFields(event),
    timestamp: new Date().toISOString(),
    locality: { region, zone, sub_zone },
  }
}

function eventFields(event: CheckEvent): object {
  switch (event.kind) {
    case 'eject-unhealthy':
      return { eject_unhealthy_event: { failure_type: kFailures[event.failure] } }
    case 'add-healthy':
      return { add_healthy_event: { first_check: event.first } }
    case 'success':
      return { successful_health_check_event: {} }
    case 'failure':
      return {
        health_check_failure_event: {
          failure_type: kFailures[event.failure],
          first_check: event.first,
        },
      }
    case 'degraded':
      return { degraded_healthy_host: {} }
    case 'no-longer-degraded':
      return { no_longer_degraded_host: {} }
  }
}

const kEjections: Record<EjectionKind, string> = {
  'consecutive-5xx': 'CONSECUTIVE_5XX',
  'consecutive-gateway-failure': 'CONSECUTIVE_GATEWAY_FAILURE',
  'consecutive-local-origin-failure': 'CONSECUTIVE_LOCAL_ORIGIN_FAILURE',
  'success-rate': 'SUCCESS_RATE',
  'success-rate-local-origin': 'SUCCESS_RATE_LOCAL_ORIGIN',
  'failure-percentage': 'FAILURE_PERCENTAGE',
  'failure-percentage-local-origin': 'FAILURE_PERCENTAGE_LOCAL_ORIGIN',
}

export function outlierEvent(cluster: string, address: string, action: OutlierAction): object {
  const { action: what, kind, ejections, enforced, secondsSinceLast, rate } = action
  const eject = what === 'eject'
  return {
    type: kEjections[kind],
    cluster_name: cluster,
    upstream_url: address,
    action: eject ? 'EJECT' : 'UNEJECT',
    ...(eject && { num_ejections: ejections, enforced }),
    timestamp: new Date().toISOString(),
    ...(secondsSinceLast !== undefined && { secs_since_last_action: String(secondsSinceLast) }),
    ...(eject && rateFields(kind, rate)),
  }
}

function rateFields(kind: EjectionKind, rate: OutlierAction['rate']): object {
  if (!rate) return { eject_consecutive_event: {} }
  const host_success_rate = Math.round(rate.hostSuccessRate)
  if (kind.startsWith('failure-percentage')) {
    return { eject_failure_percentage_event: { host_success_rate } }
  }
  return {
    eject_success_rate_event: {
      host_success_rate,
      cluster_average_success_rate: Math.round(rate.averageSuccessRate ?? 0),
      cluster_success_rate_ejection_threshold: Math.max(0, Math.round(rate.threshold ?? 0)),
    },
  }
}
