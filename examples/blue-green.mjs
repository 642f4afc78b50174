// Moves a cluster from one set of endpoints to another one, and sends a part of the requests to a
// new version by a flag. Open connections and everything else stay.
//
// Prints:
//   blue blue blue blue
//   green green green green
//   canary at 0 %: 0 of 100, at 100 %: 100 of 100
//   requests by then: 208

import { once } from 'node:events'
import { createServer } from 'node:http'
import { createProxy } from 'millrace'

async function service(text) {
  const server = createServer((_, response) => response.end(text))
  server.listen(0, '127.0.0.1').unref()
  await once(server, 'listening')
  return server.address().port
}
const [blue, green, canary] = await Promise.all(['blue', 'green', 'canary'].map(service))

const type = (name) => `type.googleapis.com/envoy.extensions.filters.${name}`
const address = (port) => ({ socket_address: { address: '127.0.0.1', port_value: port } })
const cluster = (name, port) => ({
  name,
  type: 'STATIC',
  load_assignment: {
    cluster_name: name,
    endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
  },
})
const flag = { runtime_key: 'canary', default_value: { numerator: 0 } }

const proxy = await createProxy({
  static_resources: {
    listeners: [
      {
        name: 'main',
        address: address(0),
        filter_chains: [
          {
            filters: [
              {
                name: 'http',
                typed_config: {
                  '@type': type('network.http_connection_manager.v3.HttpConnectionManager'),
                  stat_prefix: 'main',
                  route_config: {
                    virtual_hosts: [
                      {
                        name: 'all',
                        domains: ['*'],
                        routes: [
                          {
                            match: { prefix: '/', runtime_fraction: flag },
                            route: { cluster: 'canary' },
                          },
                          { match: { prefix: '/' }, route: { cluster: 'app' } },
                        ],
                      },
                    ],
                  },
                  http_filters: [
                    { name: 'router', typed_config: { '@type': type('http.router.v3.Router') } },
                  ],
                },
              },
            ],
          },
        ],
      },
    ],
    clusters: [cluster('app', blue), cluster('canary', canary)],
  },
})
const url = `http://${proxy.addresses[0].text}/`
const ask = async (times) => {
  const answers = []
  for (let i = 0; i < times; i++) answers.push(await (await fetch(url)).text())
  return answers
}
const canaries = async () => (await ask(100)).filter((text) => text === 'canary').length
const stats = proxy.stats({ interval: 1 })

console.log(...(await ask(4)))
await proxy.cluster('app').setEndpoints([{ address: green, weight: 1 }])
console.log(...(await ask(4)))

const none = await canaries()
await proxy.runtime.set('canary', 100)
console.log(`canary at 0 %: ${none} of 100, at 100 %: ${await canaries()} of 100`)

const { value: sample } = await stats.next()
console.log('requests by then:', sample.get('http.main.downstream_rq_completed').value)
await proxy.close()
