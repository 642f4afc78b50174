/** Header mutations of weighted clusters, routes, virtual hosts and route tables. */

import type {
  NativeFormatOp,
  NativeHeaderMutations,
  NativeHeaderValue,
} from '../../native/index.ts'
import { FormatError, parseFormat } from '../format/format.ts'
import type { HeaderValueOption } from '../schema/messages.generated.ts'
import type { Context } from './context.ts'

/** The four fields that every level has. */
interface Mutations {
  readonly request_headers_to_add?: readonly HeaderValueOption[]
  readonly request_headers_to_remove?: readonly string[]
  readonly response_headers_to_add?: readonly HeaderValueOption[]
  readonly response_headers_to_remove?: readonly string[]
}

const actions = {
  APPEND_IF_EXISTS_OR_ADD: 'append',
  ADD_IF_ABSENT: 'add-if-absent',
  OVERWRITE_IF_EXISTS_OR_ADD: 'overwrite',
  OVERWRITE_IF_EXISTS: 'overwrite-if-exists',
} as const

export function compileMutations(
  context: Context,
  message: Mutations,
): { request?: NativeHeaderMutations; response?: NativeHeaderMutations } {
  const request = oneSide(context, message, 'request')
  const response = oneSide(context, message, 'response')
  return { ...(request && { request }), ...(response && { response }) }
}

function oneSide(
  context: Context,
  message: Mutations,
  side: 'request' | 'response',
): NativeHeaderMutations | undefined {
  const add = message[`${side}_headers_to_add`] ?? []
  const remove = message[`${side}_headers_to_remove`] ?? []
  if (add.length === 0 && remove.length === 0) return undefined
  remove.forEach((name, i) => {
    if (mayChange(name)) return
    const place = [`${side}_headers_to_remove`, i] as const
    context.origins.add(message, place, 'bad-value', 'host and names with ":" cannot be removed')
  })
  return {
    add: add.flatMap((option) => headerValue(context, option) ?? []),
    remove: remove.map((name) => name.toLowerCase()),
  }
}

const mayChange = (name: string): boolean => !name.startsWith(':') && name.toLowerCase() !== 'host'

function headerValue(context: Context, option: HeaderValueOption): NativeHeaderValue | undefined {
  const { header, append, append_action, keep_empty_value } = option
  if (header?.key === undefined) return undefined
  if (!mayChange(header.key)) {
    const hint = 'a route changes host and path by fields of its own'
    context.origins.add(header, ['key'], 'bad-value', 'host and names with ":" cannot be set', hint)
  }
  if (append !== undefined && append_action !== undefined) {
    context.origins.add(
      option,
      ['append'],
      'conflict',
      'excludes append_action, which is set here too',
    )
  }
  const deprecated = append === undefined ? 'append' : append ? 'append' : 'overwrite'
  return {
    name: header.key,
    value: formatField(context, header, 'value', header.value ?? ''),
    action: append_action === undefined ? deprecated : actions[append_action],
    keepEmpty: keep_empty_value ?? false,
  }
}

/** A field that is a format string; what is wrong in it is said at its character. */
export function formatField(
  context: Context,
  message: object,
  field: string,
  text: string,
): NativeFormatOp[] {
  try {
    return parseFormat(text)
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    const range = [error.from, error.to] as const
    context.origins.addInText(message, [field], range, error.message, error.hint)
    return []
  }
}
