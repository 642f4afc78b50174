// Names of stats as Prometheus wants them: the variable parts of Envoy's dotted names become
// labels.

import type { NativeStat } from '../native/index.ts'

/** A stat's name without its variable parts, and those parts as [label, value] pairs. */
export interface TaggedName {
  readonly name: string
  readonly labels: readonly (readonly [string, string])[]
}

interface Rule {
  readonly label: string
  /** Group 1 is removed from the name, group 2 is the label's value. */
  readonly pattern: RegExp
}

// Envoy's default tag extractors for the stats that Millrace has
// (source/common/config/well_known_names.cc says them as regular expressions too). Addresses in
// listener names have had ':' replaced by '_', but IPv4's dots remain.
const kAddress = '(?:\\[[\\da-fA-F_.]*\\]|[\\d_.]+|[^.]+)'
// Cluster names may have dots; what begins like this is no longer part of the name.
const kClusterStats =
  'upstream_|circuit_breakers\\.|external\\.|internal\\.|canary\\.|lb_|membership_|bind_|' +
  'assignment_|update_|retry_|default\\.|version$|max_host_weight$'
const kRules: readonly Rule[] = [
  { label: 'envoy_response_code', pattern: /_rq(_(\d{3}))$/ },
  { label: 'envoy_response_code_class', pattern: /_rq(_(\d))xx$/ },
  { label: 'envoy_worker_id', pattern: /\.(worker_(\d+)\.)/ },
  { label: 'envoy_http_conn_manager_prefix', pattern: /^listener\..*?\.http\.((.+)\.)[^.]+$/ },
  { label: 'envoy_http_conn_manager_prefix', pattern: /^http\.((.+?)\.)(?:rbac\.|no_|[^.]+$)/ },
  { label: 'envoy_listener_address', pattern: new RegExp(`^listener\\.((${kAddress})\\.)`) },
  { label: 'envoy_tcp_prefix', pattern: /^tcp\.((.+)\.)[^.]+$/ },
  { label: 'envoy_cluster_name', pattern: new RegExp(`^cluster\\.((.+?)\\.)(?:${kClusterStats})`) },
]

/**
 * Takes a stat's variable parts out of its name: those that its maker named, else those that
 * Envoy's rules find.
 */
export function taggedName(stat: Pick<NativeStat, 'name' | 'tags'>): TaggedName {
  return stat.tags.length > 0 ? byTags(stat.name, stat.tags) : byRules(stat.name)
}

function byTags(flat: string, tags: readonly string[]): TaggedName {
  let name = flat
  const labels: [string, string][] = []
  for (let i = 0; i + 1 < tags.length; i += 2) {
    const value = tags[i + 1] as string
    labels.push([label(tags[i] as string), value])
    name = removeSegment(name, value)
  }
  const rest = byRules(name, 3)
  return { name: rest.name, labels: [...labels, ...rest.labels] }
}

function byRules(flat: string, count: number = kRules.length): TaggedName {
  let name = flat
  const labels: [string, string][] = []
  for (const rule of kRules.slice(0, count)) {
    const match = rule.pattern.exec(name)
    const removed = match?.[1]
    if (!match || removed === undefined) continue
    labels.push([rule.label, match[2] as string])
    const at = match.index + match[0].indexOf(removed)
    name = name.slice(0, at) + name.slice(at + removed.length)
    if (rule.label === 'envoy_response_code_class') name = name.replace(/xx$/, '_xx')
  }
  return { name, labels }
}

/**
 * Removes `value` where it stands as a whole dotted segment (or several), after the first segment.
 */
function removeSegment(name: string, value: string): string {
  const written = value.replaceAll(':', '_')
  for (const candidate of [value, written]) {
    const at = name.indexOf(`.${candidate}.`)
    if (at > 0) return name.slice(0, at) + name.slice(at + candidate.length + 1)
  }
  return name
}

/**
 * `envoy.cluster_name` → `envoy_cluster_name`; every other character that labels may not have
 * becomes `_`.
 */
function label(tag: string): string {
  return tag.replace(/[^a-zA-Z0-9_]/g, '_')
}
