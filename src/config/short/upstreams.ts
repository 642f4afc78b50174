/** Upstreams of the short form: named ones, and those that a route writes in place. */

import { entryOf, type SourceNode } from '../source/tree.ts'
import { didYouMean } from '../suggest.ts'
import { type UpstreamPlace, upstreamPlace } from './address.ts'
import { nodeAt, type Spot, type Value } from './nodes.ts'
import { type Field, type Reader, spotOf } from './reader.ts'

export const kUpstreamKeys: readonly string[] = [
  'to',
  'connect_timeout',
  'idle_timeout',
  'max_connections',
  'max_pending_requests',
  'max_requests',
]
const kOptionsType = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'

interface Host {
  readonly place: UpstreamPlace
  readonly weight: SourceNode | undefined
  readonly spot: Spot
}

/** Collects clusters while routes are read; each set of addresses becomes one cluster. */
export class Upstreams {
  readonly #reader: Reader
  readonly #clusters = new Map<string, SourceNode>()
  /** Names of clusters that have no name of the user's, by what they are of. */
  readonly #unnamed = new Map<string, string>()
  readonly #named = new Set<string>()
  #connectTimeout: Value | undefined

  constructor(reader: Reader) {
    this.#reader = reader
  }

  get clusters(): readonly SourceNode[] {
    return [...this.#clusters.values()]
  }

  setConnectTimeout(value: Value | undefined): void {
    this.#connectTimeout = value
  }

  /** The map `upstreams`. */
  define(field: Field): void {
    for (const upstream of this.#reader.fields(
      field.node,
      field.path,
      'a map of upstreams by name',
    )) {
      this.#named.add(upstream.key)
      const isMap = upstream.node.kind === 'map' && entryOf(upstream.node, 'url') === undefined
      if (!isMap) {
        this.#cluster(upstream.key, this.#hosts(upstream.node, upstream.path), {}, upstream.spot)
        continue
      }
      const options = this.#reader.known(upstream.node, upstream.path, 'an upstream', kUpstreamKeys)
      const to = options.get('to')
      if (to === undefined) this.#reader.refuse(upstream.keySpot, 'missing', 'needs "to"')
      const hosts = to === undefined ? [] : this.#hosts(to.node, to.path)
      this.#cluster(upstream.key, hosts, this.#options(options), upstream.spot)
    }
  }

  /** The name of the cluster that a target means; undefined when it means none, which was said. */
  target(node: SourceNode, path: string): string | undefined {
    const spot = spotOf(node, path)
    const word = upstreamName(node)
    if (word !== undefined && this.#named.has(word)) return word
    if (word !== undefined && isWord(word)) {
      const hint = didYouMean(word, this.#named) ?? 'define it under upstreams, or write a URL'
      return this.#reader.refuse(spot, 'bad-reference', `no upstream is called "${word}"`, hint)
    }
    const hosts = this.#hosts(node, path)
    if (hosts.length === 0) return undefined
    const key = JSON.stringify(hosts.map(keyOf))
    const known = this.#unnamed.get(key)
    if (known !== undefined) return known
    const name = this.#freeName(hosts.map(hostName).join(','))
    this.#unnamed.set(key, name)
    this.#cluster(name, hosts, {}, spot)
    return name
  }

  /** One that no upstream has, and no other cluster: names and paths may have any characters. */
  #freeName(wanted: string): string {
    let name = wanted
    for (let n = 2; this.#named.has(name) || this.#clusters.has(name); n++) name = `${wanted}#${n}`
    return name
  }

  #hosts(node: SourceNode, path: string): Host[] {
    if (node.kind !== 'list') return this.#host(node, path)
    if (node.items.length === 0) {
      this.#reader.refuse(spotOf(node, path), 'bad-value', 'needs at least one URL')
    }
    return node.items.flatMap((item, i) => this.#host(item, `${path}[${i}]`))
  }

  #host(node: SourceNode, path: string): Host[] {
    if (node.kind !== 'map') {
      const spot = spotOf(node, path)
      const place = upstreamPlace(this.#reader, node, spot)
      return place === undefined ? [] : [{ place, weight: undefined, spot }]
    }
    const fields = this.#reader.known(node, path, 'a URL, or url and weight', ['url', 'weight'])
    const url = fields.get('url')
    if (url === undefined) {
      this.#reader.refuse(spotOf(node, path), 'missing', 'needs "url"')
      return []
    }
    const place = upstreamPlace(this.#reader, url.node, url.spot)
    const weight = fields.get('weight')
    const weightNode = weight && nodeAt(weight.spot, weight.node)
    return place === undefined ? [] : [{ place, weight: weightNode, spot: url.spot }]
  }

  #options(fields: ReadonlyMap<string, Field>): { [key: string]: Value | undefined } {
    const limits = ['max_connections', 'max_pending_requests', 'max_requests'].flatMap((key) => {
      const field = fields.get(key)
      return field === undefined ? [] : [[key, nodeAt(field.spot, field.node)] as const]
    })
    const idle = fields.get('idle_timeout')
    const idleTimeout = this.#reader.duration(idle)
    const connect = fields.get('connect_timeout')
    const connectTimeout = this.#reader.duration(connect)
    return {
      connect_timeout: connect && connectTimeout ? nodeAt(connect.spot, connectTimeout) : undefined,
      circuit_breakers:
        limits.length === 0 ? undefined : { thresholds: [Object.fromEntries(limits)] },
      typed_extension_protocol_options:
        idle && idleTimeout
          ? { [kOptionsType]: idleOptions(nodeAt(idle.spot, idleTimeout)) }
          : undefined,
    }
  }

  #cluster(
    name: string,
    hosts: readonly Host[],
    options: { [key: string]: Value | undefined },
    spot: Spot,
  ): void {
    const resolves = hosts.some(({ place }) => place.kind === 'name')
    const endpoints = hosts.map(({ place: { address, others }, weight, spot: at }) => {
      const more = others.map((other) => ({ address: other }))
      return nodeAt(at, {
        endpoint: { address, additional_addresses: more.length > 0 ? more : undefined },
        load_balancing_weight: weight,
      })
    })
    const unix = hosts.find(({ place }) => place.kind === 'unix')
    if (resolves && unix) {
      const text = 'a unix socket and a name cannot take turns'
      this.#reader.refuse(unix.spot, 'not-supported', text, 'write the IP addresses of the name')
    }
    const cluster = nodeAt(spot, {
      name,
      type: resolves ? 'STRICT_DNS' : 'STATIC',
      // What listens on IPv4 alone is more common than what listens on IPv6 alone.
      dns_lookup_family: resolves ? 'V4_PREFERRED' : undefined,
      connect_timeout: this.#connectTimeout,
      ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
      load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: endpoints }] },
    })
    this.#clusters.set(name, cluster)
  }
}

function upstreamName(node: SourceNode): string | undefined {
  return node.kind === 'scalar' && typeof node.value === 'string' ? node.value : undefined
}

/** Without a colon, a slash or a dot, it is a name and no address. */
const isWord = (text: string): boolean => /^[A-Za-z_][\w-]*$/.test(text) && text !== 'localhost'

function hostName({ place, weight }: Host): string {
  return place.text + (weight?.kind === 'scalar' ? `*${weight.text}` : '')
}

const keyOf = ({ place, weight }: Host): readonly string[] => [
  place.text,
  weight?.kind === 'scalar' ? weight.text : '',
]

function idleOptions(idle: SourceNode): Value {
  return {
    '@type': `type.googleapis.com/${kOptionsType}`,
    common_http_protocol_options: { idle_timeout: idle },
    explicit_http_config: { http_protocol_options: {} },
  }
}
