// What original_dst.test.ts runs in a network of its own, where the system's packet filter sends
// connections to some ports to the proxy: clusters of type ORIGINAL_DST, for HTTP and for TCP. The
// HTTP side is the configuration in the file that is the first argument. Says as JSON what clients
// heard, and what the proxy knows.
import { readFileSync } from 'node:fs'
import { createServer as createHttp, request } from 'node:http'
import { connect, createServer } from 'node:net'
import { parse } from 'yaml'
import { createProxy } from '../../../dist/index.js'

const [file, httpPort, tcpPort, ...ports] = process.argv.slice(2)
const [webA, webB, raw] = ports.map(Number)
const kFilters = 'type.googleapis.com/envoy.extensions.filters'

async function listen(server, port) {
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
  server.unref()
}

function get(port, path = '/') {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path })
    asked.on('error', reject).on('response', async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve(`${response.statusCode} ${text}`)
    })
    asked.end()
  })
}

async function hear(port) {
  let text = ''
  for await (const chunk of connect(port, '127.0.0.1')) text += chunk
  return text
}

const address = (port) => ({ socket_address: { address: '127.0.0.1', port_value: Number(port) } })
const originalDst = {
  name: 'envoy.filters.listener.original_dst',
  typed_config: { '@type': `${kFilters}.listener.original_dst.v3.OriginalDst` },
}
const tcp = {
  name: 'tcp',
  address: address(tcpPort),
  listener_filters: [originalDst],
  filter_chains: [
    {
      filters: [
        {
          name: 'envoy.filters.network.tcp_proxy',
          typed_config: {
            '@type': `${kFilters}.network.tcp_proxy.v3.TcpProxy`,
            stat_prefix: 'tcp',
            cluster: 'anywhere',
          },
        },
      ],
    },
  ],
}
const anywhere = {
  name: 'anywhere',
  type: 'ORIGINAL_DST',
  lb_policy: 'CLUSTER_PROVIDED',
  cleanup_interval: '0.1s',
}

// The origins first: the packet filter takes only what goes out to their ports.
for (const port of [webA, webB]) {
  await listen(
    createHttp((_, response) => response.end(`web ${port}`)),
    port,
  )
}
await listen(
  createServer((socket) => socket.end(`raw ${raw}`)),
  raw,
)

// The proxy's own connections have a mark (SO_MARK), by which the packet filter lets them through.
const config = parse(readFileSync(file, 'utf8'))
const [http] = config.static_resources.listeners
http.address.socket_address.port_value = Number(httpPort)
const mark = {
  source_address: { address: '127.0.0.1', port_value: 0 },
  socket_options: [{ level: 1, name: 36, int_value: 7, state: 'STATE_PREBIND' }],
}
for (const cluster of [...config.static_resources.clusters, anywhere]) {
  cluster.upstream_bind_config = mark
}
config.static_resources.listeners.push(tcp)
config.static_resources.clusters.push(anywhere)
delete config.admin
const proxy = await createProxy(config)

const hosts = (name) => proxy.cluster(name).endpoints.map(({ address: at }) => at)
const heard = []
for (const port of [webA, webB, webA]) heard.push(await get(port))
heard.push(await hear(raw))
const known = [hosts('cluster1').sort(), hosts('anywhere')]
// Straight to the proxy: nobody meant anything, and it does not connect to itself.
heard.push(await get(Number(httpPort)))
heard.push(await hear(Number(tcpPort)))
// Unused hosts go.
for (let i = 0; hosts('anywhere').length > 0 && i < 300; i++) {
  await new Promise((resolve) => setTimeout(resolve, 50))
}
const left = hosts('anywhere')
heard.push(await hear(raw))
await proxy.close()
process.stdout.write(JSON.stringify({ heard, known, left }))
process.exit(0)
