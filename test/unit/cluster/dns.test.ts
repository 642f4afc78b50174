// Names to addresses: what this machine says by itself, servers that answer and servers that do
// not, and when a name is asked for again.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { nextRefresh } from '../../../src/cluster/discovery/dns.ts'
import { DnsClient } from '../../../src/cluster/discovery/dns_client.ts'
import { SystemNames } from '../../../src/cluster/discovery/system_names.ts'
import type { DnsFamily } from '../../../src/config/index.ts'
import {
  badDns,
  Dns,
  endOfQuestion,
  type QueryType,
  records,
  withCode,
} from '../../integration/support/dns.ts'
import { temporaryFolder } from '../../integration/support/files.ts'

describe('a name is asked for again', () => {
  const every5s = { refresh: 5000, respectTtl: false, jitter: 0 }
  const middle = (): number => 0.5

  it('after the refresh rate, or with the TTL of its answer', () => {
    expect(nextRefresh(every5s, 0, 60)).toBe(5000)
    expect(nextRefresh({ ...every5s, respectTtl: true }, 0, 60)).toBe(60_000)
    expect(nextRefresh({ ...every5s, respectTtl: true }, 0, 0)).toBe(5000)
    expect(nextRefresh({ ...every5s, respectTtl: true }, 0, undefined)).toBe(5000)
  })

  it('with jitter up to so much later, never earlier', () => {
    const jittered = { ...every5s, jitter: 1000 }
    expect(nextRefresh(jittered, 0, undefined, () => 0)).toBe(5000)
    expect(nextRefresh(jittered, 0, undefined, middle)).toBe(5500)
    expect(nextRefresh(jittered, 0, undefined, () => 0.9999)).toBe(5999)
    expect(nextRefresh({ ...jittered, respectTtl: true }, 0, 2, middle)).toBe(2500)
  })

  it('after a failure below a step that doubles up to the longest', () => {
    const failing = { ...every5s, failureRefresh: { base: 100, max: 1000 } }
    const steps = [1, 2, 3, 4, 5, 6, 60].map((failures) =>
      nextRefresh(failing, failures, undefined, () => 0.99),
    )
    expect(steps).toEqual([99, 198, 396, 792, 990, 990, 990])
    expect(nextRefresh(failing, 1, undefined, () => 0)).toBe(1)
    expect(nextRefresh(failing, 0, undefined, middle)).toBe(5000)
    expect(nextRefresh(every5s, 3, undefined, middle)).toBe(5000)
  })
})

/** Files of a system of its own. */
function system(hosts: string, resolvConf = ''): { names: SystemNames; hosts: string } {
  const folder = temporaryFolder()
  const paths = { hosts: join(folder, 'hosts'), conf: join(folder, 'resolv.conf') }
  writeFileSync(paths.hosts, hosts)
  writeFileSync(paths.conf, resolvConf)
  return { names: new SystemNames(paths.hosts, paths.conf), hosts: paths.hosts }
}

