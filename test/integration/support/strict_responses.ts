// The responses behind the rows of docs/http1-strictness.md: what an origin sends, and what the
// client gets of it.

const kBig = 'a'.repeat(80 * 1024)

export interface Answers {
  /** Each to a request of its own. */
  readonly sent: readonly string[]
  readonly method?: string
  /** What the client receives in all. */
  readonly got: RegExp
  readonly not?: RegExp
  /** The origin closes behind it; otherwise it waits. */
  readonly ends?: boolean
  /** The client's connection does not end by itself. */
  readonly stays?: true
}

const refused = (...sent: string[]): Answers => ({
  sent,
  got: /^(?:HTTP\/1\.1 103 E\r\n\r\n)*HTTP\/1\.1 502 [\s\S]*reset reason/,
  stays: true,
})
const ok = (fields: string, body = ''): string => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`

export const responses: Readonly<Record<string, Answers>> = {
  'anything but `HTTP/1.0` or `HTTP/1.1`, a space, and three digits from 100 up': refused(
    'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n',
    'ICY 200 OK\r\n\r\n',
  ),
  'no space and no phrase behind the status': {
    sent: ['HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok'],
    got: /^HTTP\/1\.1 200 [\s\S]*ok$/,
    stays: true,
  },
  '101': refused('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
  'Content-Length or Transfer-Encoding on 1xx, 204, 304, or to HEAD': {
    sent: [
      'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n',
      'HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
    ],
    got: /HTTP\/1\.1 (?:204|304) [\s\S]*\r\n\r\n$/,
    stays: true,
  },
  'neither length nor chunks': {
    sent: [ok('', 'to the end')],
    got: /to the end/,
    ends: true,
    stays: true,
  },
  'fewer bytes than announced, or a chunked body that is cut': {
    sent: [
      ok('Content-Length: 9\r\n', 'cut'),
      ok('Transfer-Encoding: chunked\r\n', '9\r\ncut'),
      ok('Transfer-Encoding: chunked\r\n', '3\r\ncut\r\n'),
    ],
    got: /cut(?:\r\n)?$/,
    ends: true,
  },
  'bytes behind the response': {
    sent: [ok('Content-Length: 2\r\n', `ok${ok('Content-Length: 6\r\n', 'behind')}`)],
    got: /\r\n\r\nok$/,
    not: /behind/,
    stays: true,
  },

  // Limits
  "a response's head": refused(`HTTP/1.1 200 OK\r\nX: ${kBig}\r\n\r\n`),
  '1xx heads in front of a response': refused('HTTP/1.1 103 E\r\n\r\n'.repeat(17) + ok('')),

  // Of other suites
  'llhttp/connection:167 HTTP/1.1 with keep-alive disabled and 204 status': {
    sent: ['HTTP/1.1 204 No content\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK'],
    got: /^HTTP\/1\.1 204 [\s\S]*\r\n\r\n$/,
    stays: true,
  },
  'llhttp/connection:230 HTTP/1.1 with keep-alive disabled, content-length': {
    sent: [
      ok('Content-Length: 5\r\nConnection: close\r\n', '2ad731e3-4dcd-4f70-b871-0ad284b29ffc'),
    ],
    got: /\r\n\r\n2ad73$/,
    stays: true,
  },
  'llhttp/sample:43 RTSP response': refused('RTSP/1.1 200 OK\r\n\r\n'),
  'llhttp/connection:644': {
    sent: [
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n' +
        ok('Content-Length: 17\r\n', 'response content'),
    ],
    got: /103 [\s\S]*response content$/,
    ends: true,
  },
  'llhttp/transfer-encoding:287': {
    sent: [ok('Transfer-Encoding: chunked\r\n', '5;ilovew3="I love; x";blah\r\nhello\r\n0\r\n')],
    got: /hello\r\n$/,
    ends: true,
  },
}

/** Rows whose message cannot come about here, and the case in C++ that has it. */
export const inNativeTests: ReadonlyMap<string, readonly [string, string]> = new Map([
  ['a 2xx answer to CONNECT', ['test/native/http/client_test.cc', 'http1.unexpected_tunnel']],
])
