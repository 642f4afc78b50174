// What a program does with the three doors, however it imported them. Prints "used".
const assert = require('node:assert')
const { once } = require('node:events')
const { mkdtempSync, readFileSync, rmSync } = require('node:fs')
const { createServer } = require('node:http')
const { tmpdir } = require('node:os')
const { join } = require('node:path')

module.exports = async function use(millrace, core, pino) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-consumer-'))
  const service = createServer((_, response) => response.end('from the service'))
  service.listen(0, '127.0.0.1')
  await once(service, 'listening')
  const to = `http://127.0.0.1:${service.address().port}`

  const proxy = await millrace.createProxy({ listen: '127.0.0.1:0', routes: { '/': to } })
  const [{ port }] = proxy.addresses
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })
  assert.equal(await response.text(), 'from the service')
  await proxy.close()
  service.close()

  const file = new core.FlushFile({ path: join(folder, 'lines') })
  file.write('a line\n')
  await file.end()
  assert.equal(readFileSync(join(folder, 'lines'), 'utf8'), 'a line\n')

  const destination = pino.destination({ path: join(folder, 'log') })
  destination.write('{"level":30}\n')
  destination.flushSync()
  assert.equal(readFileSync(join(folder, 'log'), 'utf8'), '{"level":30}\n')
  destination.end()

  await assert.rejects(millrace.createProxy({ nothing: 1 }), millrace.ConfigError)
  rmSync(folder, { recursive: true })
  console.log('used')
}
