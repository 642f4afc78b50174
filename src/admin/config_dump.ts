// GET /config_dump: the configuration in force as Envoy's ConfigDump message, in JSON.

import { type Answer, type Endpoint, json, jsonOf, regexOf, text } from './endpoint.ts'
import type { AdminTarget } from './target.ts'

type Message = Readonly<Record<string, unknown>>

const kAdmin = 'type.googleapis.com/envoy.admin.v3.'
const kConfig = 'type.googleapis.com/envoy.config.'

function messages(value: unknown): readonly Message[] {
  return Array.isArray(value) ? (value as Message[]) : []
}

function message(value: unknown): Message {
  return typeof value === 'object' && value !== null ? (value as Message) : {}
}

/** The route tables written inside the connection managers of a listener. */
function routeConfigs(listener: Message): Message[] {
  const chains = [...messages(listener.filter_chains), message(listener.default_filter_chain)]
  return chains
    .flatMap((chain) => messages(chain.filters))
    .map((filter) => message(filter.typed_config).route_config)
    .filter((config) => config !== undefined)
    .map(message)
}

interface Section {
  /** The message of the whole section, and of one entry of it. */
  readonly type: string
  readonly entryType: string
  /** The repeated field in it: what `?resource=` asks for. */
  readonly field: string
  readonly entry: string
  readonly resourceType: string
  readonly resources: readonly Message[]
}

/** What `?resource=` may ask for. */
const kFields = ['static_clusters', 'static_listeners', 'static_route_configs']

function sections(bootstrap: Message): Section[] {
  const resources = message(bootstrap.static_resources)
  const listeners = messages(resources.listeners)
  return [
    {
      type: 'ClustersConfigDump',
      entryType: 'ClustersConfigDump.StaticCluster',
      field: 'static_clusters',
      entry: 'cluster',
      resourceType: 'cluster.v3.Cluster',
      resources: messages(resources.clusters),
    },
    {
      type: 'ListenersConfigDump',
      entryType: 'ListenersConfigDump.StaticListener',
      field: 'static_listeners',
      entry: 'listener',
      resourceType: 'listener.v3.Listener',
      resources: listeners,
    },
    {
      type: 'RoutesConfigDump',
      entryType: 'RoutesConfigDump.StaticRouteConfig',
      field: 'static_route_configs',
      entry: 'route_config',
      resourceType: 'route.v3.RouteConfiguration',
      resources: listeners.flatMap(routeConfigs),
    },
  ]
}

function handle(target: AdminTarget, query: URLSearchParams): Answer {
  const found = regexOf(query, 'name_regex')
  if (found && 'status' in found) return found
  const names = found
  const configuration = target.configuration()
  if (!configuration) return json({ configs: [] })
  const { loaded, at } = configuration
  const last_updated = new Date(at).toISOString()
  function* entries(section: Section): Generator<Message | undefined> {
    for (const resource of section.resources) {
      if (!names || names(String(resource.name ?? ''))) {
        const typed = { '@type': `${kConfig}${section.resourceType}`, ...resource }
        yield { [section.entry]: typed, last_updated }
      } else yield undefined
    }
  }
  const wanted = query.get('resource')
  if (wanted !== null && !kFields.includes(wanted)) {
    return text(`${wanted} not found in config dump\n`, 404)
  }

  function* configs(bootstrap: Message): Generator<Message | undefined> {
    if (!names && wanted === null) {
      yield { '@type': `${kAdmin}BootstrapConfigDump`, bootstrap, last_updated }
    }
    for (const section of sections(bootstrap)) {
      if (section.field === wanted) {
        yield* typedEntries(entries(section), `${kAdmin}${section.entryType}`)
      } else if (wanted === null) {
        const some = section.resources.some(({ name }) => !names || names(String(name ?? '')))
        yield {
          '@type': `${kAdmin}${section.type}`,
          ...(some ? { [section.field]: entries(section) } : {}),
        }
      }
    }
  }
  return jsonOf(function* () {
    return { configs: configs(message(yield* loaded.effectiveInSteps())) }
  })
}

function* typedEntries(
  entries: Iterable<Message | undefined>,
  type: string,
): Generator<Message | undefined> {
  for (const entry of entries) yield entry && { '@type': type, ...entry }
}

export const configDumpEndpoint: Endpoint = {
  path: '/config_dump',
  method: 'GET',
  help: 'the configuration in force',
  parameters: {
    resource: 'static_clusters, static_listeners or static_route_configs: only these',
    name_regex: 'only what has a name that this regular expression is found in',
  },
  handle,
}
