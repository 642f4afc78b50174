/** What every part of the compiler shares. */

import type { NativeDfa, NativeRegexRewrite, NativeRotation } from '../../native/index.ts'
import type { RuntimeValue } from '../../runtime/runtime.ts'
import type { Origins } from '../check/origins.ts'
import type { DnsCacheDefinition } from '../definitions.ts'
import { compileMatch, compileRewrite, RegexError, SubstitutionError } from '../regex/regex.ts'
import type {
  AnyMessage,
  Bootstrap,
  ExtensionTypes,
  RegexMatchAndSubstitute,
  RegexMatcher,
} from '../schema/messages.generated.ts'
import { didYouMean } from '../suggest.ts'
import type { CompileResolver } from '../types.ts'

/**
 * Tables that were built once: a configuration is compiled when it is loaded, to check it, and
 * again when it is applied.
 */
export type RegexCache = Map<string, NativeDfa>

/** What was read from files and the environment when the configuration was loaded. */
export type SourceCache = Map<string, Uint8Array>

export interface RuntimeView {
  get(key: string): RuntimeValue | undefined
}

/** A number of the runtime, brought within `min` and `max`; undefined: none is set. */
export function runtimeWithin(
  { runtime }: Pick<Context, 'runtime'>,
  key: string,
  min: number,
  max: number,
): number | undefined {
  const found = runtime.get(key)
  return typeof found === 'number' ? Math.min(max, Math.max(min, found)) : undefined
}

export interface Context {
  readonly origins: Origins
  readonly resolver: CompileResolver
  /** Names of the static clusters. */
  readonly clusters: ReadonlySet<string>
  /** Those of them whose hosts are added as requests name them. */
  readonly onDemand?: ReadonlySet<string>
  readonly regexes: RegexCache
  readonly sources: SourceCache
  /** DNS caches of the dynamic forward proxy, by name: all of one name must be the same. */
  readonly dnsCaches: Map<string, DnsCacheDefinition>
  /** How access logs are rotated, by path: all of one path must be the same. */
  readonly rotations: Map<string, NativeRotation | undefined>
  /** The values of the configuration's own static layers, and what is set above them. */
  readonly runtime: RuntimeView
  /** What clusters that say nothing of resolvers use. */
  readonly dns?: Pick<Bootstrap, 'typed_dns_resolver_config' | 'dns_resolution_config'>
  /** The file of outlier detection's events. */
  readonly outlierEventLog?: string
}

/** The fields of an extension, if it is the one that is meant. */
export function unpack<Name extends keyof ExtensionTypes>(
  message: AnyMessage | undefined,
  name: Name,
): ExtensionTypes[Name] | undefined {
  return message?.['@type'] === name ? (message as unknown as ExtensionTypes[Name]) : undefined
}

/** Matches everything, and stands where a table could not be made; the problem was said. */
const kNoTable: NativeDfa = {
  classes: new Uint8Array(256),
  classCount: 1,
  next: new Uint16Array(1),
  accepting: new Uint8Array(1),
  start: 0,
}

export function matchTable(context: Context, matcher: RegexMatcher): NativeDfa {
  const pattern = matcher.regex ?? ''
  const known = context.regexes.get(pattern)
  if (known !== undefined) return known
  try {
    const table = compileMatch(pattern)
    context.regexes.set(pattern, table)
    return table
  } catch (error) {
    refusePattern(context, matcher, error)
    return kNoTable
  }
}

export function regexRewrite(
  context: Context,
  rewrite: RegexMatchAndSubstitute,
): NativeRegexRewrite | undefined {
  const { pattern, substitution = '' } = rewrite
  if (pattern === undefined) return undefined
  try {
    return compileRewrite(pattern.regex ?? '', substitution)
  } catch (error) {
    if (error instanceof SubstitutionError) {
      const range = [error.from, error.to] as const
      context.origins.addInText(rewrite, ['substitution'], range, error.message, error.hint)
    } else {
      refusePattern(context, pattern, error)
    }
    return undefined
  }
}

function refusePattern(context: Context, matcher: RegexMatcher, error: unknown): void {
  if (!(error instanceof RegexError)) throw error
  const range = [error.from, error.to] as const
  context.origins.addInText(matcher, ['regex'], range, error.message, error.hint)
}

/** Says that a name leads to no cluster. */
export function checkCluster(context: Context, message: object, field: string, name: string): void {
  if (name === '' || context.clusters.has(name)) return
  const hint = didYouMean(name, context.clusters)
  context.origins.add(message, [field], 'bad-reference', `no cluster is called "${name}"`, hint)
}
