// Long answers in pieces: they are made and written in slices, as fast as the client reads, while
// everything else has its turns.

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { inSlices, type Steps } from '../slices.ts'

/** Text, piece by piece; undefined is a place to leave the work for a while. */
export type Pieces = Generator<string | undefined, void, void>

/** So much is written at once: more would only be copied more often. */
const kWriteLength = 64 * 1024

/** What is made for one answer or another: one after the other, each in a turn of its own. */
let making: Promise<unknown> = Promise.resolve()

/**
 * However many clients ask at the same time, a turn of the event loop has one slice of their work.
 */
function made(pieces: Pieces): Promise<string> {
  const text = making.then(() => nextTurn()).then(() => inSlices(next(pieces)))
  making = text.catch(() => {}) // whoever asked hears of it
  return text
}

/** Writes all pieces, and ends the response; stops when the client is gone. */
export async function writePieces(response: ServerResponse, pieces: Pieces): Promise<void> {
  while (!response.destroyed) {
    const text = await made(pieces)
    if (text === '') {
      response.end()
      return
    }
    if (response.destroyed) break
    if (!response.write(text)) await drained(response)
  }
  pieces.return()
}

/** The next text to write; empty: there is no more. */
function* next(pieces: Pieces): Steps<string> {
  const parts: string[] = []
  let length = 0
  while (length < kWriteLength) {
    const { value, done } = pieces.next()
    if (done) break
    if (value !== undefined) {
      parts.push(value)
      length += value.length
    }
    yield
  }
  return parts.join('')
}

async function drained(response: ServerResponse): Promise<void> {
  const stop = new AbortController()
  const either = ['drain', 'close'].map((event) => once(response, event, { signal: stop.signal }))
  await Promise.race(either).catch(() => {}) // an error is followed by the close
  stop.abort()
  await Promise.allSettled(either)
}

/** A small value without iterables: it is written as one piece. */
export class Whole {
  readonly value: unknown

  constructor(value: unknown) {
    this.value = value
  }
}

/** A list of which each item is made when it is its turn; undefined: a place to pause. */
export type Lazy = Iterable<unknown>

/**
 * As JSON.stringify(value, null, 1), of values that may have iterables in them for lists.
 */
export function* jsonPieces(value: unknown, indent: string = ''): Pieces {
  if (typeof value !== 'object' || value === null) {
    yield JSON.stringify(value) ?? 'null'
    return
  }
  if (value instanceof Whole) {
    yield JSON.stringify(value.value, null, 1).replaceAll('\n', `\n${indent}`)
    return
  }
  const inner = `${indent} `
  const list = Symbol.iterator in value
  let before = list ? '[' : '{'
  if (list) {
    for (const item of value as Lazy) {
      if (item === undefined && !Array.isArray(value)) {
        yield undefined
        continue
      }
      yield `${before}\n${inner}`
      yield* jsonPieces(item, inner)
      before = ','
    }
  } else {
    for (const [key, item] of Object.entries(value)) {
      if (item === undefined) continue
      yield `${before}\n${inner}${JSON.stringify(key)}: `
      yield* jsonPieces(item, inner)
      before = ','
    }
  }
  const close = list ? ']' : '}'
  yield before === ',' ? `\n${indent}${close}` : `${before}${close}`
}
