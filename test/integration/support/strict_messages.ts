// The messages behind the rows of docs/http1-strictness.md: each row by its first cell.

const kHead = 'Host: a\r\n'
const kPost = `POST / HTTP/1.1\r\n${kHead}`
const kChunked = `${kPost}Transfer-Encoding: chunked\r\n\r\n`

const get = (target: string, fields = ''): string =>
  `GET ${target} HTTP/1.1\r\n${kHead}${fields}\r\n`
const line = (text: string): string => `${text}\r\n${kHead}\r\n`
const coding = (...values: string[]): string[] =>
  values.map((value) => `${kPost}Transfer-Encoding: ${value}\r\n\r\n0\r\n\r\n`)
const lengths = (...values: string[]): string[] =>
  values.map((value) => `${kPost}Content-Length: ${value}\r\n\r\nhello`)
const many = (count: number): string =>
  Array.from({ length: count }, (_, i) => `X${i}: y\r\n`).join('')

export interface Messages {
  /** Requests, each on a connection of its own. */
  readonly sent: readonly string[]
  /** What the origin has to get, where the row says that something is forwarded. */
  readonly seen?: RegExp
  /** And what it must not get. */
  readonly unseen?: RegExp
  /** It is well framed: the connection stays. */
  readonly stays?: true
  /** The listener, where it is not the usual one. */
  readonly to?: 'http10' | 'trailers' | 'relative'
  /** Of another answer that the row names, with its listener. */
  readonly also?: { readonly to: 'relative' | 'http10'; readonly status: number }
}

const accepted = (sent: string, seen: RegExp, unseen?: RegExp): Messages => ({
  sent: [sent],
  seen,
  ...(unseen && { unseen }),
})
const refused = (...sent: string[]): Messages => ({ sent })

const kTrailers = 'Authorization: x\r\nX-Forwarded-For: 1.2.3.4\r\nContent-Type: y\r\nX-Ok: z\r\n'

