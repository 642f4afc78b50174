// What is measured, and the figure that Millrace means to reach in each case.
//
// A load scenario: port (http, log, tcp), connections, path, headers, body, workers (1 unless said;
// with more nothing is pinned). Its target: `versusPeers`: CPU time per request at most so many
// times that of the better of nginx and HAProxy; `versusFloor`: of the relay; `versusWithout`: at
// most `extraUs` more than the named scenario, in which the log is off.

/** As a browser sends them: 19 fields of about 800 bytes. */
const BROWSER = {
  accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,image/apng,*/*;q=0.8',
  'accept-encoding': 'gzip, deflate, br, zstd',
  'accept-language': 'en-GB,en;q=0.9,fr;q=0.7',
  'cache-control': 'max-age=0',
  cookie: 'sid=5c0e7a41d29b4f0f8d33c1a6e97b2240; consent=yes; ab=variant-b; lang=en',
  dnt: '1',
  'if-modified-since': 'Mon, 02 Nov 2026 09:14:31 GMT',
  'if-none-match': '"8d41-62e0aa51c7"',
  priority: 'u=0, i',
  referer: 'https://shop.example.net/catalogue/lamps?page=3&order=newest',
  'sec-ch-ua': '"Chromium";v="138", "Not=A?Brand";v="24"',
  'sec-ch-ua-mobile': '?0',
  'sec-ch-ua-platform': '"Linux"',
  'sec-fetch-dest': 'document',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-site': 'same-origin',
  'sec-fetch-user': '?1',
  'upgrade-insecure-requests': '1',
  'user-agent':
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138 Safari/537',
}

const small = { versusPeers: 0.82, versusFloor: 1.2 }

/** In the order of the tables. */
export const SCENARIOS = {
  'h1-1k-c1': { title: 'GET 1 KiB, 1 connection', port: 'http', connections: 1, target: small },
  'h1-1k': { title: 'GET 1 KiB, 32 connections', port: 'http', connections: 32, target: small },
  'h1-1k-c256': {
    title: 'GET 1 KiB, 256 connections',
    port: 'http',
    connections: 256,
    target: small,
  },
  'h1-browser': {
    title: "GET 1 KiB with a browser's headers",
    port: 'http',
    connections: 32,
    headers: BROWSER,
    target: { versusPeers: 0.78 },
  },
  'post-16k': {
    title: 'POST 16 KiB',
    port: 'http',
    connections: 32,
    body: 16384,
    target: { versusPeers: 0.85 },
  },
  'h1-64k': {
    title: 'GET 64 KiB',
    port: 'http',
    connections: 32,
    path: '/64k',
    target: { versusPeers: 0.85 },
  },
  'h1-1m': {
    title: 'GET 1 MiB',
    port: 'http',
    connections: 8,
    path: '/1m',
    target: { versusPeers: 0.9 },
  },
  close: {
    title: 'a connection for each request',
    port: 'http',
    connections: 32,
    headers: { connection: 'close' },
    target: { versusPeers: 1.0 },
  },
  'tcp-1k': {
    title: 'TCP proxy, 1 KiB',
    port: 'tcp',
    connections: 32,
    target: { versusPeers: 1.0 },
  },
  'tcp-1m': {
    title: 'TCP proxy, 1 MiB',
    port: 'tcp',
    connections: 8,
    path: '/1m',
    target: { versusPeers: 0.7 },
  },
  log: {
    title: 'GET 1 KiB, access log on',
    port: 'log',
    connections: 32,
    target: { versusWithout: 'h1-1k', extraUs: 1 },
  },
  'h1-1k-2w': { title: 'GET 1 KiB, 2 workers', port: 'http', connections: 64, workers: 2 },
  'log-2w': {
    title: 'GET 1 KiB, 2 workers, access log on',
    port: 'log',
    connections: 64,
    workers: 2,
    target: { versusWithout: 'h1-1k-2w', extraUs: 1 },
  },
  idle: {
    title: '9,500 idle keep-alive connections',
    special: 'idle',
    target: { bytesPerConnection: 700, rssMb: 75 },
  },
  startup: {
    title: 'start to the first proxied byte',
    special: 'startup',
    pinned: false,
    target: { startupMs: 250 },
  },
  syscalls: {
    title: 'system calls per request',
    special: 'syscalls',
    port: 'http',
    connections: 32,
  },
  slots: { title: 'slot table', special: 'slots', target: { readNs: 2 } },
}