describe('what the system says', () => {
  it('of names in its hosts file, in any case, with several names and families', () => {
    const { names } = system(
      '10.0.0.1 web.test Web WEB2 # not.this\n  fd00::1\tweb.test\n10.0.0.2 web.test\n' +
        'nonsense other.test\n;10.0.0.9 old.test\n10.0.0.3\n',
    )
    expect(names.addresses('WEB.test.', 4)).toEqual(['10.0.0.1', '10.0.0.2'])
    expect(names.addresses('web.test', 6)).toEqual(['fd00::1'])
    expect(names.addresses('web2', 4)).toEqual(['10.0.0.1'])
    for (const name of ['not.this', 'other.test', 'old.test', 'nobody']) {
      expect(names.knows(name)).toBe(false)
    }
    expect(names.addresses('localhost', 4)).toEqual(['127.0.0.1'])
    expect(names.addresses('x.localhost', 6)).toEqual(['::1'])
  })

  it('as its files are now: changed, gone, and there again', async () => {
    const { names, hosts } = system('10.0.0.1 web.test\n')
    expect(names.addresses('web.test', 4)).toEqual(['10.0.0.1'])
    writeFileSync(hosts, '10.0.0.22 web.test\n')
    expect(names.addresses('web.test', 4)).toEqual(['10.0.0.22'])
    const gone = new SystemNames('/nowhere/hosts', '/nowhere/resolv.conf')
    expect(gone.addresses('web.test', 4)).toEqual([])
    expect(gone.hasServers()).toBe(false)
  })

  it.each([
    ['web', ['web.a.test', 'web.b.test', 'web']],
    ['web.x', ['web.x.a.test', 'web.x.b.test', 'web.x']],
    ['web.x.y', ['web.x.y', 'web.x.y.a.test', 'web.x.y.b.test']],
    ['web.', ['web']],
  ])('of the names to ask for: %s', (name, expected) => {
    const conf = 'nameserver 10.0.0.1\nsearch a.test b.test.\noptions rotate ndots:2\n'
    const { names } = system('', conf)
    expect(names.candidates(name, true)).toEqual(expected)
    expect(names.candidates('web', false)).toEqual(['web'])
    expect(names.hasServers()).toBe(true)
  })
})

const client = (port: number, names = system('').names): DnsClient =>
  new DnsClient(
    { servers: [`127.0.0.1:${port}`], serversAsFallback: false, search: true, routableOnly: false },
    { names, timeoutMs: 200, tries: 2 },
  )

