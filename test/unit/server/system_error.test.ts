import { expect, it } from 'vitest'
import { named } from '../../../src/server/system_error.ts'

it('adds the name of errno', () => {
  const error = Object.assign(new Error('bind 127.0.0.1:80'), { code: 'ERR_X', errno: 13 })
  expect(named(error)).toMatchObject({
    code: 'ERR_X',
    message: 'bind 127.0.0.1:80: EACCES (permission denied)',
    cause: error,
  })
})

it('leaves other errors alone', () => {
  const error = new Error('x')
  expect(named(error)).toBe(error)
})
