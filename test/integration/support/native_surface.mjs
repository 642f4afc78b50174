// Calls every function and method of the native surface with arguments of all kinds, at random:
// wrong types, slots that are not there, getters and proxies that throw, buffers that were given
// away, claims of enormous sizes, values that hold themselves, closed objects, the wrong `this`.
// What is allowed is a result, an error with a code, or what a getter threw. The process must live.
//   node native_surface.mjs SEED CALLS
import { createProxy } from '../../../dist/index.js'
import { loadNative } from '../../../dist/native/index.js'

let state = Number(process.argv[2]) >>> 0
const calls = Number(process.argv[3])
/** mulberry32 */
function random(below) {
  state = (state + 0x6d2b79f5) >>> 0
  let t = state
  t = Math.imul(t ^ (t >>> 15), t | 1)
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
  return ((t ^ (t >>> 14)) >>> 0) % below
}
const pick = (list) => list[random(list.length)]

const thrown = new Error('thrown by a getter')
const thrower = () => {
  throw thrown
}
const throwing = () =>
  new Proxy({}, { get: thrower, has: thrower, ownKeys: thrower, getPrototypeOf: thrower })
function cyclic() {
  const node = { kind: 'list', mode: 'json', name: 'x' }
  Object.assign(node, { items: [node], root: node, entries: [['x', node]], filters: [node] })
  return node
}
function detached(Type) {
  const array = new Type(4)
  structuredClone(array.buffer, { transfer: [array.buffer] })
  return array
}
function revoked() {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
const sparse = () => {
  const array = []
  array.length = 2 ** 32 - 1
  return array
}

const kinds = [
  () => undefined,
  () => null,
  () => pick([true, false]),
  () => pick([0, 1, 2, 3, 5, 8, -1, -0, 0.5, NaN, Infinity, -Infinity]),
  () => pick([2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53, 2 ** 64, 1e308]),
  () => pick(['', 'x', 'main', '127.0.0.1', 'x'.repeat(70_000), '\0', '\ud800', 'http', 'list']),
  () => Symbol('x'),
  () => 10n,
  () => ({}),
  () => [],
  () => [1, 'a', null],
  sparse,
  cyclic,
  () => [cyclic()],
  throwing,
  () => [throwing()],
  () => new Proxy([], { get: thrower }),
  revoked,
  () => Object.create(null),
  () => ({
    get concurrency() {
      return thrower()
    },
    get name() {
      return thrower()
    },
  }),
  () => Object.defineProperty([1, 2], 0, { get: thrower }),
  () => () => 1,
  () => thrower,
  () => new Uint8Array(3),
  () => new Float64Array(4),
  () => new BigInt64Array(2),
  () => new Uint32Array(new SharedArrayBuffer(16)),
  () => detached(Uint8Array),
  () => detached(Float64Array),
  () => new ArrayBuffer(8),
  () => new DataView(new ArrayBuffer(8)),
  () => new Date(Number.NaN),
  () => /x/g,
  () => pick(objects),
]
const any = () => pick(kinds)()

/** A copy of `value` in which one thing, somewhere, is another one. */
function spoiled(value, depth = 0) {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return any()
  const keys = Object.keys(value)
  if (keys.length === 0 || random(8 + depth) === 0) return any()
  const copy = Array.isArray(value) ? [...value] : { ...value }
  const key = pick(keys)
  const how = random(12)
  if (how === 0) delete copy[key]
  else if (how === 1) Object.defineProperty(copy, key, { get: thrower })
  else copy[key] = spoiled(copy[key], depth + 1)
  return copy
}

const native = loadNative()
const objects = []

/** What a server says to its core, for calls that are almost right. */
const said = []
async function listenIn() {
  const { createCore } = native
  native.createCore = (options) => {
    const core = createCore(options)
    return new Proxy(core, {
      get(target, name) {
        const method = target[name]
        if (typeof method !== 'function') return method
        return (...args) => {
          if (name !== 'stop') said.push([name, args])
          return method.apply(target, args)
        }
      },
    })
  }
  const proxy = await createProxy({
    listen: '127.0.0.1:0',
    routes: {
      '/a': { to: ['http://127.0.0.1:1', 'http://127.0.0.1:2'] },
      '/': 'http://127.0.0.1:1',
    },
    access_log: 'said.log',
  })
  await proxy.close()
  native.createCore = createCore
}

const kEndings = ['close', 'stop', 'end', 'finish', 'detach']
const functions = ['createCore', 'openFlushFile', 'attachFlushFile', 'createSlotTable']
functions.push('attachSlotTable', 'watchEndingSignals')
const kEndsTheProcess = ['endProcess'] // that is what it is for
const missed = Object.getOwnPropertyNames(native).filter(
  (name) =>
    typeof native[name] === 'function' && ![...functions, ...kEndsTheProcess].includes(name),
)
if (missed.length > 0) throw new Error(`not called: ${missed}`)

const methodsOf = (object) => {
  const names = new Set(Object.getOwnPropertyNames(object))
  for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(object))) names.add(name)
  names.delete('constructor')
  return [...names].filter((name) => typeof object[name] === 'function')
}

