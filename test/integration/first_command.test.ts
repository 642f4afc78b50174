// What somebody sees who has just installed Millrace.

import { execFile, spawn } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from './support/files.ts'
import { Millrace, root } from './support/millrace.ts'
import { sayingService } from './support/peers.ts'

const execute = promisify(execFile)

async function curl(...args: string[]): Promise<string> {
  const { stdout } = await execute('curl', ['--silent', '--show-error', '--max-time', '5', ...args])
  return stdout
}

describe('millrace without arguments and without a file', () => {
  it('runs a demonstration whose printed URLs answer curl, and ends on SIGTERM', async () => {
    const millrace = Millrace.spawn([], { cwd: temporaryFolder() })
    const urls = await millrace.until('the URLs', () => {
      const found = /proxy {4}(\S+)[\s\S]*service {2}(\S+)[\s\S]*admin {4}(\S+)/.exec(
        millrace.stdout,
      )
      return found ? { proxy: found[1], service: found[2], admin: found[3] } : undefined
    })
    const answer = await curl(`${urls.proxy}/some/path`)
    expect(answer).toContain('Hello from the service behind Millrace.')
    expect(answer).toContain('GET /some/path')
    expect(answer).toContain('x-request-id: ')
    expect(await curl(`${urls.service}/`)).not.toContain('x-request-id: ')
    expect(await curl(`${urls.admin}/ready`)).toBe('LIVE\n')
    expect(await millrace.stop()).toEqual({ code: 0, signal: null })
    expect(millrace.otherLines).toEqual([])
  })

  it('runs twice at once: the second takes other ports', async () => {
    const urls: string[] = []
    for (let i = 0; i < 2; i++) {
      const millrace = Millrace.spawn([], { cwd: temporaryFolder() })
      const printed = (): string | undefined => /proxy {4}(\S+)\n/.exec(millrace.stdout)?.[1]
      urls.push(await millrace.until('the URL', printed))
    }
    expect(urls[0]).not.toBe(urls[1])
    for (const url of urls) expect(await curl(`${url}/`)).toContain('Hello')
  })
})

describe('npm start', () => {
  it('is the program: SIGTERM to npm drains and ends it', async () => {
    const port = await sayingService('by npm')
    const to = ['--to', `http://127.0.0.1:${port}`, '--listen', '127.0.0.1:0']
    const npm = new Millrace(spawn('npm', ['start', '--', ...to], { cwd: root }))
    const { pid } = await npm.log('ready')
    expect(await curl(npm.url('/'))).toBe('by npm')
    npm.signal('SIGTERM')
    await npm.exited
    const gone = (): boolean => {
      try {
        return !process.kill(Number(pid), 0)
      } catch {
        return true
      }
    }
    await expect.poll(gone).toBe(true)
    expect(npm.lines.at(-1)?.msg).toBe('stopped')
  })
})

describe('millrace --to', () => {
  it('proxies to one service', async () => {
    const port = await sayingService('here')
    const args = ['--to', `http://127.0.0.1:${port}`, '--listen', '127.0.0.1:0']
    const millrace = await Millrace.start(args, { cwd: temporaryFolder() })
    expect(await curl(millrace.url('/'))).toBe('here')
    expect(await millrace.stop()).toEqual({ code: 0, signal: null })
  })

  it('takes turns between several', async () => {
    const ports = await Promise.all([sayingService('a'), sayingService('b')])
    const to = ports.flatMap((port) => ['--to', `http://127.0.0.1:${port}`])
    const millrace = await Millrace.start([...to, '--listen', '127.0.0.1:0', '--concurrency', '1'])
    const url = millrace.url('/')
    const answers = (await curl(url, url, url, url)).split('')
    expect(answers.sort()).toEqual(['a', 'a', 'b', 'b'])
  })
})
