// millrace doctor: asks this machine, prints the findings, and ends with 1 where the proxy cannot
// run.

import { cpus, release } from 'node:os'
import { nativeBinary } from '../native/index.ts'
import { readText } from '../server/concurrency.ts'
import { version } from '../version.ts'
import { examine, type Finding, type Machine } from './examine.ts'
import type { Arguments } from './options.ts'
import { kExitFailure } from './report.ts'

export function doctor(args: Arguments): void {
  const findings = examine(thisMachine())
  const ok = findings.every(({ level }) => level !== 'wrong')
  const text = args.json
    ? JSON.stringify({ ok, version: version(), findings })
    : asText(findings, process.stdout.isTTY === true)
  process.stdout.write(`${text}\n`)
  if (!ok) process.exitCode = kExitFailure
}

function thisMachine(): Machine {
  const all = cpus()
  return {
    platform: process.platform,
    arch: process.arch,
    node: process.versions.node,
    cpus: Math.max(1, all.length),
    cpuModel: all[0]?.model.trim() ?? '',
    release: release(),
    libc: libc(),
    read: readText,
    binary: nativeBinary,
    listenWith,
  }
}

/** Which C library Node is linked with. */
function libc(): string {
  if (process.platform !== 'linux') return ''
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } }
  return header.glibcVersionRuntime ? `glibc ${header.glibcVersionRuntime}` : 'musl'
}

/** A core with its workers, listening on a port that the system chooses, and stopped again. */
function listenWith(workers: number): void {
  const core = nativeBinary().module.createCore({ concurrency: workers })
  try {
    core.start()
    core.addListener({
      name: 'doctor',
      addresses: [{ ip: '127.0.0.1', port: 0 }],
      statPrefix: 'doctor',
      reusePort: true,
      backlog: 0,
      ipv4Compat: false,
      freebind: false,
      transparent: false,
      originalDst: false,
      bufferLimit: 0,
      connectionLimitFlag: -1,
      filterChains: [],
      drainType: 'default',
    })
  } finally {
    void core.stop(0)
  }
}

const kMarks = { ok: 'ok', advice: 'advice', wrong: 'WRONG' } as const

export function asText(findings: readonly Finding[], colours: boolean): string {
  const codes = { ok: 32, advice: 33, wrong: 31 } as const
  const lines = findings.flatMap(({ name, level, found, change }) => {
    const mark = kMarks[level].padEnd(7)
    const shown = colours ? `\x1b[${codes[level]}m${mark}\x1b[0m` : mark
    return [
      `${shown} ${name.padEnd(12)} ${found}`,
      ...(change ? [`${' '.repeat(21)}→ ${change}`] : []),
    ]
  })
  const count = (level: Finding['level']): number =>
    findings.filter((f) => f.level === level).length
  return [...lines, '', `${count('wrong')} wrong, ${count('advice')} to consider`].join('\n')
}