export const requests: Readonly<Record<string, Messages>> = {
  // Lines
  'a line that ends in LF alone, anywhere: head, chunk size, trailers': refused(
    `GET / HTTP/1.1\n${kHead}\r\n`,
    'GET / HTTP/1.1\r\nHost: a\n\r\n',
    `GET / HTTP/1.1\r\n${kHead}\n`,
    `${kChunked}5\nhello\r\n0\r\n\r\n`,
    `${kChunked}0\r\nx: y\n\r\n`,
  ),
  'CR that is not followed by LF': refused(
    get('/', 'X: a\rY: b\r\n'),
    get('/', 'X: a\r\rY: b\r\n'),
  ),
  'a line that begins with white space (obs-fold)': refused(
    get('/', 'X: a\r\n b\r\n'),
    get('/', 'X: a\r\n\tb\r\n'),
    `GET / HTTP/1.1\r\n Host: a\r\n\r\n`,
  ),
  'white space between field name and colon': refused(get('/', 'X : a\r\n')),
  'an empty field name, or one with bytes that no token has': refused(
    get('/', ': a\r\n'),
    get('/', 'X(y): a\r\n'),
    get('/', 'X\xe4: a\r\n'),
  ),
  'a control byte other than HTAB in a field value': refused(
    get('/', 'X: a\x01b\r\n'),
    get('/', 'X: a\x00b\r\n'),
    get('/', 'X: a\x7fb\r\n'),
  ),
  'CRLF in front of the request line': accepted(`\r\n\r\n${get('/')}`, /^GET \/ /),
  'bytes 0x80 to 0xff in a field value': accepted(
    get('/', 'X: \x80\xe4\xff\r\n'),
    /x: \x80\xe4\xff\r/i,
  ),

  // The request line
  'a method that is no token': refused(line('G(T / HTTP/1.1'), line('G\xe4T / HTTP/1.1')),
  'a method of more than 32 bytes': refused(line(`${'A'.repeat(33)} / HTTP/1.1`)),
  'any other method, known or not': accepted(line(`${'B'.repeat(32)} / HTTP/1.1`), /^B{32} \/ /),
  'anything but one space between the parts': refused(
    line('GET  / HTTP/1.1'),
    line('GET /  HTTP/1.1'),
    line('GET\t/ HTTP/1.1'),
    line('GET / HTTP/1.1 '),
  ),
  'in the target: `#`, white space, control bytes, bytes outside ASCII': refused(
    get('/a#b'),
    get('/a\tb'),
    get('/a\x01b'),
    get('/\xe4'),
  ),
  'in the target: other bytes that a URI would have percent-encoded, such as `"` and `\\`':
    accepted(get('/a"b\\c'), /^GET \/a"b\\c /),
  'a target that does not begin with `/`, and is no `http:` or `https:` URI': refused(
    get('a'),
    get('ftp://a/'),
    get('http:/a'),
  ),
  'a target with `https:`': {
    ...refused(get('https://a/b'), get('HTTPS://a')),
    stays: true,
  },
  '`*` with a method other than OPTIONS': refused(get('*')),
  'CONNECT without host and port': refused(line('CONNECT a HTTP/1.1'), line('CONNECT /x HTTP/1.1')),
  'userinfo in the target (`http://user:password@host/`)': refused(get('http://user:password@a/')),
  'a port above 65535': refused(get('http://a:99999/')),
  'OPTIONS with an absolute target that has no path': accepted(
    line('OPTIONS http://b HTTP/1.1'),
    /^OPTIONS \* HTTP\/1.1\r\nhost: b\r/i,
  ),
  CONNECT: refused(`CONNECT a:80 HTTP/1.1\r\n${kHead}\r\n${get('/behind')}`),
  'an absolute target': {
    ...accepted(get('http://b/c'), /^GET \/c HTTP\/1.1\r\nhost: b\r/i, /host: a/i),
    also: { to: 'relative', status: 400 },
  },
  '`HTTP/1.0`': { ...refused(line('GET / HTTP/1.0')), also: { to: 'http10', status: 200 } },
  'any other `HTTP/x.y`': refused(line('GET / HTTP/1.2'), line('GET / HTTP/3.0')),
  'the preface of HTTP/2': refused('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  'anything else in the place of the version, HTTP/0.9 included': refused(
    line('GET / HTTP/x'),
    line('GET / http/1.1'),
    'GET /\r\n',
  ),

  // Host
  'none on HTTP/1.1, even with an absolute target': refused(
    'GET / HTTP/1.1\r\n\r\n',
    'GET http://a/ HTTP/1.1\r\n\r\n',
  ),
  'more than one, even if equal': refused(get('/', kHead), get('/', 'Host: b\r\n')),
  'an empty one, or one that is no `uri-host [":" port]`: `a b`, `a/b`, `a@b`, `a:b`, `a:99999`':
    refused(
      ...['', 'a b', 'a/b', 'a@b', 'a:b', 'a:99999', '[::1'].map(
        (host) => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      ),
    ),

  // Framing
  'Content-Length together with Transfer-Encoding': refused(
    `${kPost}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ),
  'Content-Length twice, even if equal': refused(
    `${kPost}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`,
  ),
  'Content-Length that is not 1 to 18 digits: `5,5`, `+5`, ` `, overflow': refused(
    ...lengths('5,5', '5, 5', '+5', ' ', '-5', '0x5', '5 5', '9'.repeat(19)),
  ),
  'Transfer-Encoding on HTTP/1.0': {
    sent: [`POST / HTTP/1.0\r\n${kHead}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    to: 'http10',
  },
  'Transfer-Encoding whose last coding is not `chunked`, or that has it twice, or is malformed: `gzip`, `chunked,chunked`, `,chunked`, `chunked;a=b`, an empty one':
    refused(
      ...coding(
        'gzip',
        'chunked, gzip',
        'chunked,chunked',
        ',chunked',
        'chunked;a=b',
        '',
        'x chunked',
      ),
    ),
  'Transfer-Encoding in more than one line': refused(
    `${kPost}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `${kPost}Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ),
  'another coding in front of `chunked`': refused(...coding('gzip, chunked', 'identity, chunked')),
  'a chunk size that is not 1 to 16 hexadecimal digits, or 2⁶² and more': refused(
    ...['g', '', '-1', '0x5', '1'.repeat(17), '4000000000000000'].map(
      (size) => `${kChunked}${size}\r\nhello\r\n0\r\n\r\n`,
    ),
  ),
  'white space behind a chunk size, without an extension': refused(
    `${kChunked}5 \r\nhello\r\n0\r\n\r\n`,
  ),
  'a malformed chunk extension, or a size line of more than 1,024 bytes': refused(
    `${kChunked}5;\x01\r\nhello\r\n0\r\n\r\n`,
    `${kChunked}5;a="b\r\nhello\r\n0\r\n\r\n`,
    `${kChunked}5;a=${'b'.repeat(1024)}\r\nhello\r\n0\r\n\r\n`,
  ),
  'a well-formed chunk extension': accepted(
    `${kChunked}5;a=b;c="d e"\r\nhello\r\n0\r\n\r\n`,
    /\r\n\r\n5\r\nhello\r\n/,
    /a=b|d e/,
  ),
  'anything but CRLF behind a chunk': refused(
    `${kChunked}5\r\nhelloX\r\n0\r\n\r\n`,
    `${kChunked}5\r\nhello\n0\r\n\r\n`,
  ),
  'Content-Length, Transfer-Encoding or Host among the trailers, or a malformed line': refused(
    ...['Content-Length: 5', 'Transfer-Encoding: chunked', 'Host: b', 'X y', ' X: y'].map(
      (trailer) => `${kChunked}0\r\n${trailer}\r\n\r\n`,
    ),
  ),
  'trailers that frame': {
    ...accepted(
      `${kChunked}0\r\n${kTrailers}\r\n`,
      /x-ok: z\r\n\r\n$/i,
      /authorization|1\.2\.3|content-type/i,
    ),
    to: 'trailers',
  },
  'other trailers': accepted(`${kChunked}0\r\n${kTrailers}\r\n`, /\r\n0\r\n\r\n$/, /x-ok/i),
  'Content-Length with zeros in front (`010`)': accepted(
    `${kPost}Content-Length: 010\r\n\r\nhellohello`,
    /content-length: 10\r\n/i,
    /010/,
  ),
  'CONNECT with Content-Length or Transfer-Encoding': refused(
    `CONNECT a:80 HTTP/1.1\r\n${kHead}Content-Length: 5\r\n\r\nhello`,
    `CONNECT a:80 HTTP/1.1\r\n${kHead}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ),

  // Limits
  "a request's head": refused(
    get('/', `X: ${'a'.repeat(60 * 1024)}\r\n`),
    get(`/${'a'.repeat(60 * 1024)}`),
  ),
  'fields in a head': refused(get('/', many(100))),
  'a trailer line, the trailer section, the number of trailers': refused(
    `${kChunked}0\r\nX: ${'a'.repeat(8 * 1024)}\r\n\r\n`,
    `${kChunked}0\r\n${`X: ${'a'.repeat(7 * 1024)}\r\n`.repeat(9)}\r\n`,
    `${kChunked}0\r\n${many(101)}\r\n`,
  ),
}

/** Cases of other suites that are requests: what the last table says of them. */
export const cases: Readonly<Record<string, string>> = {
  'gunicorn/valid/027': get('/\xc3\xa0%20k'),
  'gunicorn/valid/rfc9112_target_absolute_https_01': get('https://example.com/foo'),
  'gunicorn/valid/rfc9112_smuggle_gzip_chunked_01': `${kPost}Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  'llhttp/uri:225 `host:port` and basic auth': get('http://a%12:b!&*$@hypnotoad.org:1234/toto'),
  'envoy-codec/ChunkedBody': `Hello World${kChunked}6\r\nHello \r\n5\r\nWorld\r\n0\r\n\r\n`,
  'envoy-codec/ChunkedBodyCase': `Hello World${kPost}transfer-encoding: Chunked\r\n\r\nb\r\nHello World\r\n0\r\n\r\n`,
  'envoy-codec/Http11Options': line('OPTIONS * HTTP/1.1'),
  'envoy-codec/UpgradeRequestResponseHeaders': get('/', 'Connection: upgrade\r\nUpgrade: foo\r\n'),
  'envoy-codec/UpgradeRequestWithEarlyData': `12345abcd${kPost}Connection: upgrade\r\nUpgrade: foo\r\ncontent-length:5\r\n\r\n12345abcd`,
  'gunicorn/invalid/007': get('/', `Someheader: ${'0X0VfvRJPK'.repeat(819)}\r\n`),
  'gunicorn/invalid/017': get('/', `Long-header: ${'0123456789'.repeat(820)}\r\n`),
  'gunicorn/invalid/041': get('/', 'Content-Type: application/json\r\nContent-Type: text/html\r\n'),
  'llhttp/invalid:359 Invalid method': line('MKCOLA / HTTP/1.1'),
}
