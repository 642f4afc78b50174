/** The HTTP filter of the dynamic forward proxy. */

import { type Context, unpack } from '../context.ts'
import { compileDnsCache } from '../dns_cache.ts'
import type { FilterCompiler } from './filter_compiler.ts'

export const kDynamicForwardProxy =
  'envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig'
const kPerRoute = 'envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig'

export const dynamicForwardProxy: FilterCompiler = {
  compile: (context, message) => {
    const config = unpack(message, kDynamicForwardProxy)
    // The cluster has the cache; this says only that it is the same one.
    if (config === undefined || compileDnsCache(context, config) === undefined) return undefined
    return { kind: 'dynamic-forward-proxy' }
  },
  perRoute: {
    type: kPerRoute,
    compile: (_context: Context, message) => {
      const config = unpack(message, kPerRoute)
      const { host_rewrite_literal: host, host_rewrite_header: header } = config ?? {}
      return {
        kind: 'dynamic-forward-proxy',
        ...(host && { host }),
        ...(header && { header: header.toLowerCase() }),
      }
    },
  },
}
