// What original_dst.test.ts runs in a network of its own, where the system's packet filter sends
// connections to other ports to the proxy: one TCP proxy for a port that is meant, one for others.
// Says as JSON what clients heard, and what the proxy logged.
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { createProxy } from '../../../dist/index.js'

const [log, proxyPort, ...ports] = process.argv.slice(2)

function service(text) {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.end(text)).listen(0, '127.0.0.1', () => {
      server.unref()
      resolve(server.address().port)
    })
  })
}

async function hear(port) {
  let text = ''
  for await (const chunk of connect(Number(port), '127.0.0.1')) text += chunk
  return text
}

const cluster = (name, port) => ({
  name,
  load_assignment: {
    cluster_name: name,
    endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
  },
})
const address = (port) => ({ socket_address: { address: '127.0.0.1', port_value: Number(port) } })
const chain = (name, match) => ({
  ...(match && { filter_chain_match: match }),
  filters: [
    {
      name: 'envoy.filters.network.tcp_proxy',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
        stat_prefix: name,
        cluster: name,
        access_log: [
          {
            name: 'envoy.access_loggers.file',
            typed_config: {
              '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
              path: log,
              log_format: {
                text_format_source: { inline_string: '%DOWNSTREAM_LOCAL_ADDRESS%\n' },
              },
            },
          },
        ],
      },
    },
  ],
})

const proxy = await createProxy({
  static_resources: {
    listeners: [
      {
        name: 'redirected',
        address: address(proxyPort),
        listener_filters: [
          {
            name: 'envoy.filters.listener.original_dst',
            typed_config: {
              '@type':
                'type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst',
            },
          },
        ],
        filter_chains: [chain('meant', { destination_port: Number(ports[0]) }), chain('others')],
      },
    ],
    clusters: [
      cluster('meant', await service('meant')),
      cluster('others', await service('others')),
    ],
  },
})
const heard = []
for (const port of [...ports, proxyPort]) heard.push(await hear(port))
await proxy.close()
const logged = readFileSync(log, 'utf8').trim().split('\n')
process.stdout.write(JSON.stringify({ heard, logged }))
