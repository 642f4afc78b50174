/** Endpoints: what a `ClusterLoadAssignment` says of hosts and of where they are. */

import { isIP } from 'node:net'
import type { NativeHealth, NativeHostStatus, NativeLocality } from '../../native/index.ts'
import type { DnsTarget, HostCheck, HostDefinition } from '../definitions.ts'
import type {
  ClusterLoadAssignment,
  Endpoint,
  LbEndpoint,
  Locality,
  LocalityLbEndpoints,
} from '../schema/messages.generated.ts'
import { compileAddress, socketAddress } from './address.ts'
import type { Context } from './context.ts'

const kWeightsMax = 2 ** 32 - 1
/** What balancers read of a host's metadata. */
const kMetadata = 'envoy.lb'

export interface Endpoints {
  readonly hosts: readonly HostDefinition[]
  /** One for each entry of the assignment. */
  readonly localities: readonly NativeLocality[]
}

/** `listAsAny`: a list in a host's metadata stands for each of its elements too. */
export function compileEndpoints(
  context: Context,
  assignment: ClusterLoadAssignment | undefined,
  listAsAny = false,
): Endpoints {
  const entries = assignment?.endpoints ?? []
  checkLocalities(context, entries)
  return {
    hosts: entries.flatMap((entry, locality) =>
      (entry.lb_endpoints ?? []).flatMap(
        (endpoint) =>
          compileHost(context, endpoint, { priority: entry.priority ?? 0, locality, listAsAny }) ??
          [],
      ),
    ),
    localities: entries.map(compileLocality),
  }
}

export const localityName = (
  locality: Locality | undefined,
): Pick<NativeLocality, 'region' | 'zone' | 'subZone'> => ({
  region: locality?.region ?? '',
  zone: locality?.zone ?? '',
  subZone: locality?.sub_zone ?? '',
})

const compileLocality = (entry: LocalityLbEndpoints): NativeLocality => ({
  ...localityName(entry.locality),
  weight: entry.load_balancing_weight ?? 0,
  priority: entry.priority ?? 0,
})

/** The sums that Envoy bounds (endpoint_components.proto). */
function checkLocalities(context: Context, entries: readonly LocalityLbEndpoints[]): void {
  const byPriority = new Map<number, number>()
  for (const entry of entries) {
    const priority = entry.priority ?? 0
    const sum = (byPriority.get(priority) ?? 0) + (entry.load_balancing_weight ?? 0)
    byPriority.set(priority, sum)
    if (sum > kWeightsMax && entry.load_balancing_weight !== undefined) {
      const text = `localities of priority ${priority} have weights of more than ${kWeightsMax}`
      context.origins.add(entry, ['load_balancing_weight'], 'bad-value', text)
    }
    const hosts = entry.lb_endpoints ?? []
    const weights = hosts.reduce((all, host) => all + (host.load_balancing_weight ?? 1), 0)
    if (weights > kWeightsMax) {
      const text = `the weights of these endpoints sum up to more than ${kWeightsMax}`
      context.origins.add(entry, ['lb_endpoints'], 'bad-value', text)
    }
  }
}

const healths = {
  UNKNOWN: 'healthy',
  HEALTHY: 'healthy',
  DEGRADED: 'degraded',
  UNHEALTHY: 'unhealthy',
  DRAINING: 'unhealthy',
  TIMEOUT: 'unhealthy',
} as const satisfies Record<string, NativeHealth>

/** What `healths` does not tell. */
const statuses: Partial<Record<keyof typeof healths, NativeHostStatus>> = {
  HEALTHY: 'healthy',
  DRAINING: 'draining',
  TIMEOUT: 'timeout',
}

interface Place {
  readonly priority: number
  readonly locality: number
  readonly listAsAny: boolean
}

function compileHost(
  context: Context,
  lbEndpoint: LbEndpoint,
  at: Place,
): HostDefinition | undefined {
  const { endpoint } = lbEndpoint
  if (endpoint === undefined) {
    context.origins.addMissing(lbEndpoint, 'needs endpoint')
    return undefined
  }
  const address = compileAddress(context, endpoint.address, endpoint, 'an endpoint')
  if (address === undefined) return undefined
  checkPort(context, endpoint)
  return {
    address,
    ...compileAdditional(context, endpoint),
    ...compileRest(context, lbEndpoint, endpoint, at),
  }
}