function freshCore(stopped) {
  const core = native.createCore({ concurrency: 1 })
  for (const [name, args] of said) {
    const result = core[name](...args)
    if (result instanceof Promise) result.catch(() => {})
  }
  if (stopped) void core.stop(0)
  return core
}
const fileOptions = {
  path: 'flush.log',
  append: true,
  mkdir: false,
  mode: 0o600,
  flushInterval: 1000,
  fillMark: 1024,
  segmentBytes: 4096,
  maxBytes: 65_536,
  fsync: false,
  endDeadline: 100,
  name: 'flush.log',
  waits: false,
}
function freshTable(closed) {
  const table = native.createSlotTable(0, 'main')
  table.setBuffers(new Float64Array(16), new Float64Array(4), new Uint8Array(64))
  table.allocate('x')
  if (closed) table.close()
  return table
}
function freshFile(closed) {
  const file = native.openFlushFile(fileOptions, () => {})
  if (closed) file.detach()
  return file
}

const almostRight = (name) => {
  const right = said.filter(([each]) => each === name)
  if (right.length === 0) return undefined
  const args = [...pick(right)[1]]
  if (args.length === 0) return args
  const i = random(args.length)
  args[i] = spoiled(args[i])
  return args
}
const wrong = () => Array.from({ length: random(5) }, any)

const outcomes = { results: 0, errors: 0, getters: 0 }
function attempt(what, run) {
  try {
    const result = run()
    if (result instanceof Promise) result.catch(() => {})
    outcomes.results++
    return result
  } catch (error) {
    if (error === thrown) outcomes.getters++
    else if (/revoked|Illegal invocation/.test(String(error))) outcomes.getters++
    else if (typeof error?.code === 'string') outcomes.errors++
    else throw new Error(`${what}: an error without a code: ${error?.stack ?? error}`)
    return undefined
  }
}

await listenIn()
let cores = []
for (let i = 0; i < calls; i++) {
  if (i % 200 === 0) {
    for (const core of cores) void core.stop(0)
    cores = [freshCore(false), freshCore(true)]
    objects.length = 0
    for (const closed of [false, true]) objects.push(freshTable(closed), freshFile(closed))
    objects.push(...cores)
    await new Promise(setImmediate)
  }
  if (random(10) === 0) {
    const name = pick(functions)
    const right = { createCore: [{ concurrency: 1 }], openFlushFile: [fileOptions, () => {}] }[name]
    const args =
      right && random(2) === 0 ? right.map((each, k) => (k === 0 ? spoiled(each) : each)) : wrong()
    const made = attempt(name, () => native[name](...args))
    if (name === 'createCore' && made) void made.stop(0)
    if (name === 'openFlushFile' && made) made.detach()
    if (name === 'createSlotTable' && made) made.close()
    continue
  }
  const object = pick(objects)
  const name = pick(methodsOf(object))
  // An object that is ended is there from the beginning; the open one is to stay open for long.
  if (kEndings.includes(name) && random(20) !== 0) continue
  const args = (random(2) === 0 && almostRight(name)) || wrong()
  const self = random(20) === 0 ? any() : object
  attempt(`${name}(${args.map((each) => typeof each)})`, () => object[name].apply(self, args))
}
for (const core of cores) void core.stop(0)
console.log(JSON.stringify(outcomes))
process.exit(0)
