import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, it } from 'vitest'
import { AssignmentFiles } from '../../../src/cluster/discovery/assignment_files.ts'
import { temporaryFolder, write } from '../../integration/support/files.ts'

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
  expect(await users[0]?.size()).toBe(3)
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
    expect(await user.size()).toBeUndefined()
    await expect(user.read()).rejects.toThrow('ENOENT')
  }
  renameSync(write(folder, 'new', 'good'), join(folder, 'eds'))
  for (const user of users) expect(await names(user)).toEqual(['good'])
})
