/** Hash policies: what of a request or connection a hashing balancer goes by. */

import type { NativeHashPolicy } from '../../native/index.ts'
import type {
  RouteActionHashPolicyCookie as Cookie,
  RouteActionHashPolicy as HashPolicy,
} from '../schema/messages.generated.ts'
import { type Context, regexRewrite } from './context.ts'

export function compileHashPolicies(
  context: Context,
  policies: readonly HashPolicy[],
): NativeHashPolicy[] {
  return policies.flatMap((policy) => {
    const compiled = compilePolicy(context, policy)
    return compiled === undefined ? [] : { ...compiled, ...(policy.terminal && { terminal: true }) }
  })
}

function compilePolicy(context: Context, policy: HashPolicy): NativeHashPolicy | undefined {
  const { header, cookie, connection_properties: connection, query_parameter: query } = policy
  if (header !== undefined) {
    const name = (header.header_name ?? '').toLowerCase()
    const rewrite = header.regex_rewrite && regexRewrite(context, header.regex_rewrite)
    return { kind: 'header', name, ...(rewrite && { rewrite }) }
  }
  if (cookie !== undefined) return compileCookie(cookie)
  if (query !== undefined) return { kind: 'query', name: query.name ?? '' }
  // Without source_ip it names nothing of the connection.
  return connection?.source_ip ? { kind: 'source-ip' } : undefined
}

function compileCookie(cookie: Cookie): NativeHashPolicy {
  const { name = '', ttl, path = '', attributes = [] } = cookie
  if (ttl === undefined) return { kind: 'cookie', name }
  return {
    kind: 'cookie',
    name,
    ttl: Math.floor(ttl / 1000),
    ...(path !== '' && { path }),
    ...(attributes.length > 0 && {
      attributes: attributes.map((a): [string, string] => [a.name ?? '', a.value ?? '']),
    }),
  }
}
