/** Formats of access logs and header values compiled to operators, and filters of access logs. */

import type { NativeHeaderMatcher } from './matching.ts'
import type { RuntimeIndex } from './values.ts'

/** A literal, or an operator: `%REQ(X?Y):Z%` is { op: 'REQ', a: 'x', b: 'y', max: Z }. */
export type NativeFormatOp =
  | string
  | {
      readonly op: string
      readonly a?: string
      readonly b?: string
      readonly c?: string
      readonly max?: number
    }

export type NativeJsonNode =
  | { readonly kind: 'object'; readonly entries: readonly (readonly [string, NativeJsonNode])[] }
  | { readonly kind: 'list'; readonly items: readonly NativeJsonNode[] }
  /** One operator alone keeps its type (number, null); anything else is a string. */
  | { readonly kind: 'value'; readonly ops: readonly NativeFormatOp[] }
  /** Ready JSON text. */
  | { readonly kind: 'literal'; readonly json: string }

export type NativeFormat =
  | { readonly mode: 'text'; readonly ops: readonly NativeFormatOp[]; readonly omitEmpty?: boolean }
  | { readonly mode: 'json'; readonly root: NativeJsonNode; readonly omitEmpty: boolean }

export type NativeLogFilter =
  | {
      readonly kind: 'status' | 'duration'
      readonly op: 'eq' | 'ge' | 'le' | 'ne'
      readonly value: number
      readonly flag: RuntimeIndex
    }
  | { readonly kind: 'and' | 'or'; readonly filters: readonly NativeLogFilter[] }
  | { readonly kind: 'header'; readonly header: NativeHeaderMatcher }
  /** Empty: any flag. Short names (`UH`, `NR`). */
  | { readonly kind: 'flag'; readonly flags: readonly string[] }

export interface NativeAccessLog {
  /** From `NativeCore.openLog()`. */
  readonly log: number
  readonly format: NativeFormat
  readonly filter?: NativeLogFilter
}
