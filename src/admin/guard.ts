// Who may speak to the admin interface: not a web page of somebody else, and not through a name
// that somebody else can point at this machine.

import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'

/** Why the request is refused (for a 403), or undefined when it may pass. */
export function refusal(headers: IncomingHttpHeaders, onLoopback: boolean): string | undefined {
  const host = headers.host ?? ''
  const byBrowser = headers.origin !== undefined || headers['sec-fetch-site'] !== undefined
  // DNS rebinding: a page at evil.example whose name suddenly means 127.0.0.1 is "same origin", but
  // its Host tells. Programs may reach an interface that was opened to the network by whatever name
  // it has there.
  if ((onLoopback || byBrowser) && !ownName(host)) {
    return `Host "${host}" is not this interface: use an IP address or localhost`
  }
  if (headers.origin !== undefined && headers.origin !== `http://${host}`) {
    return `Origin "${headers.origin}" is not this interface`
  }
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    return 'requests from other sites are refused'
  }
  return undefined
}

/** An IP address, or a name that cannot mean another machine. */
function ownName(host: string): boolean {
  const name = host.replace(/:\d*$/, '').toLowerCase()
  if (name.startsWith('[')) return isIP(name.slice(1, -1)) === 6
  return isIP(name) === 4 || name === 'localhost' || name.endsWith('.localhost')
}

export function isLoopback(ip: string): boolean {
  return ip === '::1' || /^127\./.test(ip) || /^::ffff:127\./i.test(ip)
}
