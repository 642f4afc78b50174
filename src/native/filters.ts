/** HTTP filters, and what routes tell them. */

/**
 * Stands for a filter's configured name, by which routes speak to it: the same name, the same
 * number, for the life of the process.
 */
export type FilterId = number

/** What a filter is; `kind` tells which. */
export type NativeFilterConfig = never

export interface NativeHttpFilter {
  readonly id: FilterId
  readonly name: string
  /** Unless a route says otherwise. */
  readonly disabled?: boolean
  readonly config: NativeFilterConfig
}

/** What a route tells a filter of the type that `kind` names. */
export type NativeFilterRouteConfig = never

/** What a route tells one filter, with what its virtual host and its table tell it. */
export interface NativeFilterOverride {
  readonly filter: FilterId
  readonly disabled?: boolean
  /** Index into `filterConfigs` of the route table; absent: nothing. */
  readonly config?: number
}
