// Readings from /proc: what a tree of processes has used, and what the rest of the machine did
// meanwhile.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const TICKS_PER_SECOND = 100 // the kernel's USER_HZ, the same on every Linux that we know

const text = (path) => readFileSync(path, 'utf8')

/** The result of reading something of a process, or a stand-in when the process has ended. */
function ofProcess(read, otherwise) {
  try {
    return read()
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return otherwise
    throw error
  }
}

const threadsOf = (pid) => ofProcess(() => readdirSync(`/proc/${pid}/task`), [])

/** A process and all its descendants. */
export function tree(pid) {
  const found = []
  for (const todo = [pid]; todo.length > 0; ) {
    const next = todo.pop()
    const threads = threadsOf(next)
    if (threads.length > 0) found.push(next)
    for (const thread of threads) {
      const children = ofProcess(() => text(`/proc/${next}/task/${thread}/children`), '')
      todo.push(...children.split(' ').filter(Boolean).map(Number))
    }
  }
  return found
}

/**
 * CPU time of all threads of a tree so far, in ns: user and kernel, without what the host took
 * away.
 */
export function cpuNs(pid) {
  let total = 0
  for (const process of tree(pid)) {
    for (const thread of threadsOf(process)) {
      const line = ofProcess(() => text(`/proc/${process}/task/${thread}/schedstat`), '0')
      total += Number(line.split(' ')[0])
    }
  }
  return total
}

/** User and kernel time of a tree in clock ticks: sampled, good only for their proportion. */
export function ticks(pid) {
  const sum = { user: 0, kernel: 0 }
  for (const process of tree(pid)) {
    const stat = ofProcess(() => text(`/proc/${process}/stat`), undefined)
    if (stat === undefined) continue
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    sum.user += Number(fields[11])
    sum.kernel += Number(fields[12])
  }
  return sum
}

/**
 * Memory of a tree in bytes: resident, and its proportional share (pages in common are counted
 * once).
 */
export function memory(pid) {
  const sum = { rss: 0, pss: 0 }
  for (const process of tree(pid)) {
    const rollup = ofProcess(() => text(`/proc/${process}/smaps_rollup`), '')
    for (const [, key, kib] of rollup.matchAll(/^(Rss|Pss):\s+(\d+) kB$/gm)) {
      sum[key.toLowerCase()] += Number(kib) * 1024
    }
  }
  return sum
}

/**
 * Seconds of CPU that everything together has used, idle-priority work aside, and that the host
 * took.
 */
export function machine() {
  const [line] = text('/proc/stat').split('\n')
  const [user, , system, , , irq, softirq, steal] = line.trim().split(/\s+/).slice(1).map(Number)
  return {
    busy: (user + system + irq + softirq) / TICKS_PER_SECOND,
    steal: steal / TICKS_PER_SECOND,
    time: performance.now() / 1000,
  }
}

/** Waits, for a bounded time, until others use little of the machine. */
export async function quiet(limit, patienceSeconds) {
  const until = performance.now() + patienceSeconds * 1000
  for (;;) {
    const before = machine()
    await sleep(300)
    const after = machine()
    const used = after.busy - before.busy + after.steal - before.steal
    if (used / (after.time - before.time) < limit || performance.now() > until) return
  }
}

export function describe() {
  const cpu = /model name\s*:\s*(.*)/.exec(text('/proc/cpuinfo'))?.[1] ?? process.arch
  const count = (text('/proc/cpuinfo').match(/^processor/gm) ?? []).length
  const os = /PRETTY_NAME="(.*)"/.exec(text('/etc/os-release'))?.[1] ?? process.platform
  return {
    cpu,
    cpus: count,
    os,
    kernel: text('/proc/sys/kernel/osrelease').trim(),
    node: process.version,
  }
}
