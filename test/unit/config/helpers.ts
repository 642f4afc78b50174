/** Loads a text and gives its problems or its compiled form. */

import {
  type CompiledConfiguration,
  ConfigError,
  compile,
  type LoadedConfiguration,
  loadConfiguration,
  type Problem,
} from '../../../src/config/index.ts'
import { atOnce } from '../../../src/slices.ts'

export function load(text: string): Promise<LoadedConfiguration> {
  return loadConfiguration({ kind: 'text', name: 'test.yaml', text })
}

/**
 * Slots, logs and flags count up in the order of their first question; `names` gets what was asked
 * for.
 */
export async function compiled(
  text: string,
  names = new Map<number, unknown>(),
): Promise<CompiledConfiguration> {
  const loaded = await load(text)
  const indexes = new Map<unknown, number>()
  const index = (key: unknown): number => {
    if (!indexes.has(key)) {
      names.set(indexes.size, key)
      indexes.set(key, indexes.size)
    }
    return indexes.get(key) ?? -1
  }
  return atOnce(
    compile(loaded, {
      cluster: (name) => index(`cluster ${name}`),
      routes: (key) => index(`routes ${key}`),
      log: (target) => index(`log ${target}`),
      runtime: (key) => index(`runtime ${key}`),
      filter: (name) => index(`filter ${name}`),
    }),
  )
}

export async function problems(text: string): Promise<readonly Problem[]> {
  try {
    await load(text)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

/** `line:column code path: message (hint)`. */
export async function said(text: string): Promise<string[]> {
  return (await problems(text)).map((problem) => {
    const hint = problem.hint === undefined ? '' : ` (${problem.hint})`
    return (
      `${problem.line}:${problem.column} ${problem.code} ${problem.path}: ` +
      `${problem.message}${hint}`
    )
  })
}

const kManager =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.' +
  'HttpConnectionManager'

/**
 * A bootstrap of one listener with an HTTP connection manager and one cluster, `web`, all of it in
 * flow style.
 */
export function bootstrap(
  parts: {
    manager?: string
    routes?: string
    table?: string
    cluster?: string
    listener?: string
    top?: string
    hosts?: string
    more?: string
    /** HTTP filters before the router, each with a comma behind it. */
    filters?: string
  } = {},
): string {
  const routes = parts.routes ?? '{match: {prefix: /}, route: {cluster: web}}'
  const hosts = parts.hosts ?? `[{name: all, domains: ["*"], routes: [${routes}]}]`
  const table = `{virtual_hosts: ${hosts}${parts.table ?? ''}}`
  const router = '{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}'
  return `{static_resources: {listeners: [{name: main,
  address: {socket_address: {address: 127.0.0.1, port_value: 8080}}, ${parts.listener ?? ''}
  filter_chains: [{filters: [{name: http, typed_config: {"@type": ${kManager}, stat_prefix: http,
  http_filters: [${parts.filters ?? ''}{name: router, typed_config: ${router}}], ${parts.manager ?? ''}
  route_config: ${table}}}]}]}${parts.more ?? ''}],
  clusters: [{name: web, ${parts.cluster ?? ''}
  load_assignment: {cluster_name: web, endpoints: [{lb_endpoints: [{endpoint: {address: {
  socket_address: {address: 127.0.0.1, port_value: 3000}}}}]}]}}]},
  ${parts.top ?? ''}}`
}
