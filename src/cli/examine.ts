// What a machine gives the proxy, and what to change about it: the findings of millrace doctor.
// Everything is read through Machine, so that a test can describe any machine.

import type { NativeBinary } from '../native/index.ts'
import {
  affinity,
  cgroupQuota,
  cgroupThrottled,
  defaultConcurrency,
  type ReadText,
} from '../server/concurrency.ts'

/**
 * `ok`: nothing to do. `advice`: it runs, but something costs throughput or fails under load.
 * `wrong`: the proxy cannot run like this.
 */
export type Level = 'ok' | 'advice' | 'wrong'

export interface Finding {
  /** Stable and meant for programs, e.g. `descriptors`. */
  readonly name: string
  readonly level: Level
  /** What was found, for people. */
  readonly found: string
  /** What was found, for programs. */
  readonly values?: Readonly<Record<string, string | number | boolean | null | readonly string[]>>
  /** What to change. */
  readonly change?: string
}

export interface Machine {
  readonly platform: string
  readonly arch: string
  readonly node: string
  /** Of CPUs that the system has online, whoever may use them. */
  readonly cpus: number
  readonly cpuModel: string
  /** `6.1.0-18-amd64` */
  readonly release: string
  /** `glibc 2.36`, `musl`, or empty where there is no choice. */
  readonly libc: string
  readonly read: ReadText
  /** Loads the addon, or throws what the loader says. */
  binary(): NativeBinary
  /** Listens with as many workers on loopback, and stops. Throws what the system says. */
  listenWith(workers: number): void
}

const kDescriptorsEnough = 10_000
const kPortsEnough = 20_000
const kBacklogEnough = 1024
const kConntrackFull = 0.8
const kThrottledOften = 0.05

export function examine(machine: Machine): Finding[] {
  const binary = loadBinary(machine)
  const findings = [
    binary.finding,
    runtime(machine),
    cpu(machine, binary.loaded),
    quota(machine),
    descriptors(machine),
    ...(binary.loaded ? [reusePort(machine)] : []),
    ...(machine.platform === 'linux' ? kernel(machine) : []),
  ]
  return findings.filter((finding) => finding !== undefined)
}

function loadBinary(machine: Machine): { finding: Finding; loaded?: NativeBinary } {
  const name = 'binary'
  try {
    const loaded = machine.binary()
    const { path, module } = loaded
    const kind = binaryKind(path)
    return {
      loaded,
      finding: {
        name,
        level: 'ok',
        found: `${module.version}, ${kind}: ${path}`,
        values: { path, version: module.version, kind },
      },
    }
  } catch (error) {
    const [found = '', ...rest] = (error instanceof Error ? error.message : String(error)).split(
      '\n',
    )
    const change = rest.map((line) => line.trim()).join(' ')
    return { finding: { name, level: 'wrong', found, ...(change ? { change } : {}) } }
  }
}

function binaryKind(path: string): string {
  if (path.includes('from_source')) return 'built on this machine'
  return /[\\/]prebuilds[\\/]/.test(path) ? 'published' : 'built in a clone'
}

function runtime({ platform, arch, node, release, libc }: Machine): Finding {
  const found = [`Node ${node} on ${platform}-${arch}, kernel ${release}`, libc].filter(Boolean)
  return {
    name: 'system',
    level: 'ok',
    found: found.join(', '),
    values: { platform, arch, node, release, libc },
  }
}

function cpu({ arch, cpuModel }: Machine, loaded: NativeBinary | undefined): Finding {
  const features = loaded?.module.cpuFeatures ?? []
  const slow = loaded !== undefined && arch === 'x64' && !features.includes('avx2')
  return {
    name: 'cpu',
    level: 'ok',
    found: [
      cpuModel,
      features.join(' '),
      slow ? 'without AVX2 long headers are scanned with SSE2' : '',
    ]
      .filter(Boolean)
      .join('; '),
    values: { model: cpuModel, features },
  }
}

/** CPUs that may be used, and the workers that follow from them. */
function quota({ read, cpus }: Machine): Finding {
  const allowed = affinity(read) ?? cpus
  const paid = cgroupQuota(read)
  const workers = defaultConcurrency(read, cpus)
  const throttled = cgroupThrottled(read)
  const limits = paid === undefined ? 'no quota' : `a quota of ${round(paid)}`
  const usable = `${plural(allowed, 'CPU')} of ${cpus} allowed`
  const found = `${plural(workers, 'worker')}: ${usable}, ${limits}`
  const values = {
    workers,
    cpus,
    allowed,
    quota: paid === undefined ? null : paid,
    throttled: throttled === undefined ? null : throttled,
  }
  if (throttled !== undefined && throttled > kThrottledOften) {
    const share = `${Math.round(throttled * 100)} % of its periods were throttled`
    const change =
      'raise the CPU quota (cpu.max, --cpus, resources.limits.cpu) or drop it: ' +
      'a throttled worker holds up its connections'
    return { name: 'concurrency', level: 'advice', found: `${found}; ${share}`, values, change }
  }
  if (paid !== undefined && paid < workers) {
    const shared = `${plural(workers, 'worker')} share ${round(paid)} and are throttled when busy`
    const change = `make the quota a whole number of CPUs: ${shared}`
    return { name: 'concurrency', level: 'advice', found, values, change }
  }
  return { name: 'concurrency', level: 'ok', found, values }
}

