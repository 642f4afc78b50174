// A target for the admin interface that holds plain data and writes down what it is told to do.

import type { AdminTarget } from '../../../src/admin/target.ts'
import type { ClusterDefinition } from '../../../src/config/index.ts'
import type { LogLevel } from '../../../src/log.ts'
import type { NativeHostStats, NativeLocality } from '../../../src/native/index.ts'
import type { Steps } from '../../../src/slices.ts'

export const breaker = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
  trackRemaining: false,
}

export function cluster(name: string, port: number): ClusterDefinition {
  return {
    name,
    statName: name,
    hosts: [
      {
        address: { ip: '127.0.0.1', port },
        hostname: '',
        weight: 1,
        priority: 0,
        locality: 0,
        health: 'healthy',
      },
    ],
    localities: [],
    lb: { policy: 'round-robin', overprovisioning: 140, panicThreshold: 50 },
    connectTimeout: 5000,
    idleTimeout: 3_600_000,
    maxConnectionDuration: 0,
    maxRequestsPerConnection: 0,
    bufferLimit: 1_048_576,
    maxResponseHeaderBytes: 61_440,
    maxResponseHeaders: 100,
    enableTrailers: false,
    breakers: { default: breaker, high: { ...breaker, maxRequests: 7 } },
    updateMergeWindow: 1000,
    ignoreHealthOnHostRemoval: false,
    ignoreNewHostsUntilFirstCheck: false,
  }
}

export const host: NativeHostStats = {
  id: 0,
  address: '127.0.0.1:3000',
  hostname: 'web-1',
  weight: 1,
  health: 'healthy',
  priority: 0,
  locality: 0,
  canary: false,
  cxActive: 2,
  cxTotal: 5,
  cxConnectFail: 0,
  rqActive: 1,
  rqTotal: 9,
  rqSuccess: 8,
  rqError: 1,
  rqTimeout: 0,
}

const hcm = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3'
export const bootstrap = {
  static_resources: {
    listeners: [
      {
        name: 'main',
        filter_chains: [
          {
            filters: [
              {
                name: 'hcm',
                typed_config: {
                  '@type': `${hcm}.HttpConnectionManager`,
                  route_config: { name: 'local', virtual_hosts: [] },
                },
              },
            ],
          },
        ],
      },
    ],
    clusters: [{ name: 'web' }, { name: 'api' }],
  },
}

function* effectiveInSteps(): Steps<unknown> {
  yield
  return bootstrap
}

export class RecordingTarget implements AdminTarget {
  readonly version = '1.2.3'
  readonly startedAt: number = Date.now()
  readonly commandLine = { concurrency: 2 }
  readonly calls: string[] = []
  /** Of the host. */
  flags = 0
  rates = { success: -1, local: -1 }
  locality: NativeLocality | undefined
  hosts: readonly NativeHostStats[] = [host]
  /** Of the cluster. */
  clusterState: Partial<ReturnType<AdminTarget['clusters']['list']>[number]> = {}
  failedLogs: { target: string; message: string }[] = []
  current: ReturnType<AdminTarget['state']> = 'LIVE'
  readonly log = {
    level: 'info' as LogLevel,
    debug: (): void => {},
    info: (): void => {},
    warn: (): void => {},
    error: (_fields: object, message: string): void => {
      this.calls.push(`log ${message}`)
    },
  }
  readonly clusters = {
    list: (): ReturnType<AdminTarget['clusters']['list']> => [
      {
        name: 'web',
        slot: 1,
        cluster: cluster('web', 3000),
        version: 1,
        updatedAt: 0,
        ...this.clusterState,
      },
    ],
    hosts: (): readonly NativeHostStats[] => this.hosts,
    host: (): ReturnType<AdminTarget['clusters']['host']> => ({
      flags: this.flags,
      ...(this.locality && { locality: this.locality }),
      successRate: this.rates.success,
      localSuccessRate: this.rates.local,
    }),
  }
  /** Clusters and hosts are as they were. */
  forget(): void {
    this.flags = 0
    this.rates = { success: -1, local: -1 }
    this.locality = undefined
    this.hosts = [host]
    this.clusterState = {}
  }
  state(): ReturnType<AdminTarget['state']> {
    return this.current
  }
  node(): { id: string; cluster: string } {
    return { id: 'n1', cluster: '' }
  }
  *stats(): ReturnType<AdminTarget['stats']> {
    yield
    return [
      { name: 'cluster.web.upstream_rq_total', tags: [], type: 'counter', value: 9 },
      { name: 'server.uptime', tags: [], type: 'gauge', value: 0 },
    ]
  }
  histogramBounds(): readonly number[] {
    return [1, 5]
  }
  listeners(): ReturnType<AdminTarget['listeners']> {
    return [{ name: 'main', addresses: ['127.0.0.1:8080', '[::1]:8080', '/run/m.sock'] }]
  }
  configuration(): ReturnType<AdminTarget['configuration']> {
    return { loaded: { effectiveInSteps }, at: Date.UTC(2026, 0, 2) }
  }
  runtime(): ReturnType<AdminTarget['runtime']> {
    return { layers: ['base'], entries: { a: { final_value: '1', layer_values: ['1'] } } }
  }
  reopenLogs(): readonly { target: string; message: string }[] {
    this.calls.push('reopenLogs')
    return this.failedLogs
  }
  resetCounters(): void {
    this.calls.push('resetCounters')
  }
  setHealthFailed(failed: boolean): void {
    this.calls.push(`setHealthFailed ${failed}`)
  }
  stopListeners(): void {
    this.calls.push('stopListeners')
  }
  drainListeners(thenStop: boolean): void {
    this.calls.push(`drainListeners ${thenStop}`)
  }
  quit(): void {
    this.calls.push('quit')
  }
}
