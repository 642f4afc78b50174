/** What a route does: forward, redirect, or answer. */

import type {
  NativeClusterChoice,
  NativeDirectResponse,
  NativeForward,
  NativeHostRewrite,
  NativeRedirect,
  NativeWeightedCluster,
} from '../../native/index.ts'
import { readRegularSync } from '../../read_file.ts'
import type {
  DataSource,
  DirectResponseAction,
  Metadata,
  RedirectAction,
  RouteAction,
  WeightedCluster,
} from '../schema/messages.generated.ts'
import { type Context, checkCluster, regexRewrite } from './context.ts'
import { compileHashPolicies } from './hashing.ts'
import { compileMutations } from './headers.ts'
import type { RouteFilters } from './route_filters.ts'
import { compileMetadataMatch } from './subsets.ts'

const kRouteTimeout = 15_000
const kWeightsMax = 2 ** 32 - 1

const notFoundStatuses = {
  SERVICE_UNAVAILABLE: 503,
  NOT_FOUND: 404,
  INTERNAL_SERVER_ERROR: 500,
} as const

/** What the levels around a route say to it. */
export interface ForwardOptions {
  readonly validateClusters: boolean
  /** Those of the route. */
  readonly filters: RouteFilters
}

export function compileForward(
  context: Context,
  action: RouteAction,
  options: ForwardOptions,
): NativeForward {
  const { prefix_rewrite: prefixRewrite = '', regex_rewrite: rewrite } = action
  if (prefixRewrite !== '' && rewrite !== undefined) {
    context.origins.add(
      action,
      ['regex_rewrite'],
      'conflict',
      'excludes prefix_rewrite, which is set here too',
    )
  }
  const regex = rewrite && regexRewrite(context, rewrite)
  const host = hostRewrite(context, action)
  const metadataMatch = compileMetadataMatch(action.metadata_match)
  const hashPolicies = compileHashPolicies(context, action.hash_policy ?? [])
  return {
    kind: 'forward',
    cluster: compileChoice(context, action, options),
    clusterNotFoundStatus:
      notFoundStatuses[action.cluster_not_found_response_code ?? 'SERVICE_UNAVAILABLE'],
    // With max_stream_duration, that is the limit; what a request asks for still counts.
    timeout: action.max_stream_duration === undefined ? (action.timeout ?? kRouteTimeout) : 0,
    idleTimeout: action.idle_timeout ?? -1,
    priority: action.priority === 'HIGH' ? 'high' : 'default',
    ...(prefixRewrite !== '' && { prefixRewrite }),
    ...(regex && { regexRewrite: regex }),
    ...(host && { hostRewrite: host }),
    ...(action.append_x_forwarded_host && { appendXForwardedHost: true }),
    ...(hashPolicies.length > 0 && { hashPolicies }),
    ...(metadataMatch && { metadataMatch }),
  }
}

function compileChoice(
  context: Context,
  action: RouteAction,
  options: ForwardOptions,
): NativeClusterChoice {
  const { cluster, cluster_header: header, weighted_clusters: weighted } = action
  if (header !== undefined) return { kind: 'header', header: header.toLowerCase() }
  if (weighted !== undefined)
    return weightedClusters(context, weighted, action.metadata_match, options)
  const name = cluster ?? ''
  if (options.validateClusters) checkCluster(context, action, 'cluster', name)
  return { kind: 'cluster', name, slot: context.resolver.cluster(name) }
}

function weightedClusters(
  context: Context,
  weighted: WeightedCluster,
  match: Metadata | undefined,
  options: ForwardOptions,
): NativeClusterChoice {
  const clusters = (weighted.clusters ?? []).map((entry): NativeWeightedCluster => {
    const {
      name = '',
      cluster_header: header = '',
      weight,
      host_rewrite_literal: host = '',
    } = entry
    if (name !== '' && header !== '') {
      context.origins.add(
        entry,
        ['cluster_header'],
        'conflict',
        'excludes name, which is set here too',
      )
    }
    if (name === '' && header === '')
      context.origins.addMissing(entry, 'needs name or cluster_header')
    if (weight === undefined) context.origins.addMissing(entry, 'needs weight')
    if (options.validateClusters) checkCluster(context, entry, 'name', name)
    const filters = options.filters.within(entry)
    const metadataMatch = entry.metadata_match && compileMetadataMatch(match, entry.metadata_match)
    return {
      name,
      slot: name === '' ? 0 : context.resolver.cluster(name),
      weight: weight ?? 0,
      ...(header !== '' && { header: header.toLowerCase() }),
      ...(host !== '' && { hostRewrite: host }),
      ...(metadataMatch && { metadataMatch }),
      ...(filters !== options.filters && { filters: filters.overrides }),
      ...compileMutations(context, entry),
    }
  })
  const totalWeight = clusters.reduce((sum, entry) => sum + entry.weight, 0)
  checkTotal(context, weighted, totalWeight)
  const header = weighted.header_name ?? ''
  const chooser = header === '' ? {} : { header: header.toLowerCase() }
  return { kind: 'weighted', clusters, totalWeight, ...chooser }
}

