// Reads one HTTP/1 response of a health check: its status, the headers that count, and as much of
// the body as is looked at.

/** A head that is longer is no answer to a health check. */
const kHeadMax = 64 * 1024
const kHeadEnd = Buffer.from('\r\n\r\n')

export type ReadState = 'more' | 'done' | 'bad'

export class ResponseReader {
  /** 0: not known yet. */
  status = 0
  /** By lower-case name; of those that are there twice, the last. */
  headers: ReadonlyMap<string, string> = new Map()
  /** Whether the connection can carry another request. */
  reusable = false
  readonly #head: boolean
  readonly #bodyMax: number
  /** Holds what was not read yet, in its first bytes; grows by doubling. */
  #room: Buffer = Buffer.alloc(0)
  #waiting = 0
  /** So many of those that wait hold no end of a line: a host may send byte by byte. */
  #searched = 0
  #body: Buffer[] = []
  #bodyBytes = 0
  #inBody = false
  /** Bytes of the body (or of the chunk) that are still to come; -1: until the end. */
  #left = 0
  #chunked = false
  /** Within a chunked body: what comes next. */
  #next: 'size' | 'data' | 'after-data' | 'trailer' = 'size'

  /** `isHead`: of a HEAD request. `bodyMax`: bytes of the body to keep. */
  constructor(isHead: boolean, bodyMax: number) {
    this.#head = isHead
    this.#bodyMax = bodyMax
  }

  get body(): Buffer {
    return Buffer.concat(this.#body)
  }

  /** Whether anything of the response came. */
  get begun(): boolean {
    return this.status !== 0 || this.#waiting > 0
  }

  /** `bytes` are copied where they are kept. */
  feed(bytes: Buffer): ReadState {
    let data = this.#waiting > 0 ? this.#keepMore(bytes) : bytes
    this.#waiting = 0
    while (!this.#inBody) {
      const end = data.indexOf(kHeadEnd, Math.max(0, this.#searched - kHeadEnd.length + 1))
      if (end < 0) return this.#wait(data)
      this.#searched = 0
      if (!this.#readHead(data.toString('latin1', 0, end))) return 'bad'
      data = data.subarray(end + 4)
      if (this.status < 200) continue // 100 Continue and the like
      this.#inBody = true
      if (!this.#startBody()) return 'bad'
    }
    return this.#chunked ? this.#readChunks(data) : this.#readPlain(data)
  }

  /** The connection ended. */
  end(): ReadState {
    return this.#inBody && !this.#chunked && this.#left < 0 ? 'done' : 'bad'
  }

  #readHead(head: string): boolean {
    const [first = '', ...lines] = head.split('\r\n')
    const status = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |$)/.exec(first)
    if (!status) return false
    this.status = Number(status[2])
    const headers = new Map<string, string>()
    for (const line of lines) {
      const colon = line.indexOf(':')
      if (colon <= 0) return false
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
    }
    this.headers = headers
    const connection = headers.get('connection')?.toLowerCase() ?? ''
    this.reusable =
      status[1] === '1' ? !connection.includes('close') : connection.includes('keep-alive')
    return true
  }

  #startBody(): boolean {
    if (this.#head || this.status === 204 || this.status === 304) return true
    const encoding = this.headers.get('transfer-encoding')?.toLowerCase()
    if (encoding !== undefined) {
      this.#chunked = encoding === 'chunked'
      return this.#chunked
    }
    const length = this.headers.get('content-length')
    if (length === undefined) {
      this.#left = -1
      this.reusable = false
      return true
    }
    this.#left = /^\d{1,15}$/.test(length) ? Number(length) : Number.NaN
    return !Number.isNaN(this.#left)
  }

  #readPlain(data: Buffer): ReadState {
    if (this.#left < 0) {
      this.#keep(data)
      return 'more'
    }
    this.#keep(data.subarray(0, this.#left))
    if (data.length > this.#left) this.reusable = false // more than was announced
    this.#left = Math.max(0, this.#left - data.length)
    return this.#left === 0 ? 'done' : 'more'
  }

  #readChunks(data: Buffer): ReadState {
    let rest = data
    for (;;) {
      if (this.#next === 'data') {
        const part = rest.subarray(0, this.#left)
        this.#keep(part)
        this.#left -= part.length
        rest = rest.subarray(part.length)
        if (this.#left > 0) return 'more'
        this.#next = 'after-data'
        continue
      }
      const end = rest.indexOf('\r\n', Math.max(0, this.#searched - 1))
      if (end < 0) return this.#wait(rest)
      this.#searched = 0
      const line = rest.toString('latin1', 0, end)
      rest = rest.subarray(end + 2)
      if (this.#next === 'after-data') {
        if (line !== '') return 'bad'
        this.#next = 'size'
      } else if (this.#next === 'size') {
        const size = /^([0-9a-fA-F]{1,8})(?:;|$)/.exec(line)
        if (!size) return 'bad'
        this.#left = Number.parseInt(size[1] ?? '', 16)
        this.#next = this.#left === 0 ? 'trailer' : 'data'
      } else if (line === '') {
        if (rest.length > 0) this.reusable = false
        return 'done'
      }
    }
  }

  /** What waits, and `bytes` behind it. */
  #keepMore(bytes: Buffer): Buffer {
    const size = this.#waiting + bytes.length
    if (size > this.#room.length) {
      const grown = Buffer.allocUnsafe(2 * size)
      this.#room.copy(grown, 0, 0, this.#waiting)
      this.#room = grown
    }
    bytes.copy(this.#room, this.#waiting)
    return this.#room.subarray(0, size)
  }

  /** All of `data` was searched for the end of a line, and waits for more. */
  #wait(data: Buffer): ReadState {
    if (data.length > kHeadMax) return 'bad'
    this.#searched = data.length
    // It may be what waited before, where it lies.
    if (data.buffer !== this.#room.buffer || data.byteOffset !== this.#room.byteOffset) {
      if (this.#room.length < data.length) this.#room = Buffer.from(data)
      else data.copy(this.#room)
    }
    this.#waiting = data.length
    return 'more'
  }

  #keep(data: Buffer): void {
    const room = this.#bodyMax - this.#bodyBytes
    if (room <= 0 || data.length === 0) return
    const part = Buffer.from(data.subarray(0, room))
    this.#body.push(part)
    this.#bodyBytes += part.length
  }
}