/** Node raises the soft limit to the hard one when it starts. */
function descriptors({ read }: Machine): Finding | undefined {
  const [, soft, hard] =
    /^Max open files\s+(\S+)\s+(\S+)/m.exec(read('/proc/self/limits') ?? '') ?? []
  if (soft === undefined || hard === undefined) return undefined
  const limit = soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
  const name = 'descriptors'
  const values = { soft, hard }
  const found = `${soft} open files; a proxied connection needs two, of TCP proxied ones up to six`
  if (limit >= kDescriptorsEnough) return { name, level: 'ok', found, values }
  const change =
    'raise the hard limit: ulimit -Hn 65536, LimitNOFILE=65536 (systemd), ' +
    '--ulimit nofile=65536 (docker)'
  return { name, level: 'advice', found, values, change }
}

/** Tried, not guessed: the core opens a listener as a configuration would. */
function reusePort(machine: Machine): Finding {
  const name = 'reuse-port'
  const workers = Math.max(2, defaultConcurrency(machine.read, machine.cpus))
  try {
    machine.listenWith(workers)
  } catch (error) {
    const found = `cannot listen on 127.0.0.1 with ${workers} workers: ${(error as Error).message}`
    const change =
      'allow socket, bind, listen and setsockopt(SO_REUSEPORT) (seccomp or sandbox profile), ' +
      'and a loopback interface'
    return { name, level: 'wrong', found, values: { workers }, change }
  }
  const own = 'a listening socket for each worker (SO_REUSEPORT); the kernel spreads connections'
  const one = 'one listening socket; its worker hands connections over'
  const linux = machine.platform === 'linux'
  return { name, level: 'ok', found: linux ? own : one, values: { workers, perWorker: linux } }
}

function kernel({ read }: Machine): Finding[] {
  const number = (key: string): number | undefined => {
    const text = read(`/proc/sys/${key.replaceAll('.', '/')}`)
    return text === undefined || text.trim() === ''
      ? undefined
      : Number(text.trim().split(/\s+/)[0])
  }
  return [
    backlog(number),
    ports(read),
    conntrack(number),
    migrate(number),
    overflow(number),
  ].filter((finding) => finding !== undefined)
}

type ReadNumber = (key: string) => number | undefined

function backlog(number: ReadNumber): Finding | undefined {
  const key = 'net.core.somaxconn'
  const limit = number(key)
  if (limit === undefined) return undefined
  const found = `${key} = ${limit}: connections that wait to be accepted, of each worker`
  const values = { [key]: limit }
  return limit >= kBacklogEnough
    ? { name: 'backlog', level: 'ok', found, values }
    : { name: 'backlog', level: 'advice', found, values, change: `sysctl -w ${key}=4096` }
}

function ports(read: ReadText): Finding | undefined {
  const key = 'net.ipv4.ip_local_port_range'
  const [low = Number.NaN, high = Number.NaN] = (
    read(`/proc/sys/${key.replaceAll('.', '/')}`) ?? ''
  )
    .trim()
    .split(/\s+/)
    .map(Number)
  const count = high - low + 1
  if (!Number.isFinite(count)) return undefined
  const found = `${key} = ${low} ${high}: at most ${count} connections to one host of a cluster`
  const values = { low, high }
  return count >= kPortsEnough
    ? { name: 'ports', level: 'ok', found, values }
    : { name: 'ports', level: 'advice', found, values, change: `sysctl -w ${key}="15000 65000"` }
}

function conntrack(number: ReadNumber): Finding | undefined {
  const key = 'net.netfilter.nf_conntrack_max'
  const most = number(key)
  const used = number('net.netfilter.nf_conntrack_count')
  if (most === undefined || used === undefined || most === 0) return undefined
  const found = `connection tracking holds ${used} of ${most} (${key})`
  const values = { [key]: most, used }
  return used < most * kConntrackFull
    ? { name: 'conntrack', level: 'ok', found, values }
    : {
        name: 'conntrack',
        level: 'advice',
        found,
        values,
        change: `sysctl -w ${key}=${most * 4}: a full table drops new connections silently`,
      }
}

function migrate(number: ReadNumber): Finding | undefined {
  const key = 'net.ipv4.tcp_migrate_req'
  const value = number(key)
  if (value === undefined) return undefined // before Linux 5.14
  const waits = 'what waits in the backlog of a listener that goes'
  const found =
    value === 1
      ? `${key} = 1: ${waits} moves to another socket of its port`
      : `${key} = ${value}: ${waits} is reset; 1 moves it to a process that took over the port`
  return { name: 'migration', level: 'ok', found, values: { [key]: value } }
}

function overflow(number: ReadNumber): Finding | undefined {
  const key = 'net.ipv4.tcp_abort_on_overflow'
  const value = number(key)
  if (value === undefined) return undefined
  const fate = value === 0 ? 'asked to try again' : 'reset'
  const found = `${key} = ${value}: when the backlog is full, clients are ${fate}`
  const values = { [key]: value }
  return value === 0
    ? { name: 'overflow', level: 'ok', found, values }
    : { name: 'overflow', level: 'advice', found, values, change: `sysctl -w ${key}=0` }
}

const round = (n: number): string => String(Math.round(n * 100) / 100)
const plural = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`
