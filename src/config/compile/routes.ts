/** Route tables: virtual hosts and their routes. */

import type {
  NativeRoute,
  NativeRouteAction,
  NativeRouteMatch,
  NativeRouteTable,
  NativeVirtualHost,
} from '../../native/index.ts'
import type {
  Route,
  RouteConfiguration,
  RouteMatch,
  VirtualHost,
} from '../schema/messages.generated.ts'
import { compileDirectResponse, compileForward, compileRedirect } from './actions.ts'
import { type Context, matchTable } from './context.ts'
import { compileMutations } from './headers.ts'
import { compileFraction, compileHeaderMatcher, compileQueryMatcher } from './matchers.ts'
import { compileResilience } from './resilience.ts'
import type { RouteFilters } from './route_filters.ts'

const kDirectResponseMax = 4096

const tlsRequirements = { NONE: 'none', EXTERNAL_ONLY: 'external', ALL: 'all' } as const

/** What the table, and the virtual host, say to a route. */
interface Options {
  readonly validateClusters: boolean
  readonly bodyMax: number
  readonly filters: RouteFilters
}

/** `around`: the filters of its connection manager. */
export function compileRouteTable(
  context: Context,
  table: RouteConfiguration,
  around: RouteFilters,
): NativeRouteTable {
  const filters = around.within(table)
  const hosts = table.virtual_hosts ?? []
  checkUnique(context, hosts)
  const options: Options = {
    // Envoy's default for a table that is written into the configuration, and so cannot wait for
    // its clusters.
    validateClusters: table.validate_clusters ?? true,
    bodyMax: table.max_direct_response_body_size_bytes ?? kDirectResponseMax,
    filters,
  }
  const virtualHosts = hosts.map((host) => compileHost(context, table, host, options))
  return {
    name: table.name ?? '',
    virtualHosts,
    ...(filters.configs.length > 0 && { filterConfigs: filters.configs }),
    mostSpecificMutationsWin: table.most_specific_header_mutations_wins ?? false,
    ignorePortInHost: table.ignore_port_in_host_matching ?? false,
    retryFlags: {
      base: context.resolver.runtime('upstream.base_retry_backoff_ms'),
      use: context.resolver.runtime('upstream.use_retry'),
    },
    internalOnlyHeaders: (table.internal_only_headers ?? []).map((name) => name.toLowerCase()),
    ...compileMutations(context, table),
  }
}

function checkUnique(context: Context, hosts: readonly VirtualHost[]): void {
  const names = new Set<string>()
  const domains = new Map<string, string>()
  for (const host of hosts) {
    const name = host.name ?? ''
    if (names.has(name)) {
      context.origins.add(host, ['name'], 'duplicate', `two virtual hosts are called "${name}"`)
    }
    names.add(name)
    host.domains?.forEach((domain, i) => {
      const key = domain.toLowerCase()
      const other = domains.get(key)
      if (other !== undefined) {
        const text = `"${domain}" is a domain of the virtual host "${other}" already`
        context.origins.add(host, ['domains', i], 'duplicate', text)
      }
      domains.set(key, name)
      if (/.\*./.test(domain)) {
        const text = 'a "*" stands at the begin or at the end of a domain'
        context.origins.add(host, ['domains', i], 'bad-value', text)
      }
    })
  }
}

function compileHost(
  context: Context,
  table: RouteConfiguration,
  host: VirtualHost,
  tableOptions: Options,
): NativeVirtualHost {
  const options = { ...tableOptions, filters: tableOptions.filters.within(host) }
  return {
    name: host.name ?? '',
    domains: (host.domains ?? []).map((domain) => domain.toLowerCase()),
    requireTls: tlsRequirements[host.require_tls ?? 'NONE'],
    routes: (host.routes ?? []).flatMap(
      (route) => compileRoute(context, table, host, route, options) ?? [],
    ),
    ...compileMutations(context, host),
  }
}

function compileRoute(
  context: Context,
  table: RouteConfiguration,
  host: VirtualHost,
  route: Route,
  hostOptions: Options,
): NativeRoute | undefined {
  const options = { ...hostOptions, filters: hostOptions.filters.within(route) }
  const { overrides } = options.filters
  const action = compileAction(context, table, host, route, options)
  const match = route.match && compileMatch(context, route.match)
  const mutations = compileMutations(context, route)
  if (action === undefined || match === undefined) return undefined
  const filters = overrides.length > 0 && { filters: overrides }
  return { name: route.name ?? '', match, action, ...mutations, ...filters }
}

function compileAction(
  context: Context,
  table: RouteConfiguration,
  host: VirtualHost,
  route: Route,
  options: Options,
): NativeRouteAction | undefined {
  if (route.route !== undefined) {
    return {
      ...compileForward(context, route.route, options),
      ...compileResilience(context, table, host, route, route.route),
    }
  }
  if (route.redirect !== undefined) return compileRedirect(context, route.redirect)
  if (route.direct_response !== undefined) {
    return compileDirectResponse(context, route.direct_response, options.bodyMax)
  }
  return undefined
}

function compileMatch(context: Context, match: RouteMatch): NativeRouteMatch | undefined {
  const path = compilePath(context, match)
  const headers = (match.headers ?? []).map((header) => compileHeaderMatcher(context, header))
  const query = (match.query_parameters ?? []).map((parameter) =>
    compileQueryMatcher(context, parameter),
  )
  const fraction = match.runtime_fraction && compileFraction(context, match.runtime_fraction)
  if (path === undefined) return undefined
  return {
    ...path,
    caseSensitive: match.case_sensitive ?? true,
    ...(headers.length > 0 && { headers }),
    ...(query.length > 0 && { query }),
    ...(fraction && { fraction }),
  }
}

function compilePath(
  context: Context,
  match: RouteMatch,
): Pick<NativeRouteMatch, 'kind' | 'value' | 'dfa'> | undefined {
  if (match.prefix !== undefined) return { kind: 'prefix', value: match.prefix }
  if (match.path !== undefined) return { kind: 'path', value: match.path }
  if (match.path_separated_prefix !== undefined) {
    return { kind: 'separated-prefix', value: match.path_separated_prefix }
  }
  if (match.safe_regex === undefined) return undefined
  return { kind: 'regex', dfa: matchTable(context, match.safe_regex) }
}
