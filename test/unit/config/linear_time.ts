// How tests say that reading a text takes the time of its length.

import { expect } from 'vitest'
import { loadConfiguration } from '../../../src/config/index.ts'

const kTimes = 8
export const kMiB = 1024 * 1024

export const text = (name: string, written: string): Promise<unknown> =>
  loadConfiguration({ kind: 'text', name, text: written }).catch((error: unknown) => error)

/** The time that this process had, ms: what else the machine does is not in it. */
async function took(read: () => unknown): Promise<number> {
  const start = process.cpuUsage()
  await read()
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1000
}

/**
 * That reading 8 times as much takes less than 24 times as long (what is quadratic takes 64 times as
 * long). The least of some times is free of what else the machine does; what takes no time at all is
 * not looked at again.
 */
export async function linear(
  what: string,
  length: number,
  read: (length: number) => unknown,
): Promise<void> {
  await read(64) // compiled, loaded
  let [small, large] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let i = 0; i < 5; i++) {
    large = Math.min(large, await took(() => read(length)))
    if (large < 60) return
    small = Math.min(small, await took(() => read(length / kTimes)))
    if (large < 3 * kTimes * small) return
  }
  expect.fail(`${what}: ${length / kTimes} in ${small} ms, and ${length} in ${large} ms`)
}

const kPumps = [
  'a',
  '0',
  ' ',
  '\t',
  '\\',
  '%',
  '=',
  '.',
  '/',
  ':',
  '(',
  '[',
  '*',
  '-',
  'é',
  'a.',
  '1:',
]
export const kPumpsLong: readonly string[] = [
  ...kPumps.slice(0, 8),
  '%A(',
  '(?:',
  'a|',
  '%%',
  '\\"',
  '1.',
]

export const list = <T>(n: number, of: (i: number) => T): T[] =>
  Array.from({ length: n }, (_, i) => of(i))
