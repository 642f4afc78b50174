/** Routes of the short form: what a key matches, and what its value does. */

import { kindOf } from '../check/scalars.ts'
import type { SourceNode } from '../source/tree.ts'
import { nodeAt, type Spot, type Value } from './nodes.ts'
import { kHiddenPaths, pathPattern, withParameters } from './parameters.ts'
import { type Field, isNull, type Reader, spotOf } from './reader.ts'
import type { Upstreams } from './upstreams.ts'

export const kRouteKeys: readonly string[] = [
  'to',
  'timeout',
  'strip_prefix',
  'rewrite',
  'host',
  'redirect',
  'respond',
  'headers',
]

const kRedirectStatuses: ReadonlyMap<string, string> = new Map([
  ['301', 'MOVED_PERMANENTLY'],
  ['302', 'FOUND'],
  ['303', 'SEE_OTHER'],
  ['307', 'TEMPORARY_REDIRECT'],
  ['308', 'PERMANENT_REDIRECT'],
])

type Fields = { [key: string]: Value | undefined }

/** What a key of `routes` says. */
interface Match {
  readonly host: string
  /**
   * `/api` also matches `/api/…`; one with a slash at its end matches what begins with it; an
   * `exact` one only itself.
   */
  readonly path: string
  readonly exact: boolean
}

interface ShortRoute {
  readonly match: Match
  readonly nodes: readonly SourceNode[]
}

/** As a key of `routes` far more often a path without its slash than the name of a host. */
const kBareWord = /^(?!localhost$)[\w-]+$/i

/** Collects the routes of each host, and gives them as virtual hosts. */
export class Routes {
  readonly #reader: Reader
  readonly #upstreams: Upstreams
  readonly #hosts = new Map<string, { readonly spot: Spot; readonly routes: ShortRoute[] }>()
  readonly #seen = new Map<string, Field>()
  #timeout: Value | undefined
  #normalizes = true

  constructor(reader: Reader, upstreams: Upstreams) {
    this.#reader = reader
    this.#upstreams = upstreams
  }

  setTimeout(value: Value | undefined): void {
    this.#timeout = value
  }

  /** Whether routes take a path in each way in which servers may read it. */
  setNormalizes(value: boolean): void {
    this.#normalizes = value
  }

  get isEmpty(): boolean {
    return this.#hosts.size === 0
  }

  /** The map `routes`, of all hosts (`*`) or of one. */
  addRoutes(field: Field, host: string): void {
    for (const route of this.#reader.fields(field.node, field.path, 'a map from paths to URLs')) {
      const match = this.#match(route, host)
      if (match !== undefined) this.#add(match, route)
    }
  }

  /** The map `hosts`: from a name to its routes, or to the one target of all its paths. */
  addHosts(field: Field): void {
    for (const host of this.#reader.fields(field.node, field.path, 'a map of hosts by name')) {
      const name = this.#hostName(host.key, host.keySpot)
      if (name === undefined) continue
      const isMap =
        host.node.kind === 'map' && host.node.entries.some((entry) => entry.key === 'routes')
      if (!isMap) {
        this.#add({ host: name, path: '/', exact: false }, host)
        continue
      }
      const routes = this.#reader.known(host.node, host.path, 'a host', ['routes']).get('routes')
      if (routes !== undefined) this.addRoutes(routes, name)
    }
  }

  virtualHosts(): readonly SourceNode[] {
    return [...this.#hosts].map(([host, { spot, routes }]) => {
      // Order does not matter to who writes them: the one that says most comes first.
      const sorted = [...routes].sort(
        (a, b) =>
          Number(b.match.exact) - Number(a.match.exact) ||
          b.match.path.length - a.match.path.length,
      )
      return nodeAt(spot, {
        name: host === '*' ? 'default' : host,
        domains: [host],
        routes: [...this.#hidden(spot, routes), ...sorted.flatMap((route) => route.nodes)],
      })
    })
  }

  /** What is refused where there are routes that it could pass. */
  #hidden(spot: Spot, routes: readonly ShortRoute[]): readonly SourceNode[] {
    const keepsOut = ({ match: { path, exact } }: ShortRoute): boolean => path !== '/' || exact
    if (!this.#normalizes || !routes.some(keepsOut)) return []
    const match = { safe_regex: { regex: kHiddenPaths } }
    return [nodeAt(spot, { match, direct_response: { status: 400 } })]
  }

