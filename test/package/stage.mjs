// What the suites of the package share: a check and its count, a copy of the sources to build a
// release in, a request through an installed proxy.
import { execFile, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { finish, root } from '../../scripts/lib.mjs'

export const exec = promisify(execFile)
export const LONG_OUTPUT = { maxBuffer: 1 << 26 }
const START_PATIENCE_MS = 10_000
const STOP_PATIENCE_MS = 10_000

const count = { passed: 0, failed: 0 }

/** Runs one check; what it returns goes to those after it, undefined when it failed. */
export async function check(title, run) {
  try {
    const result = (await run()) ?? true
    console.log(`ok: ${title}`)
    count.passed++
    return result
  } catch (error) {
    console.log(`FAILED: ${title}\n${error.stack}\n${error.stdout ?? ''}${error.stderr ?? ''}`)
    count.failed++
    return undefined
  }
}

/** The checks of another program, by its last line. */
export function add({ passed, failed }) {
  count.passed += passed
  count.failed += failed
}

export function expect(condition, message) {
  if (!condition) throw new Error(message)
}

/** What a command that must fail wrote. */
export function fails(run, message) {
  return run.then(
    () => expect(false, message),
    (error) => `${error.stdout}${error.stderr}`,
  )
}

/** Runs checks with a folder of their own, and says how many passed. */
export async function suite(run) {
  const work = mkdtempSync(join(tmpdir(), 'millrace-package-'))
  try {
    await run(work)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  finish(count.passed, count.failed)
}

/**
 * A copy of what git knows, with the compiled TypeScript: the release is built there, not among our
 * own build files.
 */
export async function stage(work) {
  const dir = join(work, 'stage')
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate']
  const { stdout } = await exec('git', args, { cwd: root })
  for (const path of stdout.split('\0').filter(Boolean)) {
    mkdirSync(join(dir, dirname(path)), { recursive: true })
    cpSync(join(root, path), join(dir, path))
  }
  cpSync(join(root, 'dist'), join(dir, 'dist'), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'))
  return dir
}

/** A service to proxy to; answers with the request's path. */
async function origin() {
  const server = createServer((request, response) => response.end(`origin saw ${request.url}`))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() }
}

async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Starts a proxy in front of a service, asks it something, and stops it by SIGTERM. */
export async function proxies(command, args, cwd, patience = 1) {
  const service = await origin()
  const port = await freePort()
  const env = { ...process.env, PREBUILDS_ONLY: '1' }
  const all = [...args, '--to', service.url, '--listen', String(port)]
  // A process group of its own, as a terminal makes one: npx is not the process that listens.
  const child = spawn(command, all, { cwd, env, detached: true })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      printed += data
    })
  }
  const ended = new Promise((resolve) =>
    child.on('close', (code, signal) => resolve(code ?? signal)),
  )
  try {
    const until = Date.now() + START_PATIENCE_MS * patience
    const answer = await ask(`http://127.0.0.1:${port}/hello?x=1`, until, child, () => printed)
    expect(answer === 'origin saw /hello?x=1', `it answered: ${answer}`)
    signalGroup(child, 'SIGTERM')
    const code = await Promise.race([
      ended,
      sleep(STOP_PATIENCE_MS * patience, 'still running', { ref: false }),
    ])
    // npx is itself ended by the signal; the proxy ends by its own decision.
    const expected = command === 'npx' ? [0, 143, 'SIGTERM'] : [0]
    expect(expected.includes(code), `after SIGTERM: ${code}\n${printed}`)
    // Its streams are closed; the process itself is gone a moment later.
    const gone = Date.now() + STOP_PATIENCE_MS
    while (signalGroup(child, 0) && Date.now() < gone) await sleep(20)
    expect(!signalGroup(child, 0), 'something that was started is still running')
  } finally {
    signalGroup(child, 'SIGKILL')
    service.close()
  }
}

/** Whether there was anyone to signal. */
function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal)
    return true
  } catch (error) {
    if (error.code === 'ESRCH') return false
    throw error
  }
}

async function ask(url, until, child, printed) {
  for (;;) {
    try {
      const response = await fetch(url, { headers: { connection: 'close' } })
      return await response.text()
    } catch (error) {
      const gone = child.exitCode !== null
      if (gone || Date.now() > until) throw new Error(`${error.message}; it printed:\n${printed()}`)
      await sleep(20)
    }
  }
}
