// Every number and every duration that is built, at the ends of what it may be and beyond: what is
// accepted is in force as it is written, and everything else is refused where it is written. That a
// field is missing here is an error, too.

import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { ClusterManager } from '../../../src/cluster/manager.ts'
import {
  ConfigError,
  compile,
  type LoadedConfiguration,
  loadConfiguration,
} from '../../../src/config/index.ts'
import { type FieldSchema, messageSchema } from '../../../src/config/schema/schema.ts'
import { loadNative, type NativeCore } from '../../../src/native/index.ts'
import { Runtime } from '../../../src/runtime/runtime.ts'
import { Deployment } from '../../../src/server/deployment.ts'
import { LogFiles } from '../../../src/server/log_files.ts'
import { atOnce } from '../../../src/slices.ts'

const kBootstrap = 'envoy.config.bootstrap.v3.Bootstrap'
const kNumber = /^(u?int|s?fixed|sint|double|float|duration)/
const kHere = import.meta.dirname

type Json = { [key: string]: unknown }

/** A field of a message that stands in the configuration, by the way to the message. */
interface Place {
  readonly message: string
  readonly field: FieldSchema
  readonly way: readonly (string | number)[]
}

const isBuilt = ({ status, type }: FieldSchema): boolean =>
  status !== undefined && !status.later && !status.ignored && kNumber.test(type)

