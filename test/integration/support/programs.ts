// The ts and js blocks of the documents as programs that run: what stands around each of them, and
// what is put for its dots.

/** A block by the page it is on and by its first line; its text becomes files. */
export interface Snippet {
  readonly page: string
  readonly first: string
  /** In the order in which a text is replaced; each must be there. */
  readonly put: readonly (readonly [string, string])[]
  /** Code before the block, which its page tells of or which a reader has anyway. */
  readonly before?: string
  readonly after?: string
  /** The file that it becomes; main.ts is run. Blocks of one page and file follow one another. */
  readonly file: string
  /** Blocks of one program are in one folder. */
  readonly program: string
}

/** Stand for what a test has: a service's port, and a file that may be written. */
export const kService = '__SERVICE__'
export const kLogFile = '__LOG__'

const kOwner = `import { Worker } from 'node:worker_threads'\n`
const kWorkerData = `import { workerData } from 'node:worker_threads'\n`
const kAttach = `import { SlotTable } from 'millrace/core'\n`
const kEnds = `await new Promise((resolve) => worker.on('exit', resolve))\n`
const kListens = [
  ['listen: 8080', `listen: '127.0.0.1:0'`],
  ['http://127.0.0.1:3000', kService],
] as const

export const snippets: readonly Snippet[] = [
  {
    page: 'README.md',
    first: `import { createProxy } from 'millrace'`,
    program: 'readme',
    file: 'main.ts',
    put: [...kListens, ['})) …', '})) break']],
    before:
      `const next = { listen: '127.0.0.1:0', routes: { '/': 'app' },` +
      ` upstreams: { app: '${kService}' } }\n`,
  },
  {
    page: 'docs/embedding.md',
    first: `import { createProxy } from 'millrace'`,
    program: 'embedding',
    file: 'main.ts',
    put: kListens,
    after:
      `const served = await fetch('http://' + proxy.addresses[0]?.text)\n` +
      'if (served.status !== 200) throw new Error("not proxied")\n',
  },
  {
    page: 'docs/embedding.md',
    first: `await proxy.cluster('app').setEndpoints([`,
    program: 'embedding',
    file: 'main.ts',
    put: [],
  },
  {
    page: 'docs/embedding.md',
    first: `await proxy.cluster('app').updateEndpoints({`,
    program: 'embedding',
    file: 'main.ts',
    put: [],
    after:
      `const [endpoint] = proxy.cluster('app').endpoints\n` +
      `if (endpoint?.weight !== 3) throw new Error('not set')\n`,
  },
  {
    page: 'docs/embedding.md',
    first: 'for await (const sample of proxy.stats({ interval: 1000 })) {',
    program: 'embedding',
    file: 'main.ts',
    put: [['interval: 1000', 'interval: 10, signal: AbortSignal.timeout(100)']],
  },
  {
    page: 'docs/core.md',
    first: `import { RuntimeFlags, SlotTable } from 'millrace/core'`,
    program: 'slots',
    file: 'main.ts',
    put: [['new Worker', 'const worker = new Worker']],
    before: kOwner,
    after: `void RuntimeFlags\nsetTimeout(() => slot.set({ limit: 11 }), 50)\n${kEnds}`,
  },
  {
    page: 'docs/core.md',
    first: 'const table = SlotTable.attach(workerData)       // in the worker',
    program: 'slots',
    file: 'worker.ts',
    put: [
      [`table.slot('config')`, `table.slot<{ limit: number }>('config')`],
      ['slot.get().limit', 'void slot.get()?.limit'],
      ['{ … }', '{ void version }'],
      ['{ … } ', `{ if (config?.limit === 11) break } `],
    ],
    before: kAttach + kWorkerData,
    after: 'table.close()\n',
  },
  {
    page: 'docs/core.md',
    first:
      "// a task of Piscina or Tinypool; `handle` is the table's, which a task or workerData brings",
    program: 'pool',
    file: 'worker.ts',
    put: [
      ['let table', 'let table: TableView | undefined'],
      ['export default (handle)', 'const task = (handle: TableHandle): unknown'],
    ],
    before:
      `import { SlotTable, type TableHandle, type TableView } from 'millrace/core'\n` +
      kWorkerData +
      `const work = (limit: unknown) => limit\n` +
      'setTimeout(() => process.exit(task(workerData) === undefined ? 1 : 0), 0)\n',
  },
  {
    page: 'docs/core.md',
    first: "for (;;) {                                       // a loop of one's own",
    program: 'loop',
    file: 'worker.ts',
    put: [],
    before:
      kAttach +
      kWorkerData +
      'const table = SlotTable.attach(workerData)\n' +
      'const words = new Int32Array(new SharedArrayBuffer(4)).fill(1)\n' +
      'const work = (value: unknown) => process.exit(value === undefined ? 1 : 0)\n',
  },
  {
    page: 'docs/core.md',
    first: `const routes = table.allocate('routes').map`,
    program: 'map',
    file: 'main.ts',
    put: [
      [`allocate('routes')`, `allocate<Record<string, { n: number }>>('routes')`],
      [`slot('routes')`, `slot<Record<string, { n: number }>>('routes')`],
      ['{ a: { … }, b: { … } }', '{ a: { n: 1 }, b: { n: 2 } }'],
      ['{ … }', '{ n: 3 }'],
    ],
    before: `${kAttach}const table = new SlotTable()\n`,
    after: 'while (routes.size !== 1) await new Promise((resolve) => setTimeout(resolve, 5))\n',
  },
  {
    page: 'docs/core.md',
    first: `const flags = new RuntimeFlags(table.allocate('flags'))   // readers: table.slot('flags')`,
    program: 'flags',
    file: 'main.ts',
    put: [['{ … }', '{ process.exitCode = 0 }']],
    before:
      `import { RuntimeFlags, SlotTable } from 'millrace/core'\n` +
      `const table = new SlotTable()\nconst userId = 'anybody'\n`,
  },
  {
    page: 'docs/core.md',
    first: `import { FlushFile } from 'millrace/core'`,
    program: 'flush',
    file: 'main.ts',
    put: [['/var/log/app.log', kLogFile]],
  },
  {
    page: 'docs/core.md',
    first: 'const file = new FlushFile({',
    program: 'rotation',
    file: 'main.ts',
    put: [['/var/log/app.log', kLogFile]],
    before: `import { FlushFile } from 'millrace/core'\n`,
    after: `file.write('to a file that is rotated\\n')\n`,
  },
  {
    page: 'docs/core.md',
    first: `const worker = new Worker('./worker.js', { workerData: file.handle })`,
    program: 'threads',
    file: 'main.ts',
    put: [
      ['// worker.js', `//// worker.ts\nimport { FlushFile } from 'millrace/core'\n${kWorkerData}`],
    ],
    after: `file.write('by a thread\\n')\n`,
    before: `${kOwner}import { FlushFile } from 'millrace/core'\nconst file = new FlushFile({ path: '${kLogFile}' })\n`,
  },
  {
    page: 'docs/pino.md',
    first: `import { pino } from 'pino'`,
    program: 'pino',
    file: 'main.ts',
    put: [['/var/log/app.log', kLogFile]],
  },
  {
    page: 'docs/pino.md',
    first: `const log = pino(pino.transport({ target: 'millrace/pino', options: { dest: '/var/log/app.log', mkdir: true } }))`,
    program: 'transport',
    file: 'main.ts',
    put: [['/var/log/app.log', kLogFile]],
    before: `import { pino } from 'pino'\n`,
    after: `log.info('by a transport')\n`,
  },
]

/** Files that no page shows: who starts the thread that a page shows. */
export const others: readonly { program: string; file: string; text: string }[] = [
  ...['pool', 'loop'].map((program) => ({
    program,
    file: 'main.ts',
    text:
      `${kOwner}${kAttach}const table = new SlotTable()\n` +
      `await table.allocate('config').set({ limit: 1 })\n` +
      `const worker = new Worker('./worker.js', { workerData: table.handle })\n` +
      `worker.on('exit', (code) => { process.exitCode = code })\n${kEnds}`,
  })),
]
