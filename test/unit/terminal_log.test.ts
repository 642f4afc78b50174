import { expect, it } from 'vitest'
import { forPeople } from '../../src/terminal_log.ts'

it('writes a line for people', () => {
  const time = Date.UTC(2026, 0, 2, 3, 4, 5)
  const fields = { listener: 'main', addresses: ['127.0.0.1:80'] }
  expect(forPeople(JSON.stringify({ level: 30, time, ...fields, msg: 'listening' }))).toBe(
    '03:04:05 info  listening listener=main addresses=["127.0.0.1:80"]',
  )
})

it('shows the message of an error', () => {
  const line = { level: 50, time: 0, err: { message: 'no', stack: '…' }, msg: 'failed' }
  expect(forPeople(JSON.stringify(line))).toBe('00:00:00 error failed no')
})