  #match(route: Field, outer: string): Match | undefined {
    const [, exact, host = '', path = ''] = /^(=\s*)?([^/]*)(.*)$/s.exec(route.key) ?? []
    if (host !== '' && outer !== '*') {
      const text = 'a path begins with "/", and the host is said above'
      return this.#reader.refuse(route.keySpot, 'bad-value', text)
    }
    if (path === '' && kBareWord.test(host)) {
      const hint = `write "/${host}", or "${host}/" for the host of that name`
      return this.#reader.refuse(route.keySpot, 'bad-value', 'a path begins with "/"', hint)
    }
    const name = host === '' ? outer : this.#hostName(host, route.keySpot)
    if (name === undefined) return undefined
    if (/[?#\s]/.test(path)) {
      return this.#reader.refuse(route.keySpot, 'bad-value', 'a path has no "?", "#" or space')
    }
    if (/[*{}]/.test(path)) {
      const hint = 'write the prefix: "/api" also matches "/api/users"'
      return this.#reader.refuse(route.keySpot, 'bad-value', 'a path has no patterns', hint)
    }
    return { host: name, path: path === '' ? '/' : path, exact: exact !== undefined }
  }

  #hostName(text: string, spot: Spot): string | undefined {
    if (/^(\*|(\*\.)?[A-Za-z0-9_]([\w.-]*[\w])?|\[[0-9a-f:.]+\])$/i.test(text))
      return text.toLowerCase()
    const hint = 'a name such as example.com or *.example.com, without scheme and port'
    return this.#reader.refuse(spot, 'bad-value', `"${text}" is not a host`, hint)
  }

  #add(match: Match, route: Field): void {
    const key = `${match.host} ${match.exact} ${match.path}`
    const other = this.#seen.get(key)
    if (other !== undefined) {
      this.#reader.refuse(route.keySpot, 'duplicate', `is the same route as ${other.path}`)
    }
    this.#seen.set(key, route)
    const host = this.#hosts.get(match.host) ?? { spot: route.keySpot, routes: [] }
    this.#hosts.set(match.host, host)
    host.routes.push({ match, nodes: this.#route(match, route) })
  }

  #route(match: Match, route: Field): readonly SourceNode[] {
    const isMap =
      route.node.kind === 'map' && !route.node.entries.some((entry) => entry.key === 'url')
    if (!isMap) {
      const action = this.#forward(match, route, undefined, {})
      return action === undefined ? [] : this.#nodes(match, route, action, {})
    }
    const fields = this.#reader.known(route.node, route.path, 'a route', kRouteKeys)
    const actions = ['to', 'redirect', 'respond'].flatMap((key) => fields.get(key) ?? [])
    const [action, second] = actions
    if (action === undefined) {
      this.#reader.refuse(route.keySpot, 'missing', 'needs one of to, redirect, respond')
      return []
    }
    if (second !== undefined) {
      this.#reader.refuse(
        second.keySpot,
        'conflict',
        `excludes ${action.key}, which is set here too`,
      )
    }
    const headers = fields.get('headers')
    const common = headers === undefined ? {} : this.#headers(headers)
    if (action.key !== 'to') {
      for (const key of ['timeout', 'strip_prefix', 'rewrite', 'host']) {
        const field = fields.get(key)
        if (field !== undefined) {
          this.#reader.refuse(
            field.keySpot,
            'conflict',
            `only goes with "to", not with ${action.key}`,
          )
        }
      }
      const done = action.key === 'redirect' ? this.#redirect(action) : this.#respond(action)
      return done === undefined ? [] : this.#nodes(match, route, done, common)
    }
    return this.#forwards(match, route, action, fields, common)
  }

  /** One route, or two where `/api` and `/api/…` are rewritten differently. */
  #forwards(
    match: Match,
    route: Field,
    to: Field,
    fields: ReadonlyMap<string, Field>,
    common: Fields,
  ): readonly SourceNode[] {
    const options = this.#forwardOptions(fields)
    const prefix = this.#newPrefix(match, fields)
    const action = this.#forward(match, to, fields.get('timeout'), options)
    if (action === undefined) return []
    if (prefix === undefined) return this.#nodes(match, route, action, common)
    const { path, exact } = match
    const rewritten = (at: Match, text: string): readonly SourceNode[] => {
      const { route: forward } = action as { route: Fields }
      const made = (how: Fields): Fields => ({ route: { ...forward, ...how } })
      const pattern = { regex: `^${withParameters(at.path)}` }
      const substitution = text.replaceAll('\\', '\\\\')
      const parameters = { regex_rewrite: nodeAt(prefix.spot, { pattern, substitution }) }
      const plain = { prefix_rewrite: nodeAt(prefix.spot, text) }
      return this.#nodes(at, route, made(plain), common, made(parameters))
    }
    const whole = prefix.text === '' ? '/' : prefix.text
    if (exact) return rewritten(match, whole)
    if (path.endsWith('/')) return rewritten(match, `${prefix.text}/`)
    // A prefix of "/" instead of "/api" would make "//users" of "/api/users".
    return [
      ...rewritten({ ...match, path: `${path}/` }, `${prefix.text}/`),
      ...rewritten({ ...match, exact: true }, whole),
    ]
  }

  /** What the matched prefix becomes, without a slash at its end. */
  #newPrefix(
    match: Match,
    fields: ReadonlyMap<string, Field>,
  ): { text: string; spot: Spot } | undefined {
    const strip = fields.get('strip_prefix')
    const rewrite = fields.get('rewrite')
    if (strip !== undefined && rewrite !== undefined) {
      return this.#reader.refuse(
        rewrite.keySpot,
        'conflict',
        'excludes strip_prefix, which is set here too',
      )
    }
    if (rewrite !== undefined) {
      const text = this.#reader.text(rewrite, 'a path such as /v2')
      if (text === undefined) return undefined
      if (!/^\/[^?#\s]*$/.test(text)) {
        return this.#reader.refuse(rewrite.spot, 'bad-value', 'is a path such as /v2')
      }
      return { text: text.replace(/\/$/, ''), spot: rewrite.spot }
    }
    if (strip === undefined) return undefined
    if (strip.node.kind !== 'scalar' || typeof strip.node.value !== 'boolean') {
      return this.#reader.refuse(
        strip.spot,
        'wrong-type',
        `is true or false, not ${kindOf(strip.node)}`,
      )
    }
    return strip.node.value && match.path !== '/' ? { text: '', spot: strip.spot } : undefined
  }

  #forwardOptions(fields: ReadonlyMap<string, Field>): Fields {
    const host = fields.get('host')
    if (host === undefined) return {}
    const text = this.#reader.text(host, 'a host name')
    return text === undefined ? {} : { host_rewrite_literal: nodeAt(host.spot, text) }
  }

  #forward(
    match: Match,
    to: Field,
    timeout: Field | undefined,
    options: Fields,
  ): Value | undefined {
    if (isNull(to.node)) {
      const hint = match.path === '/' ? 'http://127.0.0.1:3000' : undefined
      return this.#reader.refuse(to.keySpot, 'missing', 'needs a URL to forward to', hint)
    }
    const cluster = this.#upstreams.target(to.node, to.path)
    const own = this.#reader.duration(timeout)
    if (cluster === undefined) return undefined
    return {
      route: {
        cluster: nodeAt(to.spot, cluster),
        timeout: timeout && own ? nodeAt(timeout.spot, own) : this.#timeout,
        ...options,
      },
    }
  }

  /** The route, and the same for its path with parameters, where that does something else. */
  #nodes(
    { path, exact }: Match,
    route: Field,
    action: Value,
    common: Fields,
    withParameters: Value = action,
  ): readonly SourceNode[] {
    const at = route.keySpot
    const kind = exact ? 'path' : path.endsWith('/') ? 'prefix' : 'path_separated_prefix'
    const match = { [kind]: nodeAt(at, path) }
    const node = nodeAt(at, { match, ...(action as Fields), ...common })
    if (!this.#normalizes || (path === '/' && !exact)) return [node]
    const pattern = { safe_regex: { regex: pathPattern(path, exact) } }
    return [node, nodeAt(at, { match: pattern, ...(withParameters as Fields), ...common })]
  }

  #redirect(field: Field): Value | undefined {
    const isMap = field.node.kind === 'map'
    const fields = isMap
      ? this.#reader.known(field.node, field.path, 'a redirect', ['to', 'status'])
      : new Map([['to', field]])
    const to = fields.get('to')
    if (to === undefined) return this.#reader.refuse(field.keySpot, 'missing', 'needs "to"')
    const text = this.#reader.text(to, '"https", a path, or a URL')
    if (text === undefined) return undefined
    const place = this.#redirectPlace(text, to.spot)
    const status = this.#redirectStatus(fields.get('status'))
    return place && { redirect: { ...place, response_code: status } }
  }

  #redirectPlace(text: string, spot: Spot): Fields | undefined {
    if (text === 'https') return { https_redirect: nodeAt(spot, true) }
    if (text.startsWith('/')) return { path_redirect: nodeAt(spot, text) }
    const url = /^(https?):\/\/(\[[^\]]+\]|[^/:?#\s]+)(?::(\d+))?([/?][^\s#]*)?$/i.exec(text)
    if (url === null) {
      return this.#reader.refuse(spot, 'bad-value', 'is "https", a path such as /new, or a URL')
    }
    const [, scheme = '', host = '', port, path] = url
    return {
      scheme_redirect: nodeAt(spot, scheme.toLowerCase()),
      host_redirect: nodeAt(spot, host),
      port_redirect: port === undefined ? undefined : nodeAt(spot, Number(port)),
      path_redirect: path === undefined || path === '/' ? undefined : nodeAt(spot, path),
    }
  }

  #redirectStatus(field: Field | undefined): Value | undefined {
    if (field === undefined) return undefined
    const name = field.node.kind === 'scalar' ? kRedirectStatuses.get(field.node.text) : undefined
    if (name !== undefined) return nodeAt(field.spot, name)
    return this.#reader.refuse(
      field.spot,
      'bad-value',
      `must be one of ${[...kRedirectStatuses.keys()].join(', ')}`,
    )
  }

  /** A status, a text, or both. */
  #respond(field: Field): Value | undefined {
    const { node, spot } = field
    if (node.kind === 'scalar' && typeof node.value === 'number') {
      return { direct_response: { status: nodeAt(spot, node) } }
    }
    if (node.kind === 'scalar' && typeof node.value === 'string') {
      return { direct_response: { status: 200, body: { inline_string: nodeAt(spot, node) } } }
    }
    const what = 'a status, a text, or both: {status: 404, body: gone}'
    const fields = this.#reader.known(node, field.path, what, ['status', 'body'])
    const status = fields.get('status')
    const body = fields.get('body')
    const text = body && this.#reader.text(body, 'a text')
    return {
      direct_response: {
        status: status === undefined ? 200 : nodeAt(status.spot, status.node),
        body: body && text !== undefined ? { inline_string: nodeAt(body.spot, text) } : undefined,
      },
    }
  }

  #headers(field: Field): Fields {
    const sides = this.#reader.known(field.node, field.path, 'request and response', [
      'request',
      'response',
    ])
    const fields: Fields = {}
    for (const [side, { node, path }] of sides) {
      const add: Value[] = []
      const remove: Value[] = []
      for (const header of this.#reader.fields(node, path, 'a map of headers')) {
        if (isNull(header.node)) {
          remove.push(nodeAt(header.keySpot, header.key))
          continue
        }
        const value =
          header.node.kind === 'scalar' ? header.node.text : this.#reader.text(header, 'a text')
        if (value === undefined) continue
        const quoted = {
          ...spotOf(header.node, header.path),
          kind: 'scalar',
          value,
          text: value,
        } as const
        const wasQuoted = header.node.kind === 'scalar' && header.node.quoted
        add.push(
          nodeAt(header.keySpot, {
            header: { key: header.key, value: { ...quoted, quoted: wasQuoted } },
            append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
          }),
        )
      }
      if (add.length > 0) fields[`${side}_headers_to_add`] = add
      if (remove.length > 0) fields[`${side}_headers_to_remove`] = remove
    }
    return fields
  }
}
