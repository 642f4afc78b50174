/** `envoy.filters.http.stateful_session`: where a client keeps the address of its host. */

import type { NativeSession } from '../../../native/index.ts'
import type { StatefulSession } from '../../schema/messages.generated.ts'
import { type Context, unpack } from '../context.ts'
import type { FilterCompiler } from './filter_compiler.ts'

export const kStatefulSession = 'envoy.extensions.filters.http.stateful_session.v3.StatefulSession'
const kPerRoute = 'envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute'
const kCookie = 'envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState'
const kHeader = 'envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState'

export const statefulSession: FilterCompiler = {
  compile: (context, message) => {
    const filter = unpack(message, kStatefulSession)
    const session = filter && compileSession(context, filter)
    return session && { kind: 'stateful-session', ...session }
  },
  perRoute: {
    type: kPerRoute,
    compile: (context, message) => {
      const route = unpack(message, kPerRoute)
      if (route?.disabled) return { kind: 'stateful-session', disabled: true }
      const session = route?.stateful_session && compileSession(context, route.stateful_session)
      return session && { kind: 'stateful-session', session }
    },
  },
}

/** As in Envoy, without a `session_state` the filter does nothing. */
function compileSession(context: Context, filter: StatefulSession): NativeSession | undefined {
  const strict = filter.strict === true && { strict: true }
  const asked = filter.session_state
  if (asked === undefined) return { state: 'none' }
  const config = asked.typed_config
  if (config === undefined) {
    const hint = `"@type": type.googleapis.com/${kCookie}`
    context.origins.addMissing(asked, 'needs typed_config', hint)
    return undefined
  }
  const cookie = unpack(config, kCookie)?.cookie
  if (cookie !== undefined) {
    const { name = '', ttl = 0, path = '' } = cookie
    checkCookie(context, cookie, name, path)
    // Envoy counts whole seconds.
    const seconds = Math.floor(ttl / 1000)
    return {
      state: 'cookie',
      name,
      ...(seconds > 0 && { ttl: seconds }),
      ...(path !== '' && { path }),
      ...strict,
    }
  }
  const header = unpack(config, kHeader)
  if (header !== undefined)
    return { state: 'header', name: checkHeader(context, header), ...strict }
  if (config['@type'] !== kCookie) {
    context.origins.add(config, undefined, 'bad-value', `${config['@type']} keeps no sessions`)
  }
  return undefined
}

/** What stands in a Set-Cookie field as it is written has no byte that ends its part of it. */
function checkCookie(context: Context, cookie: object, name: string, path: string): void {
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]*$/.test(name)) {
    context.origins.add(cookie, ['name'], 'bad-value', `"${name}" is no name of a cookie`)
  }
  if (!/^[\x20-\x3a\x3c-\x7e]*$/.test(path)) {
    context.origins.add(cookie, ['path'], 'bad-value', 'has a character that no cookie can have')
  }
}

function checkHeader(context: Context, header: { readonly name?: string }): string {
  const { name = '' } = header
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]*$/.test(name)) {
    context.origins.add(header, ['name'], 'bad-value', `"${name}" is no name of a header field`)
  }
  return name.toLowerCase()
}
