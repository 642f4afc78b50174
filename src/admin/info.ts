// Endpoints that tell: /ready /server_info /listeners /runtime

import { addressMessage } from './address.ts'
import { type Endpoint, json, text } from './endpoint.ts'
import type { AdminTarget } from './target.ts'

function serverInfo(target: AdminTarget): object {
  const uptime = `${Math.floor((Date.now() - target.startedAt) / 1000)}s`
  const { id, cluster } = target.node()
  return {
    version: `millrace/${target.version}`,
    state: target.state(),
    hot_restart_version: 'disabled',
    command_line_options: target.commandLine,
    uptime_current_epoch: uptime,
    uptime_all_epochs: uptime,
    node: { ...(id ? { id } : {}), ...(cluster ? { cluster } : {}) },
  }
}

function listenersText(target: AdminTarget): string {
  return target
    .listeners()
    .flatMap(({ name, addresses }) => addresses.map((address) => `${name}::${address}\n`))
    .join('')
}

function listenersJson(target: AdminTarget): object {
  const statuses = target.listeners().map(({ name, addresses }) => {
    const [first, ...more] = addresses.map(addressMessage)
    return {
      name,
      ...(first ? { local_address: first } : {}),
      ...(more.length > 0 ? { additional_local_addresses: more } : {}),
    }
  })
  return { listener_statuses: statuses }
}

export const infoEndpoints: readonly Endpoint[] = [
  {
    path: '/ready',
    method: 'GET',
    help: 'LIVE with status 200, or another state with 503',
    parameters: {},
    handle: (target) => {
      const state = target.state()
      return text(`${state}\n`, state === 'LIVE' ? 200 : 503)
    },
  },
  {
    path: '/server_info',
    method: 'GET',
    help: 'version, state, uptime and options',
    parameters: {},
    handle: (target) => json(serverInfo(target)),
  },
  {
    path: '/listeners',
    method: 'GET',
    help: 'listeners and their addresses',
    parameters: { format: 'text or json' },
    handle: (target, query) => {
      const format = query.get('format') ?? 'text'
      if (format === 'text') return text(listenersText(target))
      if (format === 'json') return json(listenersJson(target))
      return text(`unknown format "${format}"; there are: text, json\n`, 400)
    },
  },
  {
    path: '/runtime',
    method: 'GET',
    help: 'runtime flags: layers, and the value in force',
    parameters: {},
    handle: (target) => json(target.runtime()),
  },
]