function compileAdditional(
  context: Context,
  { additional_addresses: others = [] }: Endpoint,
): Pick<HostDefinition, 'additionalAddresses'> {
  const found = others.flatMap(
    (other) => compileAddress(context, other.address, other, 'an additional address') ?? [],
  )
  return found.length > 0 ? { additionalAddresses: found } : {}
}

function checkPort(context: Context, { address }: Endpoint): void {
  const socket = address?.socket_address
  if (socket?.port_value !== 0) return
  const text = 'the port of an endpoint must not be 0'
  context.origins.add(socket, ['port_value'], 'bad-value', text)
}

/** What is to be resolved, for clusters that ask for names. */
export function compileTargets(
  context: Context,
  assignment: ClusterLoadAssignment | undefined,
  listAsAny: boolean,
): { readonly targets: readonly DnsTarget[]; readonly localities: readonly NativeLocality[] } {
  const entries = assignment?.endpoints ?? []
  checkLocalities(context, entries)
  const targets = entries.flatMap((entry, locality) =>
    (entry.lb_endpoints ?? []).flatMap(
      (endpoint) =>
        compileTarget(context, endpoint, { priority: entry.priority ?? 0, locality, listAsAny }) ??
        [],
    ),
  )
  return { targets, localities: entries.map(compileLocality) }
}

function compileTarget(context: Context, lbEndpoint: LbEndpoint, at: Place): DnsTarget | undefined {
  const { endpoint } = lbEndpoint
  const socket = endpoint?.address?.socket_address
  if (endpoint === undefined || socket === undefined) {
    context.origins.addMissing(lbEndpoint, 'needs endpoint.address.socket_address')
    return undefined
  }
  checkPort(context, endpoint)
  const { address: name = '', port_value: port = 0, named_port: service } = socket
  // What is asked for is the host's name too, unless another one was given.
  const host = compileRest(context, lbEndpoint, endpoint, at)
  const hasOthers = (endpoint.additional_addresses ?? []).length > 0
  if (hasOthers && isIP(name) === 0) {
    const text = 'the addresses of a name are those that it is found to have'
    context.origins.add(endpoint, ['additional_addresses'], 'conflict', text)
  }
  return {
    ...(hasOthers && compileAdditional(context, endpoint)),
    name,
    port: service === undefined ? port : service.replace(/^_/, ''),
    host: { ...host, hostname: host.hostname || name },
  }
}

function compileRest(
  context: Context,
  lbEndpoint: LbEndpoint,
  endpoint: Endpoint,
  at: Place,
): Omit<HostDefinition, 'address'> {
  const { load_balancing_weight: weight = 1, health_status: health = 'UNKNOWN' } = lbEndpoint
  const status = statuses[health]
  const data = lbEndpoint.metadata?.filter_metadata?.[kMetadata] ?? {}
  const metadata = flatMetadata(data, at.listAsAny)
  const check = compileCheck(context, endpoint)
  return {
    hostname: endpoint.hostname ?? '',
    weight,
    priority: at.priority,
    locality: at.locality,
    health: healths[health],
    ...(status && { status }),
    ...(data.canary === true && { canary: true }),
    ...(metadata.length > 0 && { metadata }),
    ...(check && { check }),
  }
}

function compileCheck(context: Context, endpoint: Endpoint): HostCheck | undefined {
  const config = endpoint.health_check_config
  if (config === undefined) return undefined
  const socket = config.address?.socket_address
  if (config.address !== undefined && socket === undefined) {
    const text = 'only an IP address and a port are supported here'
    context.origins.add(config, ['address'], 'not-supported', text)
  }
  const address = socket && socketAddress(context, socket)
  return {
    ...(address && { address }),
    ...(config.port_value && { port: config.port_value }),
    ...(config.hostname && { hostname: config.hostname }),
    ...(config.disable_active_health_check && { disabled: true }),
  }
}

/** [key, value, …], each value as JSON text in one form. */
export function flatMetadata(data: Readonly<Record<string, unknown>>, listAsAny = false): string[] {
  return Object.entries(data).flatMap(([key, value]) => {
    const values = listAsAny && Array.isArray(value) ? [value, ...value] : [value]
    return values.flatMap((one) => [key, canonicalJson(one)])
  })
}

/** JSON text in which equal values are equal: keys in order, no space. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  const fields = entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`)
  return `{${fields.join(',')}}`
}
