// Connections that the system's packet filter redirected (iptables REDIRECT), in a network
// namespace of their own.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from './support/files.ts'

const kProxyPort = 18_888

describe('the listener filter original_dst', () => {
  it('gives redirected connections the address that their clients meant', () => {
    const redirect = [19_001, 19_002].map(
      (port) =>
        `iptables -t nat -A OUTPUT -p tcp --dport ${port} -j REDIRECT --to-ports ${kProxyPort}`,
    )
    const script = ['set -e', 'ip link set lo up', ...redirect, 'exec "$@"'].join('\n')
    const program = join(import.meta.dirname, 'support/redirected.mjs')
    const log = join(temporaryFolder(), 'access.log')
    const args = [process.execPath, program, log, kProxyPort, 19_001, 19_002].map(String)
    const answer = execFileSync('unshare', ['-rn', 'sh', '-c', script, 'sh', ...args], {
      encoding: 'utf8',
      timeout: 30_000,
    })
    expect(JSON.parse(answer)).toEqual({
      heard: ['meant', 'others', 'others'],
      logged: ['127.0.0.1:19001', '127.0.0.1:19002', `127.0.0.1:${kProxyPort}`],
    })
  })
})
