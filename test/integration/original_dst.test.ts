// Connections that the system's packet filter redirected (iptables REDIRECT), in a network
// namespace of their own.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { kPatienceMs, kTestPatienceMs } from '../patience.ts'
import { temporaryFolder, write } from './support/files.ts'

const kProxyPort = 18_888

describe('the listener filter original_dst', () => {
  it('gives redirected connections the address that their clients meant', () => {
    const redirect = [19_001, 19_002].map(
      (port) =>
        `iptables -t nat -A OUTPUT -p tcp --dport ${port} -j REDIRECT --to-ports ${kProxyPort}`,
    )
    const script = ['set -e', 'ip link set lo up', ...redirect, 'exec "$@"'].join('\n')
    const program = join(import.meta.dirname, 'support/redirected.mjs')
    const log = join(temporaryFolder(), 'access.log')
    const args = [process.execPath, program, log, kProxyPort, 19_001, 19_002].map(String)
    const answer = execFileSync('unshare', ['-rn', 'sh', '-c', script, 'sh', ...args], {
      encoding: 'utf8',
      timeout: kPatienceMs,
    })
    const { heard, logged } = JSON.parse(answer) as { heard: string[]; logged: string[] }
    expect(heard).toEqual(['meant', 'others', 'others'])
    // Lines of different workers come in any order.
    const all = [`127.0.0.1:${kProxyPort}`, '127.0.0.1:19001', '127.0.0.1:19002']
    expect(logged.sort()).toEqual(all)
  })
})

const kShared = resolve('../shared/envoy-configs/configs__original-dst-cluster__proxy_config.yaml')
/** What that file says of proxying, where it is not. */
const kExample = `
static_resources:
  listeners:
  - address: {socket_address: {address: 0.0.0.0, port_value: 10000}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress_http
          route_config:
            virtual_hosts:
            - name: backend
              domains: ["*"]
              routes: [{match: {prefix: /}, route: {cluster: cluster1}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
    listener_filters:
    - name: envoy.filters.listener.original_dst
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst}
  clusters: [{name: cluster1, type: ORIGINAL_DST, connect_timeout: 6s, lb_policy: CLUSTER_PROVIDED}]
`

describe('clusters of type ORIGINAL_DST', () => {
  it('send redirected connections and requests where their clients meant them to go', () => {
    const [http, tcp, webA, webB, raw] = [18_889, 18_890, 19_011, 19_012, 19_013] as const
    // What the proxy itself sends has a mark, and is let through.
    const redirect = (port: number, to: number): string =>
      `iptables -t nat -A OUTPUT -p tcp --dport ${port} -m mark ! --mark 7 -j REDIRECT --to-ports ${to}`
    const rules = [redirect(webA, http), redirect(webB, http), redirect(raw, tcp)]
    const script = ['set -e', 'ip link set lo up', ...rules, 'exec "$@"'].join('\n')
    const program = join(import.meta.dirname, 'support/original_destinations.mjs')
    const file = existsSync(kShared) ? kShared : write(temporaryFolder(), 'envoy.yaml', kExample)
    const args = [process.execPath, program, file, http, tcp, webA, webB, raw].map(String)
    const answer = execFileSync('unshare', ['-rn', 'sh', '-c', script, 'sh', ...args], {
      encoding: 'utf8',
      timeout: kTestPatienceMs,
    })
    expect(JSON.parse(answer)).toEqual({
      heard: [
        `200 web ${webA}`,
        `200 web ${webB}`,
        `200 web ${webA}`,
        `raw ${raw}`,
        '503 no healthy upstream',
        '',
        `raw ${raw}`,
      ],
      known: [[`127.0.0.1:${webA}`, `127.0.0.1:${webB}`], [`127.0.0.1:${raw}`]],
      left: [],
    })
  })
})
