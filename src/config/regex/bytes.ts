/** Sets of bytes, the named ones of RE2, and ranges of characters as sequences of byte ranges. */

const kSingles: ByteSet[] = []

/** An immutable set of bytes: bit `b & 31` of word `b >> 5`. */
export class ByteSet {
  readonly words: Uint32Array

  private constructor(words: Uint32Array) {
    this.words = words
  }

  static of(characters: string): ByteSet {
    return ByteSet.union(
      [...characters].map((one) => ByteSet.range(one.charCodeAt(0), one.charCodeAt(0))),
    )
  }

  /** Of one byte, the same object each time: a pattern has one for each of its characters. */
  static single(byte: number): ByteSet {
    const known = kSingles[byte]
    if (known !== undefined) return known
    const words = new Uint32Array(8)
    words[byte >> 5] = 1 << (byte & 31)
    const made = new ByteSet(words)
    kSingles[byte] = made
    return made
  }

  static range(low: number, high: number): ByteSet {
    if (low === high) return ByteSet.single(low)
    const words = new Uint32Array(8)
    for (let byte = low; byte <= high; byte++)
      words[byte >> 5] = (words[byte >> 5] ?? 0) | (1 << (byte & 31))
    return new ByteSet(words)
  }

  static all(): ByteSet {
    return ByteSet.range(0, 255)
  }

  static union(sets: readonly ByteSet[]): ByteSet {
    const words = new Uint32Array(8)
    for (const set of sets)
      for (let i = 0; i < 8; i++) words[i] = (words[i] ?? 0) | (set.words[i] ?? 0)
    return new ByteSet(words)
  }

  has(byte: number): boolean {
    return (((this.words[byte >> 5] ?? 0) >>> (byte & 31)) & 1) === 1
  }

  negated(): ByteSet {
    return new ByteSet(this.words.map((word) => ~word))
  }

  withBothCases(): ByteSet {
    const words = new Uint32Array(this.words)
    const set = new ByteSet(words)
    for (let upper = 0x41; upper <= 0x5a; upper++) {
      const lower = upper | 0x20
      if (!set.has(upper) && !set.has(lower)) continue
      for (const byte of [upper, lower])
        words[byte >> 5] = (words[byte >> 5] ?? 0) | (1 << (byte & 31))
    }
    return set
  }

  /** 32 bytes, least significant bit first. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(32)
    for (let byte = 0; byte < 256; byte++) {
      if (this.has(byte)) bytes[byte >> 3] = (bytes[byte >> 3] ?? 0) | (1 << (byte & 7))
    }
    return bytes
  }
}

const kUpper = ByteSet.range(0x41, 0x5a)
const kLower = ByteSet.range(0x61, 0x7a)
const kDigit = ByteSet.range(0x30, 0x39)
const kAlpha = ByteSet.union([kUpper, kLower])
const kAlnum = ByteSet.union([kAlpha, kDigit])
const kWord = ByteSet.union([kAlnum, ByteSet.of('_')])
const kPunctuation = ByteSet.of('!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~')

export const kPosixClasses: ReadonlyMap<string, ByteSet> = new Map([
  ['alnum', kAlnum],
  ['alpha', kAlpha],
  ['ascii', ByteSet.range(0, 0x7f)],
  ['blank', ByteSet.of('\t ')],
  ['cntrl', ByteSet.union([ByteSet.range(0, 0x1f), ByteSet.range(0x7f, 0x7f)])],
  ['digit', kDigit],
  ['graph', ByteSet.range(0x21, 0x7e)],
  ['lower', kLower],
  ['print', ByteSet.range(0x20, 0x7e)],
  ['punct', kPunctuation],
  ['space', ByteSet.of('\t\n\v\f\r ')],
  ['upper', kUpper],
  ['word', kWord],
  ['xdigit', ByteSet.union([kDigit, ByteSet.range(0x41, 0x46), ByteSet.range(0x61, 0x66)])],
])

/** RE2's `\s` has no vertical tab. */
const kPerlClasses: ReadonlyMap<string, ByteSet> = new Map([
  ['d', kDigit],
  ['s', ByteSet.of('\t\n\f\r ')],
  ['w', kWord],
])

/** The set of `\d`, `\D`, `\s`, `\S`, `\w`, `\W`, or undefined. */
export function perlClass(letter: string): ByteSet | undefined {
  return kPerlClasses.get(letter) ?? kPerlClasses.get(letter.toLowerCase())?.negated()
}

type ByteRange = readonly [low: number, high: number]

/**
 * The characters from `low` to `high` (none of them ASCII) as sequences of byte ranges in UTF-8:
 * the range is cut until in each piece all bytes behind the first that varies go through their
 * whole range.
 */
export function utf8Sequences(low: number, high: number): readonly (readonly ByteRange[])[] {
  for (const last of [0x7ff, 0xffff]) {
    if (low <= last && high > last)
      return [...utf8Sequences(low, last), ...utf8Sequences(last + 1, high)]
  }
  for (const bits of [6, 12, 18]) {
    const mask = (1 << bits) - 1
    if (low >> bits === high >> bits) continue
    if ((low & mask) !== 0)
      return [...utf8Sequences(low, low | mask), ...utf8Sequences((low | mask) + 1, high)]
    if ((high & mask) !== mask) {
      const cut = high & ~mask
      return [...utf8Sequences(low, cut - 1), ...utf8Sequences(cut, high)]
    }
  }
  const first = encode(low)
  const last = encode(high)
  return [first.map((byte, i) => [byte, last[i] ?? byte] as const)]
}

function encode(code: number): number[] {
  if (code < 0x800) return [0xc0 | (code >> 6), 0x80 | (code & 63)]
  if (code < 0x10000) return [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63)]
  return [
    0xf0 | (code >> 18),
    0x80 | ((code >> 12) & 63),
    0x80 | ((code >> 6) & 63),
    0x80 | (code & 63),
  ]
}
