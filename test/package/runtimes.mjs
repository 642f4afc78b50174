// The package in other runtimes, and where Node itself is told to load no addons: what works, and
// that the rest is refused by name. docs/install.md has the table.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { check, exec, expect } from './stage.mjs'

const LIBC = process.platform === 'linux' ? '-glibc' : ''
const DENO = `@deno/${process.platform}-${process.arch}${LIBC}`

// Prints what worked; a line is still buffered when it ends.
const program = `
import { createServer } from 'node:http'
import { createProxy } from 'millrace'
import { FlushFile, SlotTable } from 'millrace/core'
const said = {}
try {
  const table = new SlotTable()
  const slot = table.allocate('a')
  await slot.set({ value: 1 })
  said.slots = slot.get().value === 1
  table.close()
} catch (error) {
  said.slots = error.code
}
const service = createServer((_, response) => response.end('from the service'))
await new Promise((resolve) => service.listen(0, '127.0.0.1', resolve))
const to = 'http://127.0.0.1:' + service.address().port
const proxy = await createProxy({ listen: '127.0.0.1:0', routes: { '/': to } })
const url = 'http://127.0.0.1:' + proxy.addresses[0].port + '/'
const response = await fetch(url, { headers: { connection: 'close' } })
said.proxy = await response.text()
await proxy.close()
service.close()
new FlushFile({ path: process.argv[2], flushInterval: 600_000 }).write('the last line\\n')
console.log(JSON.stringify(said))
`

async function runs(dir, name, command, slots) {
  const file = join(dir, 'runtimes.mjs')
  writeFileSync(file, program)
  const log = join(dir, `${name}.log`)
  const { stdout } = await exec(command[0], [...command.slice(1), file, log], { cwd: dir })
  const said = JSON.parse(stdout)
  expect(said.slots === slots, `slots: ${said.slots}`)
  expect(said.proxy === 'from the service', `the proxy: ${said.proxy}`)
  const written = readFileSync(log, 'utf8')
  expect(written === 'the last line\n', `the log has: ${written}`)
}

async function refused(dir, flags) {
  const load = ['--input-type=module', '--eval', "await import('millrace/core')"]
  const told = await exec(process.execPath, [...flags, ...load], { cwd: dir }).then(
    () => 'nothing',
    ({ stderr }) => stderr,
  )
  expect(/may load no native addons/.test(told), `it said: ${told}`)
}

/** `installed`: a folder with the package; `bun`: its program. */
export async function runtimes(work, installed, bun) {
  await check('Bun: a proxy, the last line of a log; slot tables are refused by name', () =>
    runs(installed, 'bun', [bun], 'ERR_MILLRACE_RUNTIME'),
  )
  const deno = await check('npm install deno', async () => {
    const dir = join(work, 'deno')
    mkdirSync(dir)
    writeFileSync(join(dir, 'package.json'), '{ "private": true }\n')
    await exec('npm', ['install', '--ignore-scripts', `${DENO}@2`], { cwd: dir })
    return join(dir, 'node_modules', DENO, 'deno')
  })
  if (deno !== undefined) {
    await check('Deno: all of it', () => runs(installed, 'deno', [deno, 'run', '-A'], true))
  }
  await check('--no-addons: refused with what to do', () => refused(installed, ['--no-addons']))
  await check('the permission model without --allow-addons: the same', () =>
    refused(installed, ['--experimental-permission', '--allow-fs-read=*']),
  )
}