describe('a server', () => {
  it('is not asked for what the hosts file has', async () => {
    const { names } = system('10.0.0.1 web.test\n')
    const asked: string[] = []
    const port = await badDns((query) => {
      asked.push('asked')
      return withCode(3)(query)
    })
    const dns = client(port, names)
    expect(await dns.resolve('web.test', 'auto')).toEqual({ addresses: ['10.0.0.1'] })
    expect(await dns.resolve('web.test', 'v6-only')).toEqual({ addresses: [] })
    expect(await dns.resolve('192.0.2.1', 'v6-only')).toEqual({ addresses: ['192.0.2.1'] })
    expect(asked).toEqual([])
  })

  it('is asked along the search list', async () => {
    const dns = await Dns.start(['127.0.0.2 web.b.test'])
    const { names } = system('', 'search a.test b.test\n')
    const { addresses } = await client(dns.port, names).resolve('web', 'v4-only')
    expect(addresses).toEqual(['127.0.0.2'])
  })

  it('says how long its answer is good for: the least of all records', async () => {
    const port = await badDns(
      records({
        A: [
          ['10.0.0.1', 300],
          ['10.0.0.2', 7],
        ],
      }),
    )
    const answer = await client(port).resolve('web.test', 'v4-only')
    expect(answer).toEqual({ addresses: ['10.0.0.1', '10.0.0.2'], ttl: 7 })
  })

  it('may name an address twice', async () => {
    const port = await badDns(
      records({
        A: [
          ['10.0.0.1', 5],
          ['10.0.0.1', 9],
        ],
      }),
    )
    const answer = await client(port).resolve('web.test', 'v4-only')
    expect(answer).toEqual({ addresses: ['10.0.0.1'], ttl: 5 })
  })

  const four: readonly [string, number][] = [['10.0.0.1', 60]]
  const six: readonly [string, number][] = [['fd00::1', 30]]
  it.each<[DnsFamily, Partial<Record<QueryType, 'fails' | readonly [string, number][]>>, unknown]>([
    ['v4-only', { A: four, AAAA: six }, ['10.0.0.1']],
    ['v6-only', { A: four, AAAA: six }, ['fd00::1']],
    ['auto', { A: four, AAAA: six }, ['fd00::1']],
    ['v4-preferred', { A: four, AAAA: six }, ['10.0.0.1']],
    ['all', { A: four, AAAA: six }, ['fd00::1', '10.0.0.1']],
    ['auto', { A: four }, ['10.0.0.1']],
    ['v4-preferred', { AAAA: six }, ['fd00::1']],
    ['all', { A: four }, ['10.0.0.1']],
    ['auto', {}, []],
    ['all', {}, []],
    // Servers that know nothing of the other family are common.
    ['auto', { A: four, AAAA: 'fails' }, ['10.0.0.1']],
    ['v4-preferred', { A: 'fails', AAAA: six }, ['fd00::1']],
    ['all', { A: four, AAAA: 'fails' }, ['10.0.0.1']],
    ['auto', { AAAA: 'fails' }, 'ESERVFAIL'],
    ['auto', { A: 'fails' }, 'ESERVFAIL'],
    ['auto', { A: 'fails', AAAA: six }, ['fd00::1']],
    ['all', { A: 'fails' }, 'ESERVFAIL'],
    ['v4-only', { A: 'fails', AAAA: six }, 'ESERVFAIL'],
  ])('%s of %j', async (family, answers, expected) => {
    const port = await badDns(records(answers))
    const found = await client(port)
      .resolve('web.test', family)
      .then(
        ({ addresses }) => addresses as unknown,
        (error: NodeJS.ErrnoException) => error.code,
      )
    expect(found).toEqual(expected)
  })

  it.each<[string, (query: Buffer) => Buffer]>([
    ['nothing', () => Buffer.alloc(0)],
    ['the header alone', (query) => withCode(0)(query).subarray(0, 12)],
    [
      'bytes of no meaning',
      (query) => Buffer.concat([query.subarray(0, 2), Buffer.alloc(40, 255)]),
    ],
    [
      'what another one asked for',
      (query) => Buffer.concat([Buffer.from([1, 1]), query.subarray(2)]),
    ],
    [
      'more records than there are',
      (query) => {
        const answer = withCode(0)(query)
        answer.writeUInt16BE(500, 6)
        return answer
      },
    ],
    ['half of a record', (query) => records({ A: [['10.0.0.1', 5]] })(query).subarray(0, -3)],
    [
      'a name that points at itself',
      (query) => {
        const answer = records({ A: [['10.0.0.1', 5]] })(query)
        answer.writeUInt16BE(0xc000 | query.length, query.length)
        return answer
      },
    ],
  ])('that says %s has not answered', async (_name, answer) => {
    const port = await badDns(answer)
    const error = await client(port)
      .resolve('web.test', 'v4-only')
      .then(
        (found) => found,
        (failed: NodeJS.ErrnoException) => failed,
      )
    expect(error).toBeInstanceOf(Error)
  })

  it('that was dead is asked again, through another socket', async () => {
    let good = false
    const answer = records({ A: [['10.0.0.1', 5]] })
    const port = await badDns((query) => (good ? answer(query) : withCode(2)(query)))
    const dns = client(port)
    await expect(dns.resolve('web.test', 'v4-only')).rejects.toMatchObject({ code: 'ESERVFAIL' })
    good = true
    expect((await dns.resolve('web.test', 'v4-only')).addresses).toEqual(['10.0.0.1'])
  })

  describe('that is silent about one family', () => {
    const speaking = { A: four, AAAA: six }
    /** Answers for what is in `families`, and nothing else. */
    const partly =
      (families: ReadonlySet<QueryType>) =>
      (query: Buffer): Buffer | undefined => {
        const isA = query.readUInt16BE(endOfQuestion(query) - 4) === 1
        return families.has(isA ? 'A' : 'AAAA') ? records(speaking)(query) : undefined
      }
    const patient = (port: number, patienceMs: number, before?: DnsClient): DnsClient =>
      new DnsClient(
        {
          servers: [`127.0.0.1:${port}`],
          serversAsFallback: false,
          search: true,
          routableOnly: false,
        },
        { names: system('').names, timeoutMs: 60_000, tries: 1, patienceMs, before },
      )

    it.each<[DnsFamily, QueryType, readonly string[]]>([
      ['auto', 'A', ['10.0.0.1']],
      ['auto', 'AAAA', ['fd00::1']],
      ['v4-preferred', 'AAAA', ['fd00::1']],
      ['v4-preferred', 'A', ['10.0.0.1']],
      ['all', 'A', ['10.0.0.1']],
      ['all', 'AAAA', ['fd00::1']],
    ])('%s has the other one (%s) after a bounded time', async (family, only, expected) => {
      const port = await badDns(partly(new Set([only])))
      const dns = patient(port, 50)
      expect((await dns.resolve('web.test', family)).addresses).toEqual(expected)
      dns.cancel()
    })

    it('is asked for both at once', async () => {
      const asked = new Set<number>()
      const port = await badDns((query) => {
        asked.add(query.readUInt16BE(endOfQuestion(query) - 4))
        return undefined
      })
      const dns = patient(port, 60_000)
      const found = dns.resolve('web.test', 'auto').catch(() => {})
      await expect.poll(() => [...asked].sort()).toEqual([1, 28])
      dns.cancel()
      await found
    })

    it('is waited for when it had addresses before: a lost packet changes no hosts', async () => {
      let answer = partly(new Set(['A', 'AAAA']))
      const port = await badDns((query) => answer(query))
      const dns = patient(port, 1)
      expect((await dns.resolve('web.test', 'auto')).addresses).toEqual(['fd00::1'])
      answer = partly(new Set(['A']))
      const found = dns.resolve('web.test', 'auto')
      const early = await Promise.race([found, sleep(300).then(() => 'none yet')])
      expect(early).toBe('none yet')
      dns.cancel()
      // What is not known is not "none": the hosts of before stay.
      expect(await found).toMatchObject({ addresses: ['10.0.0.1'] })
      answer = records({ A: four, AAAA: 'fails' })
      expect((await dns.resolve('web.test', 'auto')).addresses).toEqual(['10.0.0.1'])
      // Once it has failed for good, nobody waits for it any more.
      answer = partly(new Set(['A']))
      expect((await dns.resolve('web.test', 'auto')).addresses).toEqual(['10.0.0.1'])
      dns.cancel()
    })

    it('is waited for by who takes its place, if that asks the same servers', async () => {
      let answer = partly(new Set(['A', 'AAAA']))
      const port = await badDns((query) => answer(query))
      const first = patient(port, 1)
      expect((await first.resolve('web.test', 'auto')).addresses).toEqual(['fd00::1'])
      answer = partly(new Set(['A']))
      // A question that is broken off by the change says nothing of the name.
      const broken = first.resolve('web.test', 'auto')
      await sleep(50)
      first.cancel()
      await broken
      const second = patient(port, 1, first)
      const found = second.resolve('web.test', 'auto')
      expect(await Promise.race([found, sleep(300).then(() => 'none yet')])).toBe('none yet')
      const otherPort = await badDns((query) => answer(query))
      const other = patient(otherPort, 1, first)
      expect((await other.resolve('web.test', 'auto')).addresses).toEqual(['10.0.0.1'])
      second.cancel()
      other.cancel()
      await found
    })
  })

  it('that is never heard of does not hold up who gives up', async () => {
    const port = await badDns(() => Buffer.alloc(0))
    const dns = new DnsClient(
      {
        servers: [`127.0.0.1:${port}`],
        serversAsFallback: false,
        search: false,
        routableOnly: false,
      },
      { names: system('').names },
    )
    const asking = dns.resolve('web.test', 'v4-only')
    setTimeout(() => dns.cancel(), 20)
    await expect(asking).rejects.toMatchObject({ code: 'ECANCELLED' })
  })
})
