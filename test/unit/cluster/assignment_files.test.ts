import { execFileSync } from 'node:child_process'
import { renameSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, it, vi } from 'vitest'
import { AssignmentFiles } from '../../../src/cluster/discovery/assignment_files.ts'
import { EdsDiscovery } from '../../../src/cluster/discovery/eds.ts'
import { ReadError } from '../../../src/read_file.ts'
import { temporaryFolder, write } from '../../integration/support/files.ts'
import { kPatience } from '../../patience.ts'

let reads: string[]
let files: AssignmentFiles
let folder: string
beforeEach(() => {
  reads = []
  files = new AssignmentFiles(async (_path, text) => {
    reads.push(text)
    if (text === 'bad') throw new Error('bad')
    return new Map([[text, { hosts: [], localities: [] }]])
  })
  folder = temporaryFolder()
})

const names = async (file: {
  read(): Promise<ReadonlyMap<string, unknown>>
}): Promise<string[]> => [...(await file.read()).keys()]

it('are read once, however many ask, and again when there is another file', async () => {
  const path = write(folder, 'eds', 'one')
  const users = Array.from({ length: 100 }, () => files.open(path, false))
  for (const found of await Promise.all(users.map(names))) expect(found).toEqual(['one'])
  expect(reads).toEqual(['one'])
  renameSync(write(folder, 'new', 'two'), path)
  for (const found of await Promise.all(users.map(names))) expect(found).toEqual(['two'])
  renameSync(write(folder, 'new', 'two'), path)
  await Promise.all(users.map(names))
  expect(reads).toEqual(['one', 'two', 'two'])
  expect(await users[0]?.state()).toBe('filled')
})

it('are kept apart by what lists in them mean, and forgotten with their last user', async () => {
  const path = write(folder, 'eds', 'one')
  const [first, second, other] = [
    files.open(path, false),
    files.open(path, false),
    files.open(path, true),
  ]
  await Promise.all([first, second, other].map(names))
  expect(reads).toHaveLength(2)
  first.close()
  await names(second)
  expect(reads).toHaveLength(2)
  second.close()
  await names(files.open(path, false))
  expect(reads).toHaveLength(3)
})

it('that are wrong or gone are so for everybody, until they are not', async () => {
  const path = write(folder, 'eds', 'bad')
  const users = [files.open(path, false), files.open(path, false)]
  for (const user of users) await expect(user.read()).rejects.toThrow('bad')
  expect(reads).toEqual(['bad'])
  rmSync(path)
  for (const user of users) {
    expect(await user.state()).toBe('absent')
    await expect(user.read()).rejects.toThrow('ENOENT')
  }
  renameSync(write(folder, 'new', 'good'), join(folder, 'eds'))
  for (const user of users) expect(await names(user)).toEqual(['good'])
})

it('that could not be read in time are read again, though nothing about them changed', async () => {
  const path = join(folder, 'fifo')
  execFileSync('mkfifo', [path])
  const patient = new AssignmentFiles(async (_path, text) => {
    return new Map([[text, { hosts: [], localities: [] }]])
  }, 1_000)
  const file = patient.open(path, false)
  await expect(file.read()).rejects.toMatchObject({ code: 'ETIMEDOUT' })
  // It comes once somebody reads.
  const written = writeFile(path, 'one')
  await vi.waitFor(async () => expect(await names(file)).toEqual(['one']), kPatience)
  await written
})

it('that could not be read are tried again by who waits for them', async () => {
  vi.useFakeTimers()
  const reports: unknown[] = []
  const failures = [
    new ReadError('ETIMEDOUT', 'not in time'),
    Object.assign(new Error(), { errno: 5 }),
  ]
  const found = { hosts: [], localities: [] }
  const read = async (): Promise<ReadonlyMap<string, unknown>> => {
    const failure = failures.shift()
    if (failure) throw failure
    return new Map([['s', found]])
  }
  const counters = { attempt: 0, success: 0, empty: 0, rejected: 0 }
  const rejected: string[] = []
  const eds = new EdsDiscovery(
    { kind: 'eds', path: join(folder, 'eds'), serviceName: 's', listAsAny: false } as never,
    {
      files: {
        open: () => ({ state: async () => 'filled', read, close: () => {} }),
        folders: { watch: () => () => {} },
      } as never,
      log: { rejected: (path) => rejected.push(path) },
    },
    {
      counters,
      mustBeUsable: () => {},
      ready: () => {},
      report: (endpoints: unknown) => reports.push(endpoints),
    } as never,
  )
  try {
    eds.start()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(reports).toEqual([{ hosts: [], localities: [] }]) // nothing, for who waits
    await vi.advanceTimersByTimeAsync(60_000)
    expect(counters).toEqual({ attempt: 3, success: 1, empty: 0, rejected: 2 })
    expect(reports[1]).toBe(found)
    expect(rejected).toHaveLength(2)
  } finally {
    eds.stop()
    vi.useRealTimers()
  }
})

it('that are FIFOs are tried again too, as other files that could not be read', async () => {
  const path = join(folder, 'fifo')
  execFileSync('mkfifo', [path])
  const reports: unknown[] = []
  const counters = { attempt: 0, success: 0, empty: 0, rejected: 0 }
  const found = { hosts: [], localities: [] }
  const eds = new EdsDiscovery(
    { kind: 'eds', path, serviceName: 'one', listAsAny: false } as never,
    {
      files: new AssignmentFiles(async (_path, text) => new Map([[text, found]]), 200),
      log: { rejected: () => {} },
      againMs: 100,
    },
    {
      counters,
      mustBeUsable: () => {},
      ready: () => {},
      report: (endpoints: unknown) => reports.push(endpoints),
    } as never,
  )
  eds.start()
  try {
    await vi.waitFor(() => expect(counters.rejected).toBeGreaterThan(1), kPatience)
    const written = writeFile(path, 'one') // once somebody reads
    await vi.waitFor(() => expect(counters.success).toBe(1), kPatience)
    await written
    expect(reports.at(-1)).toBe(found)
  } finally {
    eds.stop()
  }
})