function checkTotal(context: Context, weighted: WeightedCluster, sum: number): void {
  const { origins } = context
  const asked = weighted.total_weight
  if (asked !== undefined && asked !== sum) {
    origins.add(
      weighted,
      ['total_weight'],
      'conflict',
      `is ${asked}, but the weights sum up to ${sum}`,
    )
  }
  const entries = weighted.clusters ?? []
  const known = entries.length > 0 && entries.every((entry) => entry.weight !== undefined)
  if (known && sum === 0) {
    origins.add(
      weighted,
      ['clusters'],
      'bad-value',
      'the weights sum up to 0, so nothing can be chosen',
    )
  }
  if (sum > kWeightsMax) {
    origins.add(
      weighted,
      ['clusters'],
      'bad-value',
      `the weights sum up to more than ${kWeightsMax}`,
    )
  }
}

function hostRewrite(context: Context, action: RouteAction): NativeHostRewrite | undefined {
  if (action.host_rewrite_literal !== undefined) {
    const value = action.host_rewrite_literal
    return value === '' ? undefined : { kind: 'literal', value }
  }
  if (action.auto_host_rewrite) return { kind: 'auto' }
  if (action.host_rewrite_header !== undefined) {
    return { kind: 'header', header: action.host_rewrite_header.toLowerCase() }
  }
  const rewrite =
    action.host_rewrite_path_regex && regexRewrite(context, action.host_rewrite_path_regex)
  return rewrite && { kind: 'path-regex', rewrite }
}

const redirectStatuses = {
  MOVED_PERMANENTLY: 301,
  FOUND: 302,
  SEE_OTHER: 303,
  TEMPORARY_REDIRECT: 307,
  PERMANENT_REDIRECT: 308,
} as const

export function compileRedirect(context: Context, action: RedirectAction): NativeRedirect {
  const { scheme_redirect: scheme = '', host_redirect: host = '', port_redirect: port = 0 } = action
  if (port > 65_535)
    context.origins.add(action, ['port_redirect'], 'bad-value', 'must be at most 65535')
  const { path_redirect: path = '', prefix_rewrite: prefix = '' } = action
  const regex = action.regex_rewrite && regexRewrite(context, action.regex_rewrite)
  return {
    kind: 'redirect',
    status: redirectStatuses[action.response_code ?? 'MOVED_PERMANENTLY'],
    ...(action.https_redirect && { https: true }),
    ...(scheme !== '' && { scheme }),
    ...(host !== '' && { host }),
    ...(port !== 0 && { port }),
    ...(path !== '' && { path }),
    ...(prefix !== '' && { prefixRewrite: prefix }),
    ...(regex && { regexRewrite: regex }),
    ...(action.strip_query && { stripQuery: true }),
  }
}

/** `bodyMax`: `max_direct_response_body_size_bytes` of the route table. */
export function compileDirectResponse(
  context: Context,
  action: DirectResponseAction,
  bodyMax: number,
): NativeDirectResponse {
  const body = action.body ? readSource(context, action.body) : new Uint8Array(0)
  if (body.length > bodyMax) {
    const text = `has ${body.length} bytes, may have at most ${bodyMax}`
    const hint = 'raise max_direct_response_body_size_bytes of the route configuration'
    context.origins.add(action, ['body'], 'bad-value', text, hint)
  }
  return { kind: 'respond', status: action.status ?? 200, body }
}

/**
 * The bytes that a data source stands for. What is outside of the configuration is read once: what
 * was loaded means the same whenever it is compiled again.
 */
export function readSource(context: Context, source: DataSource): Uint8Array {
  const { filename, inline_bytes: bytes, inline_string: text, environment_variable: name } = source
  if (bytes !== undefined) return bytes
  if (text !== undefined) return Buffer.from(text)
  const key = filename === undefined ? `environment ${name}` : `file ${filename}`
  const known = context.sources.get(key)
  if (known) return known
  const found = readOutside(context, source)
  if (!found) return new Uint8Array(0)
  context.sources.set(key, found)
  return found
}

/** undefined: there is nothing to read, which was said. */
function readOutside(context: Context, source: DataSource): Uint8Array | undefined {
  const { filename, environment_variable: name } = source
  if (filename !== undefined) {
    try {
      return readRegularSync(filename)
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? String(error)
      context.origins.add(source, ['filename'], 'unreadable', `cannot be read: ${reason}`)
    }
  } else if (name !== undefined) {
    const value = process.env[name]
    if (value !== undefined) return Buffer.from(value)
    context.origins.add(source, ['environment_variable'], 'bad-reference', `${name} is not set`)
  } else {
    context.origins.addMissing(
      source,
      'needs filename, inline_string, inline_bytes or environment_variable',
    )
  }
  return undefined
}
