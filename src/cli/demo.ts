// The demonstration: a small service on a thread of its own, so that it answers however busy the
// main thread is, and a configuration that puts the proxy before it.

import { once } from 'node:events'
import { createServer } from 'node:net'
import { Worker } from 'node:worker_threads'

const kPort = 8080
const kAdminPort = 9901

export interface Demo {
  /** `http://127.0.0.1:…` of the service. */
  readonly origin: string
  /**
   * Where the proxy and its admin interface should listen; another port where the usual one is
   * taken.
   */
  readonly listen: string
  readonly adminPort: number
  close(): Promise<void>
}

export async function startDemo(): Promise<Demo> {
  const worker = new Worker(new URL('./demo_service.js', import.meta.url))
  const [[port], free, freeAdmin] = await Promise.all([
    once(worker, 'message'),
    isFree(kPort),
    isFree(kAdminPort),
  ])
  return {
    origin: `http://127.0.0.1:${port}`,
    listen: `127.0.0.1:${free ? kPort : 0}`,
    adminPort: freeAdmin ? kAdminPort : 0,
    close: async () => {
      await worker.terminate()
    },
  }
}

/** Whether nothing listens on a port of loopback. Shared listening does not count as free. */
async function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  const listening = await new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => resolve(true))
  })
  if (listening) await new Promise((resolve) => probe.close(resolve))
  return listening
}