/** Where the fields are that are numbers, the first message of each kind. */
function places(root: unknown): Map<string, Place> {
  const found = new Map<string, Place>()
  const visit = (value: unknown, type: string, way: readonly (string | number)[]): void => {
    if (typeof value !== 'object' || value === null) return
    const named = (value as Json)['@type']
    const name = typeof named === 'string' ? named.replace(/^.*\//, '') : type
    const schema = messageSchema(name)
    if (!schema) return
    for (const field of schema.fields) {
      const key = `${name}.${field.name}`
      if (isBuilt(field) && !found.has(key)) found.set(key, { message: name, field, way })
      const inner = (value as Json)[field.name]
      const of = field.type.startsWith('message:') ? field.type.slice(8) : ''
      if (field.list === 'list' && Array.isArray(inner)) {
        inner.forEach((item, i) => {
          visit(item, of, [...way, field.name, i])
        })
      } else if (field.list === 'map' && inner) {
        for (const [k, item] of Object.entries(inner as Json))
          visit(item, of, [...way, field.name, k])
      } else visit(inner, of, [...way, field.name])
    }
  }
  visit(root, kBootstrap, [])
  return found
}

const written = parse(readFileSync(`${kHere}/every_field.yaml`, 'utf8')) as Json
const all = places(written)

function changed({ way, field }: Place, value: unknown): string {
  const root = structuredClone(written)
  let at: Json = root
  for (const step of way) at = at[step] as Json
  // One of several that exclude each other.
  const schema =
    field.oneof === undefined
      ? undefined
      : messageSchema(all.get(keyOf({ way, field } as Place))?.message ?? '')
  for (const other of schema?.fields ?? []) if (other.oneof === field.oneof) delete at[other.name]
  at[field.name] = field.list === 'list' ? [value] : value
  return JSON.stringify(root, null, 1)
}
const keyOf = (place: Place): string =>
  [...all].find(([, { way, field }]) => way === place.way && field === place.field)?.[0] ?? ''

const kSeconds = [
  '0s',
  '0.000000001s',
  '0.0015s',
  '0.9999s',
  '1s',
  '1.000999999s',
  '-1s',
  '65.536s',
  '4294967.295s',
  '4294967.296s',
  '31536000s',
  '315576000000s',
  '315576000001s',
  '1e3s',
]
const kWhole = [
  0,
  1,
  2,
  99,
  100,
  101,
  255,
  256,
  32767,
  65535,
  65536,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53,
  -1,
  -(2 ** 31) - 1,
  -(2 ** 53) - 2,
  0.5,
  1e300,
]

function values({ type, rules, status }: FieldSchema): unknown[] {
  const bounds = [rules, rules?.items].flatMap((each) => [each?.gt, each?.gte, each?.lt, each?.lte])
  const near = [...bounds, status?.most].flatMap((bound) =>
    bound === undefined ? [] : [bound - 1, bound, bound + 1],
  )
  if (type === 'duration')
    return [...kSeconds, ...near.filter((ms) => ms >= 0).map((ms) => `${ms / 1000}s`)]
  return [...kWhole, ...near]
}

const milliseconds = (text: string): number => Math.floor(Number(text.slice(0, -1)) * 1000 + 1e-7)

/** Numbers of what is given to the core, and to the main thread's own parts. */
function numbersOf(loaded: LoadedConfiguration): Map<number, number> {
  let next = 0
  const slots = new Map<string, number>()
  const slot = (name: string): number => slots.get(name) ?? slots.set(name, ++next).size
  const rotations: unknown[] = []
  const log = (_: unknown, rotation?: unknown): number => {
    rotations.push(rotation)
    return 1
  }
  const resolver = { cluster: slot, routes: slot, log, runtime: () => 0, filter: () => 0 }
  const counts = new Map<number, number>()
  const visit = (value: unknown): void => {
    if (typeof value === 'number') counts.set(value, (counts.get(value) ?? 0) + 1)
    else if (ArrayBuffer.isView(value)) return
    else if (typeof value === 'object' && value !== null)
      for (const inner of Object.values(value)) visit(inner)
  }
  visit(atOnce(compile(loaded, resolver)))
  visit(rotations)
  return counts
}

/** What the core has in another form than it is written in. */
const kOther: Readonly<Record<string, (value: number) => number>> = {
  max_request_headers_kb: (kb) => kb * 1024,
  weight_update_period: (ms) => Math.max(100, ms), // as Envoy
  sampling_window: (ms) => Math.round(ms / 1000),
}
/** What only checks, or has its effect in bits and tables; looked at by tests of their own. */
const kElsewhere = new Set([
  'grpc_success_status',
  'stats_flush_interval',
  'endpoint_stale_after', // of EDS
  'max_ejection_time', // not less than base_ejection_time
  'int_value', // bytes
  'max_direct_response_body_size_bytes',
  'total_weight',
  'mode',
  'prefix_len',
  'numerator',
  'value',
  'ttl',
  'table_size',
  'hash_balance_factor',
])

describe('the configuration of this test', () => {
  it('has every message with a number or a duration', () => {
    const yaml = readFileSync(`${kHere}/../../../src/config/schema/implemented.yaml`, 'utf8')
    const missing = Object.keys(parse(yaml) as Json).flatMap((name) =>
      (messageSchema(name)?.fields ?? [])
        .filter(isBuilt)
        .filter(({ name: field }) => !all.has(`${name}.${field}`))
        .map(({ name: field }) => `${name}.${field}`),
    )
    // Messages that only a policy, or the other of two forms, has in it: the same code reads them.
    expect(missing.filter((name) => !kSameCode.test(name))).toEqual([])
  })
})
const kSameCode =
  /FilterConfig|RuntimeUInt32|core\.v3\.Pipe\.|DnsCacheCircuitBreakers|LocalityLbConfig|LbEndpoint|LocalityLbEndpoints|type\.v3\.Percent|RouteAction\.HashPolicy/

describe('a number', () => {
  const core: NativeCore = loadNative().createCore({
    concurrency: 1,
    onEvent: () => {},
    onOutlier: () => {},
    onHostsWanted: () => {},
  })
  const clusters = new ClusterManager(core)
  const logs = new LogFiles(core, 1_000)
  const deployment = new Deployment(core, clusters, logs, new Runtime(), 0, (error) => {
    throw error
  })
  afterAll(async () => {
    deployment.close()
    await clusters.close()
    await core.stop(1_000)
  })

  for (const [key, place] of all) {
    it(`is in force as it is written, or refused where it is: ${key}`, async () => {
      const { field, way } = place
      const accepted: { what: string; wanted: number; numbers: Map<number, number> }[] = []
      for (const value of values(field)) {
        const what = `${key}: ${value}`
        const text = changed(place, value)
        const loaded = await loadConfiguration({ kind: 'text', name: 'x.json', text }).catch(
          (error: unknown) => error as ConfigError,
        )
        if (loaded instanceof Error) {
          expect(loaded, what).toBeInstanceOf(ConfigError)
          const near = loaded.problems.map(({ path, line }) => `${line}: ${path}`).join('\n')
          expect(
            loaded.problems.every(({ line }) => line > 1),
            `${what}\n${near}`,
          ).toBe(true)
          const steps = way.filter((step) => typeof step === 'string')
          expect(
            [field.name, ...steps.slice(-2)].some((step) => near.includes(step)),
            `${what}\n${near}`,
          ).toBe(true)
          continue
        }
        expect(
          typeof value === 'number'
            ? Number.isInteger(value) || /double|float/.test(field.type)
            : true,
          what,
        ).toBe(true)
        // A port that another program may have, and a folder that is not there, are not numbers.
        if (field.name !== 'port_value') {
          expect(() => deployment.apply(loaded), what).not.toThrow()
        }
        if (kElsewhere.has(field.name)) continue
        const plain = field.type === 'duration' ? milliseconds(String(value)) : Number(value)
        const wanted = kOther[field.name]?.(plain) ?? plain
        accepted.push({ what, wanted, numbers: numbersOf(loaded) })
      }
      // With another value, the core is told this number less often.
      const count = (of: { numbers: Map<number, number> }, n: number): number =>
        of.numbers.get(n) ?? 0
      for (const one of accepted) {
        if (one.wanted === 0) continue // which often is the way to say "none"
        const others = accepted.filter(({ wanted }) => wanted !== one.wanted)
        const least = Math.min(...others.map((other) => count(other, one.wanted)))
        if (count(one, one.wanted) > least || others.length === 0) continue
        expect.soft(one.what).toBe(`in force as ${one.wanted}`)
      }
    })
  }
})
