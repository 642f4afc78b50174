/**
 * A configuration that a program wrote as plain objects, to JSON: what stands in a program is
 * checked by the same code, and said in the same words, as what stands in a file.
 */

import { Problems } from '../problems.ts'
import { SourceText } from './text.ts'
import { childPath } from './tree.ts'

/** As deep as a text may be. */
const kDepthMax = 100
/** What a program builds in a loop that does not end is refused before memory is. */
const kTextMax = 64 * 1024 * 1024

interface Refused {
  readonly path: string
  readonly start: number
  readonly end: number
  readonly message: string
  readonly hint?: string
}

/** The text, and the values in it that JSON has no words for. Throws nothing. */
export function objectText(name: string, value: unknown): { text: SourceText; problems: Problems } {
  const writer = new JsonWriter()
  writer.value(value, '', '')
  const text = new SourceText(name, writer.text)
  const problems = new Problems(text)
  for (const refused of writer.refused) {
    problems.settle({ code: 'wrong-type', hint: undefined, ...refused })
  }
  return { text, problems }
}

class JsonWriter {
  text = ''
  readonly refused: Refused[] = []
  /** The objects that the value being written is in. */
  readonly #around: object[] = []

  value(value: unknown, path: string, indent: string): void {
    switch (typeof value) {
      case 'string':
      case 'boolean':
        this.text += JSON.stringify(value)
        return
      case 'number':
        if (Number.isFinite(value)) this.text += JSON.stringify(value)
        else this.#refuse(path, `is a finite number, not ${value}`)
        return
      case 'object':
        if (value === null) this.text += 'null'
        else this.#object(value, path, indent)
        return
      case 'bigint':
        this.#refuse(path, 'is no value of a configuration: a bigint', 'write a number')
        return
      default:
        this.#refuse(path, `is no value of a configuration: ${nameOf(value)}`)
    }
  }

  #object(value: object, path: string, indent: string): void {
    if (value instanceof URL) this.text += JSON.stringify(value.href)
    else if (this.#around.includes(value)) this.#refuse(path, 'contains itself')
    else if (this.#around.length >= kDepthMax || this.text.length > kTextMax) {
      this.#refuse(path, this.text.length > kTextMax ? 'is too large' : 'is nested too deeply')
    } else if (Array.isArray(value)) this.#inside(value, () => this.#list(value, path, indent))
    else if (isPlain(value)) this.#inside(value, () => this.#map(value, path, indent))
    else this.#refuse(path, `is a plain object, not ${nameOf(value)}`)
  }

  #inside(value: object, write: () => void): void {
    this.#around.push(value)
    write()
    this.#around.pop()
  }

  #list(list: readonly unknown[], path: string, indent: string): void {
    if (list.length === 0) {
      this.text += '[]'
      return
    }
    const inner = `${indent}  `
    this.text += '['
    for (let i = 0; i < list.length; i++) {
      this.text += `${i === 0 ? '' : ','}\n${inner}`
      this.value(list[i], `${path}[${i}]`, inner)
    }
    this.text += `\n${indent}]`
  }

  #map(map: object, path: string, indent: string): void {
    const inner = `${indent}  `
    let first = true
    this.text += '{'
    for (const key of Object.keys(map)) {
      const value = read(map, key)
      if ('thrown' in value) {
        this.text += `${first ? '' : ','}\n${inner}${JSON.stringify(key)}: `
        this.#refuse(childPath(path, key), `cannot be read: ${String(value.thrown)}`)
      } else {
        if (value.read === undefined) continue // as if the key were not there
        this.text += `${first ? '' : ','}\n${inner}${JSON.stringify(key)}: `
        this.value(value.read, childPath(path, key), inner)
      }
      first = false
    }
    this.text += first ? '}' : `\n${indent}}`
  }

  /** Writes null in its place. */
  #refuse(path: string, message: string, hint?: string): void {
    const start = this.text.length
    this.text += 'null'
    const end = this.text.length
    this.refused.push({ path, start, end, message, ...(hint === undefined ? {} : { hint }) })
  }
}

function read(from: object, key: string): { read: unknown } | { thrown: unknown } {
  try {
    return { read: (from as Readonly<Record<string, unknown>>)[key] }
  } catch (thrown) {
    return { thrown }
  }
}

/** Made by `{}`, in this context or in another one. */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === null || prototype === Object.prototype) return true
  return (
    Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf')
  )
}

function nameOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) {
    return value === undefined ? 'undefined' : `a ${typeof value}`
  }
  const name: unknown = value.constructor?.name
  return typeof name === 'string' && name !== '' ? `a ${name}` : 'an object of a class'
}
