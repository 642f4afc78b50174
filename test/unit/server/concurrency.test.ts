import { describe, expect, it } from 'vitest'
import { affinity, cgroupQuota, defaultConcurrency } from '../../../src/server/concurrency.ts'

type Files = Record<string, string>
const reader = (files: Files) => (path: string) => files[path]

describe('affinity', () => {
  it.each([
    ['0', 1],
    ['0-7', 8],
    ['0-1,4,6-7', 5],
  ])('%s', (list, count) => {
    const status = `Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t${list}\n`
    expect(affinity(reader({ '/proc/self/status': status }))).toBe(count)
  })
  it('is unknown where the system does not tell', () => {
    expect(affinity(reader({}))).toBeUndefined()
  })
})

describe('quota of control groups', () => {
  const v2 = { '/proc/self/cgroup': '0::/pod/app\n' }
  it('is the lowest on the way up (v2)', () => {
    const files = {
      ...v2,
      '/sys/fs/cgroup/pod/app/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/pod/cpu.max': '150000 100000\n',
      '/sys/fs/cgroup/cpu.max': '400000 100000\n',
    }
    expect(cgroupQuota(reader(files))).toBe(1.5)
  })
  it('is none when every level says max', () => {
    const files = { ...v2, '/sys/fs/cgroup/pod/app/cpu.max': 'max 100000\n' }
    expect(cgroupQuota(reader(files))).toBeUndefined()
  })
  it('is read from the root of a namespace (v2)', () => {
    const files = { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '50000 100000\n' }
    expect(cgroupQuota(reader(files))).toBe(0.5)
  })
  it('is read from the cpu controller (v1), also when the path is the one of the host', () => {
    const files = {
      '/proc/self/cgroup': '5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '250000\n',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
    }
    expect(cgroupQuota(reader(files))).toBe(2.5)
  })
  it('is none for -1 (v1)', () => {
    const files = {
      '/proc/self/cgroup': '4:cpu:/\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    }
    expect(cgroupQuota(reader(files))).toBeUndefined()
  })
})

describe('the default number of workers', () => {
  const files = (quota: string): Files => ({
    '/proc/self/status': 'Cpus_allowed_list:\t0-3\n',
    '/proc/self/cgroup': '0::/\n',
    '/sys/fs/cgroup/cpu.max': `${quota} 100000\n`,
  })
  it.each([
    ['max', 4],
    ['800000', 4],
    ['150000', 2],
    ['10000', 1],
  ])('4 CPUs and a quota of %s: %i', (quota, workers) => {
    expect(defaultConcurrency(reader(files(quota)))).toBe(workers)
  })
  it('is at least 1 on the machine at hand', () => {
    expect(defaultConcurrency()).toBeGreaterThanOrEqual(1)
  })
})
