/** Matchers of headers, query parameters and texts, and fractions of requests. */

import type {
  NativeFraction,
  NativeHeaderMatcher,
  NativeQueryMatcher,
  NativeStringMatcher,
} from '../../native/index.ts'
import type {
  FractionalPercent,
  HeaderMatcher,
  QueryParameterMatcher,
  RuntimeFractionalPercent,
  StringMatcher,
} from '../schema/messages.generated.ts'
import { type Context, matchTable } from './context.ts'

export function compileString(
  context: Context,
  matcher: StringMatcher,
): NativeStringMatcher | undefined {
  const ignoreCase = matcher.ignore_case ? { ignoreCase: true } : {}
  for (const kind of ['exact', 'prefix', 'suffix', 'contains'] as const) {
    const value = matcher[kind]
    if (value !== undefined) return { kind, value, ...ignoreCase }
  }
  if (matcher.safe_regex === undefined) return undefined
  return { kind: 'regex', dfa: matchTable(context, matcher.safe_regex) }
}

export function compileHeaderMatcher(
  context: Context,
  matcher: HeaderMatcher,
): NativeHeaderMatcher {
  const common = {
    name: (matcher.name ?? '').toLowerCase(),
    ...(matcher.invert_match ? { invert: true } : {}),
    ...(matcher.treat_missing_header_as_empty ? { treatMissingAsEmpty: true } : {}),
  }
  const range = matcher.range_match
  if (range !== undefined) {
    return { ...common, kind: 'range', range: [range.start ?? 0, range.end ?? 0] }
  }
  const string = headerString(context, matcher)
  if (string !== undefined) return { ...common, kind: 'string', string }
  return { ...common, kind: 'present', present: matcher.present_match ?? true }
}

/** The newer `string_match`, or one of the older fields that say the same. */
function headerString(context: Context, matcher: HeaderMatcher): NativeStringMatcher | undefined {
  if (matcher.string_match !== undefined) return compileString(context, matcher.string_match)
  if (matcher.safe_regex_match !== undefined) {
    return { kind: 'regex', dfa: matchTable(context, matcher.safe_regex_match) }
  }
  for (const kind of ['exact', 'prefix', 'suffix', 'contains'] as const) {
    const value = matcher[`${kind}_match`]
    if (value !== undefined) return { kind, value }
  }
  return undefined
}

export function compileQueryMatcher(
  context: Context,
  matcher: QueryParameterMatcher,
): NativeQueryMatcher {
  const name = matcher.name ?? ''
  const string = matcher.string_match && compileString(context, matcher.string_match)
  return string === undefined ? { name, present: matcher.present_match ?? true } : { name, string }
}

const denominators = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 } as const

export function compileFraction(
  context: Context,
  fraction: RuntimeFractionalPercent,
): NativeFraction {
  const { default_value: value, runtime_key: key = '' } = fraction
  return { flag: key === '' ? -1 : context.resolver.runtime(key), ...partOf(context, value) }
}

export function partOf(
  context: Context,
  value: FractionalPercent | undefined,
): Pick<NativeFraction, 'numerator' | 'denominator'> {
  const denominator = denominators[value?.denominator ?? 'HUNDRED']
  const numerator = value?.numerator ?? 0
  if (value !== undefined && numerator > denominator) {
    context.origins.add(value, ['numerator'], 'bad-value', `is more than the whole, ${denominator}`)
  }
  return { numerator, denominator }
}
