// How many workers to start: one for each CPU that this process may use. A container's quota
// counts, because more threads than it pays for only make each other wait.

import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { posix } from 'node:path'

/** The text of a file, or undefined when it cannot be read. */
export type ReadText = (path: string) => string | undefined

export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined // not Linux, no such controller, or not ours to read: then it limits nothing
  }
}

/** min(CPUs in the affinity mask, cgroup quota rounded up), at least 1. */
export function defaultConcurrency(
  read: ReadText = readText,
  online: number = availableParallelism(),
): number {
  const cpus = affinity(read) ?? online
  return Math.max(1, Math.min(cpus, Math.ceil(cgroupQuota(read) ?? cpus)))
}

/** The number of CPUs that this process may run on, where the system tells. */
export function affinity(read: ReadText): number | undefined {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(read('/proc/self/status') ?? '')?.[1]
  if (list === undefined) return undefined
  return list.split(',').reduce((sum, range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return sum + last - first + 1
  }, 0)
}

const kCgroupRoot = '/sys/fs/cgroup'

/**
 * CPUs that the quotas of this process's control groups pay for (v2, else v1); undefined: no quota.
 */
export function cgroupQuota(read: ReadText): number | undefined {
  return least(
    cpuGroups(read).map(({ v2, folder }) => (v2 ? quotaV2(read, folder) : quotaV1(read, folder))),
  )
}

/** The share of periods (0 to 1) in which a quota made this process wait; undefined: no quota. */
export function cgroupThrottled(read: ReadText): number | undefined {
  const shares = cpuGroups(read).map(({ folder }) => {
    const stat = read(`${folder}/cpu.stat`) ?? ''
    const count = (name: string): number =>
      Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1])
    const share = count('nr_throttled') / count('nr_periods')
    return Number.isFinite(share) ? -share : undefined
  })
  const most = least(shares)
  return most === undefined ? undefined : -most
}

function least(numbers: readonly (number | undefined)[]): number | undefined {
  const known = numbers.filter((n) => n !== undefined)
  return known.length > 0 ? Math.min(...known) : undefined
}

/** The folders of the control groups that may set a quota of CPU time for this process. */
function cpuGroups(read: ReadText): { readonly v2: boolean; readonly folder: string }[] {
  return (read('/proc/self/cgroup') ?? '').split('\n').flatMap((line) => {
    const [hierarchy, controllers = '', path = ''] = line.split(':')
    const v2 = hierarchy === '0' && controllers === ''
    if (!v2 && !controllers.split(',').includes('cpu')) return []
    const mount = v2 ? kCgroupRoot : `${kCgroupRoot}/${controllers}`
    return upwards(path).map((folder) => ({ v2, folder: mount + folder }))
  })
}

/** A group and those it is in, up to the root: each may set a quota. */
function upwards(path: string): string[] {
  const folders: string[] = []
  for (let at = posix.normalize(path); at !== '/' && at !== '.'; at = posix.dirname(at))
    folders.push(at)
  return [...folders, '']
}

function quotaV2(read: ReadText, folder: string): number | undefined {
  const [quota, period] = (read(`${folder}/cpu.max`) ?? '').trim().split(' ').map(Number)
  return ratio(quota, period)
}

function quotaV1(read: ReadText, folder: string): number | undefined {
  const quota = read(`${folder}/cpu.cfs_quota_us`)
  return ratio(Number(quota ?? Number.NaN), Number(read(`${folder}/cpu.cfs_period_us`)))
}

/** undefined where there is no quota: `max` in v2, -1 in v1. */
function ratio(quota: number | undefined, period: number | undefined): number | undefined {
  return quota !== undefined && quota > 0 && period !== undefined && period > 0
    ? quota / period
    : undefined
}
