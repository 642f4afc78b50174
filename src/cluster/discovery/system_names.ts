// What the system itself says of names: /etc/hosts, and the search list of /etc/resolv.conf. Node's
// resolver asks servers alone.

import { readFileSync, statSync } from 'node:fs'
import { isIP, isIPv4 } from 'node:net'

interface Cached<T> {
  readonly stamp: string
  readonly value: T
}

/** Reads a file again when it changed; a file that is not there is empty. */
function cachedReader<T>(path: string, parse: (text: string) => T): () => T {
  let cached: Cached<T> | undefined
  return () => {
    let stamp = ''
    try {
      const { mtimeMs, ino, size } = statSync(path)
      stamp = `${mtimeMs} ${ino} ${size}`
      if (cached?.stamp !== stamp) cached = { stamp, value: parse(readFileSync(path, 'utf8')) }
    } catch {
      if (cached?.stamp !== '') cached = { stamp: '', value: parse('') }
    }
    return cached.value
  }
}

const linesOf = (text: string): string[][] =>
  text.split('\n').map((line) =>
    line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/),
  )

/** Addresses by lower-case name, in the order of the file. */
function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>()
  for (const [address = '', ...rest] of linesOf(text)) {
    if (isIP(address) === 0) continue
    for (const name of rest) {
      const key = name.toLowerCase()
      const known = names.get(key)
      if (known) known.push(address)
      else names.set(key, [address])
    }
  }
  return names
}

interface ResolvConf {
  readonly search: readonly string[]
  readonly ndots: number
  readonly servers: number
}

function parseResolvConf(text: string): ResolvConf {
  let search: string[] = []
  let ndots = 1
  let servers = 0
  for (const [keyword, ...values] of linesOf(text)) {
    if (keyword === 'nameserver') servers++
    else if (keyword === 'search' || keyword === 'domain') search = values
    else if (keyword === 'options') {
      for (const option of values) {
        const dots = /^ndots:(\d+)$/.exec(option)
        if (dots) ndots = Math.min(15, Number(dots[1]))
      }
    }
  }
  return { search, ndots, servers }
}

export class SystemNames {
  readonly #hosts: () => ReadonlyMap<string, readonly string[]>
  readonly #conf: () => ResolvConf

  constructor(hosts = '/etc/hosts', resolvConf = '/etc/resolv.conf') {
    this.#hosts = cachedReader(hosts, parseHosts)
    this.#conf = cachedReader(resolvConf, parseResolvConf)
  }

  /** Addresses that this machine gives a name by itself; empty: it must be asked for. */
  addresses(name: string, family: 4 | 6): readonly string[] {
    const key = name.toLowerCase().replace(/\.$/, '')
    const found = this.#hosts().get(key)
    if (found) return found.filter((address) => isIPv4(address) === (family === 4))
    if (key !== 'localhost' && !key.endsWith('.localhost')) return []
    return [family === 4 ? '127.0.0.1' : '::1'] // RFC 6761, section 6.3
  }

  /** Whether the name stands in the hosts file, or is this machine's. */
  knows(name: string): boolean {
    return this.addresses(name, 4).length > 0 || this.addresses(name, 6).length > 0
  }

  /** The names to ask for, one after the other, until one of them has addresses. */
  candidates(name: string, search: boolean): readonly string[] {
    if (name.endsWith('.')) return [name.slice(0, -1)]
    const { search: domains, ndots } = this.#conf()
    if (!search || domains.length === 0) return [name]
    const longer = domains.map((domain) => `${name}.${domain.replace(/\.$/, '')}`)
    const dots = name.split('.').length - 1
    return dots >= ndots ? [name, ...longer] : [...longer, name]
  }

  hasServers(): boolean {
    return this.#conf().servers > 0
  }
}
