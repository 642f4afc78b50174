import { describe, expect, it } from 'vitest'
import { examine, type Finding, type Machine } from '../../../src/cli/examine.ts'
import type { NativeBinary } from '../../../src/native/index.ts'

const kLimits = (n: number | string): string =>
  `Limit                     Soft Limit           Hard Limit           Units     \nMax open files            ${n}                ${n}                files     \n`
const kFine = {
  '/proc/self/limits': kLimits(65536),
  '/proc/self/status': 'Cpus_allowed_list:\t0-3\n',
  '/proc/self/cgroup': '0::/\n',
  '/proc/sys/net/core/somaxconn': '4096\n',
  '/proc/sys/net/ipv4/ip_local_port_range': '15000\t65000\n',
  '/proc/sys/net/ipv4/tcp_migrate_req': '1\n',
  '/proc/sys/net/ipv4/tcp_abort_on_overflow': '0\n',
}

function machine(files: Record<string, string> = {}, other: Partial<Machine> = {}): Machine {
  const all: Record<string, string> = { ...kFine, ...files }
  const binary = { path: '/app/node_modules/millrace/prebuilds/linux-x64/millrace.glibc.node' }
  return {
    platform: 'linux',
    arch: 'x64',
    node: '20.19.0',
    cpus: 4,
    cpuModel: 'A CPU',
    release: '6.1.0',
    libc: 'glibc 2.36',
    read: (path) => all[path],
    binary: () =>
      ({
        ...binary,
        module: { version: '1.2.3', cpuFeatures: ['avx2'] },
      }) as unknown as NativeBinary,
    listenWith: () => {},
    ...other,
  }
}

const find = (findings: readonly Finding[], name: string): Finding | undefined =>
  findings.find((finding) => finding.name === name)

describe('a machine that gives enough', () => {
  it('has nothing to change', () => {
    expect(examine(machine()).filter(({ level }) => level !== 'ok')).toEqual([])
  })
  it('is described', () => {
    const findings = examine(machine())
    expect(find(findings, 'binary')?.found).toMatch(/^1\.2\.3, published: .*glibc\.node$/)
    expect(find(findings, 'cpu')?.values).toEqual({ model: 'A CPU', features: ['avx2'] })
    expect(find(findings, 'descriptors')?.values).toEqual({ soft: '65536', hard: '65536' })
    expect(find(findings, 'concurrency')?.values).toMatchObject({ workers: 4, quota: null })
    expect(find(findings, 'reuse-port')?.values).toEqual({ workers: 4, perWorker: true })
    expect(find(findings, 'system')?.found).toContain('glibc 2.36')
  })
  it('may be one without /proc', () => {
    const mac = machine({}, { platform: 'darwin', read: () => undefined, libc: '' })
    const findings = examine(mac)
    expect(findings.every(({ level }) => level === 'ok')).toBe(true)
    expect(find(findings, 'descriptors')).toBeUndefined()
    expect(find(findings, 'reuse-port')?.found).toContain('hands connections over')
  })
})

describe('what is wrong', () => {
  it('is a binary that is missing, with the command that helps', () => {
    const binary = (): never => {
      throw new Error(
        'no native core for linux-x64:\n  - none was found\n  npx millrace build-native',
      )
    }
    const findings = examine(machine({}, { binary }))
    expect(find(findings, 'binary')).toEqual({
      name: 'binary',
      level: 'wrong',
      found: 'no native core for linux-x64:',
      change: '- none was found npx millrace build-native',
    })
    expect(find(findings, 'reuse-port')).toBeUndefined()
  })
  it('is a system that does not let workers listen', () => {
    const listenWith = (): never => {
      throw new Error('SO_REUSEPORT: EPERM')
    }
    const finding = find(examine(machine({}, { listenWith })), 'reuse-port')
    expect(finding?.level).toBe('wrong')
    expect(finding?.found).toContain('SO_REUSEPORT: EPERM')
  })
})

describe('advice', () => {
  const quota = (max: string, stat = ''): Record<string, string> => ({
    '/sys/fs/cgroup/cpu.max': max,
    '/sys/fs/cgroup/cpu.stat': stat,
  })
  it.each<[string, string, Record<string, string>, RegExp]>([
    ['descriptors', 'few', { '/proc/self/limits': kLimits(1024) }, /ulimit -Hn 65536/],
    ['concurrency', 'a broken quota', quota('150000 100000\n'), /2 workers share 1\.5/],
    [
      'concurrency',
      'throttling',
      quota('200000 100000\n', 'nr_periods 100\nnr_throttled 40\n'),
      /cpu\.max/,
    ],
    ['backlog', 'a short one', { '/proc/sys/net/core/somaxconn': '128\n' }, /somaxconn=4096/],
    ['ports', 'few', { '/proc/sys/net/ipv4/ip_local_port_range': '50000 60999\n' }, /15000 65000/],
    ['overflow', 'reset clients', { '/proc/sys/net/ipv4/tcp_abort_on_overflow': '1\n' }, /=0/],
    [
      'conntrack',
      'a full table',
      {
        '/proc/sys/net/netfilter/nf_conntrack_max': '1000\n',
        '/proc/sys/net/netfilter/nf_conntrack_count': '900\n',
      },
      /nf_conntrack_max=4000/,
    ],
  ])('%s: %s', (name, _, files, change) => {
    const finding = find(examine(machine(files)), name)
    expect(finding?.level).toBe('advice')
    expect(finding?.change).toMatch(change)
  })
  it('is none for what is enough', () => {
    const files = {
      ...quota('200000 100000\n', 'nr_periods 100\nnr_throttled 1\n'),
      '/proc/self/limits': kLimits('unlimited'),
      '/proc/sys/net/netfilter/nf_conntrack_max': '1000\n',
      '/proc/sys/net/netfilter/nf_conntrack_count': '10\n',
    }
    expect(examine(machine(files)).filter(({ level }) => level !== 'ok')).toEqual([])
    const concurrency = find(examine(machine(files)), 'concurrency')
    expect(concurrency?.values).toMatchObject({ workers: 2, quota: 2, throttled: 0.01 })
  })
})
