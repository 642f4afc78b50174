// validate, config, --version, --help, and how wrong input ends.

import { execFile } from 'node:child_process'
import { chmodSync, existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { bootstrap, cluster, httpListener, route, simple } from './support/config.ts'
import { temporaryFolder, write } from './support/files.ts'
import { Millrace, main, millrace } from './support/millrace.ts'
import { rawService, sayingService } from './support/peers.ts'

const folder = temporaryFolder()
const kShort = 'listen: 127.0.0.1:0\nroutes:\n  /: http://127.0.0.1:3000\n'
const good = write(folder, 'good.yaml', kShort)
const bad = write(
  folder,
  'bad.yaml',
  'listen: 127.0.0.1:0\nroute:\n  /: http://127.0.0.1:3000\nadmin: nowhere\n',
)

describe('validate', () => {
  it('says OK for both ways to write a configuration', async () => {
    const envoy = write(folder, 'envoy.json', simple([3000]))
    for (const path of [good, envoy]) {
      const { code, stdout } = await millrace(['validate', '-c', path])
      expect({ code, stdout }).toEqual({ code: 0, stdout: `OK: ${path}\n` })
    }
  })
  it('says OK as JSON', async () => {
    const { stdout } = await millrace(['validate', '-c', good, '--json'])
    expect(JSON.parse(stdout)).toEqual({ ok: true, configuration: good })
  })
  it('says every error with its place, and exits with 78', async () => {
    const { code, stderr, stdout } = await millrace(['validate', '-c', bad])
    expect(code).toBe(78)
    expect(stdout).toBe('')
    expect(stderr).toContain(`${bad}:2:1: `)
    expect(stderr).toContain('did you mean "routes"?')
    expect(stderr).toContain('  route:\n  ^^^^^')
    expect(stderr).toContain(`${bad}:4:`)
    expect(stderr.trimEnd().split('\n').at(-1)).toMatch(/^\d+ errors$/)
  })
  it('gives the errors as JSON', async () => {
    const { code, stdout } = await millrace(['validate', '-c', bad, '--json'])
    expect(code).toBe(78)
    const { problems } = JSON.parse(stdout) as { problems: unknown[] }
    expect(problems).toContainEqual(
      expect.objectContaining({ file: bad, line: 2, column: 1, code: 'unknown-field' }),
    )
  })
  it('finds a reference that leads nowhere', async () => {
    const config = bootstrap(
      [httpListener({ routes: [route('/', 'wbe')] })],
      [cluster('web', [3000])],
    )
    const path = write(folder, 'reference.json', config)
    const { code, stderr } = await millrace(['validate', '-c', path])
    expect(code).toBe(78)
    expect(stderr).toContain('did you mean "web"?')
  })
  it('refuses a file that is not there, and without any', async () => {
    expect((await millrace(['validate', '-c', `${folder}/none.yaml`])).code).toBe(78)
    const { code, stderr } = await millrace(['validate'], { cwd: temporaryFolder() })
    expect(code).toBe(1)
    expect(stderr).toContain('there is no configuration')
  })
})

describe('config --effective', () => {
  it('shows what the short form means, in a form that validates', async () => {
    const { code, stdout } = await millrace(['config', '--effective', '-c', good])
    expect(code).toBe(0)
    expect(stdout).toContain('static_resources:')
    const { stdout: answer } = await millrace(['validate', '-c', write(folder, 'e.yaml', stdout)])
    expect(answer).toMatch(/^OK/)
  })
})

describe('the rest of the command line', () => {
  it('--version and --help', async () => {
    expect((await millrace(['--version'])).stdout).toMatch(/^millrace \d+\.\d+\.\d+\n$/)
    const { stdout, code } = await millrace(['--help'])
    expect(code).toBe(0)
    expect(stdout).toContain('Usage: millrace')
  })
  it('an unknown option: with what was meant, as text and as JSON', async () => {
    const { code, stderr } = await millrace(['--lisen', '80'])
    expect(code).toBe(1)
    expect(stderr).toBe('millrace: unknown option --lisen\n  did you mean "--listen"?\n')
    const json = await millrace(['--json', '--lisen', '80'])
    expect(JSON.parse(json.stderr)).toMatchObject({ code: 'ERR_MILLRACE_USAGE' })
  })
})

describe('standard input and output', () => {
  const piped = (args: string, text: string): Promise<{ stdout: string; code: number }> =>
    new Promise((resolve) => {
      const command = `printf %s "$TEXT" | "${process.execPath}" "${main}" ${args}`
      const options = { env: { ...process.env, TEXT: text } }
      execFile('/bin/bash', ['-o', 'pipefail', '-c', command], options, (error, stdout) =>
        resolve({ stdout, code: error ? Number(error.code) : 0 }),
      )
    })

  it('-c - reads a configuration from a pipe, and names it in errors', async () => {
    expect(await piped('validate -c -', kShort)).toEqual({
      code: 0,
      stdout: 'OK: standard input\n',
    })
    const wrong = await piped('validate -c - 2>&1', 'listn: 80\n')
    expect(wrong.code).toBe(78)
    expect(wrong.stdout).toContain('standard input:1:1: ')
    expect((await piped('config --effective -c -', kShort)).stdout).toContain('static_resources:')
  })
  it('a FIFO of the shell is a file: -c <(…)', async () => {
    const { stdout } = await piped('validate -c <(printf %s "$TEXT")', kShort)
    expect(stdout).toMatch(/^OK: \/dev\/fd\/\d+\n$/)
  })
  it('run -c - serves, and says that there is nothing to load again', async () => {
    const text = kShort.replace('3000', String(await sayingService('piped')))
    const started = Millrace.spawn(['-c', '-', '--admin', '0'], {
      shell: `exec < ${write(folder, 'in', text)}`,
    })
    await started.log('ready')
    expect(await (await fetch(started.url())).text()).toBe('piped')
    started.signal('SIGHUP')
    await started.log('there is no configuration file to load again')
    expect(await started.stop()).toEqual({ code: 0, signal: null })
  })
  it.each(['validate -c', 'config --effective -c', 'validate --json -c'])(
    '%s keeps its exit code when nobody reads what it says',
    async (args) => {
      const command = `"${process.execPath}" "${main}" ${args} "${good}" | true`
      expect((await piped(`--version >/dev/null; ${command}`, '')).code).toBe(0)
      const full = `"${process.execPath}" "${main}" ${args} "${good}" >/dev/full`
      expect((await piped(`--version >/dev/null; ${full}`, '')).code).toBe(0)
    },
  )
})

describe('--pid-file', () => {
  it('has the process id from when it is ready until it ends', async () => {
    const path = `${folder}/millrace.pid`
    const started = await Millrace.start(['-c', good, '--pid-file', path])
    expect(readFileSync(path, 'utf8')).toBe(`${started.pid}\n`)
    expect(await started.stop()).toEqual({ code: 0, signal: null })
    expect(existsSync(path)).toBe(false)
  })
  it('stays with the process that has it when another one cannot start', async () => {
    const path = `${folder}/one.pid`
    const taken = await rawService(() => {})
    const config = write(folder, 'again.json', simple([3000], { port: taken }))
    const started = await Millrace.start(['-c', good, '--pid-file', path])
    expect((await millrace(['-c', config, '--pid-file', path])).code).toBe(1)
    expect(readFileSync(path, 'utf8')).toBe(`${started.pid}\n`)
  })
  it('that cannot be written is an error with what to do', async () => {
    const { code, stderr } = await millrace(['-c', good, '--pid-file', `${folder}/no/such/pid`])
    expect(code).toBe(1)
    expect(stderr).toContain('no/such/pid: ENOENT')
    expect(stderr).toContain('name a file in a folder that is there')
  })
})

describe('the short form', () => {
  it('answers as millrace, on [::] in both families', async () => {
    const port = await sayingService('both')
    const text = `listen: "[::]:0"\nroutes:\n  /: http://127.0.0.1:${port}\n`
    const started = await Millrace.start(['-c', write(folder, 'both.yaml', text)])
    for (const host of ['127.0.0.1', '[::1]']) {
      const answer = await fetch(`http://${host}:${started.port()}/`)
      expect([host, await answer.text(), answer.headers.get('server')]).toEqual([
        host,
        'both',
        'millrace',
      ])
    }
  })
})

describe('run', () => {
  it('exits with 78 and all errors when the configuration is wrong', async () => {
    const { code, stderr } = await millrace(['run', '-c', bad])
    expect(code).toBe(78)
    expect(stderr).toContain('did you mean "routes"?')
  })
  it('exits with 78 when the file cannot be read', async () => {
    const path = write(folder, 'secret.yaml', kShort)
    chmodSync(path, 0)
    const nobody = process.getuid?.() === 0
    const missing = nobody ? `${folder}/missing.yaml` : path // root reads everything
    const { code, stderr } = await millrace(['-c', missing])
    expect(code).toBe(78)
    expect(stderr).toContain(missing)
  })
  it('exits with 1, naming address and reason, when the port is taken', async () => {
    const taken = await rawService(() => {})
    const listener = httpListener({ port: taken, routes: [route('/', 'web')] })
    const path = write(folder, 'taken.json', bootstrap([listener], [cluster('web', [3000])]))
    const { code, stderr } = await millrace(['-c', path])
    expect(code).toBe(1)
    expect(stderr).toContain(`127.0.0.1:${taken}`)
    expect(stderr).toContain('EADDRINUSE')
  })
  it('takes the first file of those it looks for, and says which', async () => {
    const cwd = temporaryFolder()
    write(cwd, 'millrace.yaml', kShort.replace('3000', String(await sayingService('found'))))
    const started = await Millrace.start([], { cwd })
    expect(await (await fetch(started.url())).text()).toBe('found')
    expect((await started.log('ready')).configuration).toContain('millrace.yaml')
  })
})

describe('doctor', () => {
  it('says which binary was loaded and what the machine gives, and exits with 0', async () => {
    const { code, stdout } = await millrace(['doctor'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^ok +binary +\d+\.\d+\.\d+, built in a clone: .*millrace\.node$/m)
    for (const name of ['system', 'cpu', 'concurrency', 'reuse-port']) {
      expect(stdout).toMatch(new RegExp(`^(ok|advice) +${name} `, 'm'))
    }
    expect(stdout).toMatch(/^0 wrong, \d+ to consider$/m)
  })
  it('says it as JSON', async () => {
    const { code, stdout } = await millrace(['doctor', '--json'])
    expect(code).toBe(0)
    const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: { name: string }[] }
    expect(ok).toBe(true)
    expect(findings[0]).toMatchObject({ name: 'binary', values: { kind: 'built in a clone' } })
  })
})

describe('build-native', () => {
  it('sends whoever has a clone to the build', async () => {
    const { code, stderr } = await millrace(['build-native'])
    expect(code).toBe(1)
    expect(stderr).toContain('npm run build')
  })
})
