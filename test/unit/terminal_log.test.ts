import { expect, it } from 'vitest'
import { forPeople } from '../../src/terminal_log.ts'

const time = Date.UTC(2026, 0, 2, 3, 4, 5)
const told = (fields: object): string => forPeople(JSON.stringify({ level: 30, time, ...fields }))

it('writes a sentence, not JSON', () => {
  const fields = { listener: 'main', addresses: ['127.0.0.1:80', '[::1]:80'], msg: 'listening' }
  expect(told(fields)).toBe(
    '03:04:05 info  listening: listener main, addresses 127.0.0.1:80 · [::1]:80',
  )
  const changes = { listenersAdded: ['a'], routesPublished: [], msg: 'configuration reloaded' }
  expect(told(changes)).toBe('03:04:05 info  configuration reloaded: listeners added a')
  const clusters = [{ cluster: 'a', awaits: ['the file x'] }]
  expect(told({ clusters, msg: 'waiting' })).toBe(
    '03:04:05 info  waiting: clusters cluster a, awaits the file x',
  )
})

it('shows the message of an error', () => {
  const line = { level: 50, time: 0, err: { message: 'no', stack: '…' }, msg: 'failed' }
  expect(forPeople(JSON.stringify(line))).toBe('00:00:00 error failed: no')
})

it('shows what is wrong with a configuration, a line each', () => {
  const one = { file: 'a.yaml', line: 2, column: 1, path: 'x.y', message: 'no', hint: 'yes' }
  const problems = [one, { file: 'a.yaml', line: 1, column: 1, path: '', message: 'is empty' }]
  expect(told({ problems, msg: 'reload refused' })).toBe(
    '03:04:05 info  reload refused\n  a.yaml:2:1: x.y: no (yes)\n  a.yaml:1:1: is empty',
  )
})

it('passes on what is no line of a log, and ends where values nest', () => {
  expect(forPeople('not JSON\n')).toBe('not JSON')
  expect(forPeople('{"level":30,"time":0,"msg":"m","a":{"b":{"c":{"d":{"e":{"f":1}}}}}}')).toBe(
    '00:00:00 info  m: a b c d e …',
  )
})

it('tells lines of any clock, and of none, and whatever else is JSON', () => {
  const at = '2026-01-02T03:04:05.000Z'
  expect(forPeople(JSON.stringify({ level: 30, time: at, msg: 'm' }))).toBe('03:04:05 info  m')
  for (const without of [undefined, null, 'x', 1e300, {}, []]) {
    expect(forPeople(JSON.stringify({ level: 30, time: without, msg: 'm' }))).toBe('info  m')
  }
  for (const line of ['null', '1', '"text"', 'true']) expect(forPeople(`${line}\n`)).toBe(line)
  for (const odd of ['[]', '{}', '{"msg":{"a":1},"err":null,"problems":[null,1]}']) {
    expect(typeof forPeople(odd)).toBe('string')
  }
})

it('gives a terminal nothing that it would obey, and each line of a log one line', () => {
  const bad = 'a\u001b[2J\u0007\u009b2J\r\n12:00:00 info  ready\u202e'
  const problem = { file: bad, line: 1, column: 1, path: bad, message: bad, hint: bad }
  const fields = { msg: bad, [bad]: { [bad]: [bad] }, err: { message: bad }, problems: [problem] }
  const lines = told(fields).split('\n')
  expect(lines).toHaveLength(2)
  for (const line of [...lines, forPeople(bad)]) {
    expect(line).not.toMatch(/[\p{Cc}\u202e]/u)
  }
  expect(told({ msg: 'a\u001bb\nc' })).toBe('03:04:05 info  a\\eb\\nc')
})
