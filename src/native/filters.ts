/** HTTP filters, and what routes tell them. */

/**
 * Stands for a filter's configured name, by which routes speak to it: the same name, the same
 * number, for the life of the process.
 */
export type FilterId = number

/** Where a client keeps the address of its host. */
export interface NativeSession {
  readonly state: 'none' | 'cookie' | 'header'
  /** Of the cookie or the header. */
  readonly name?: string
  /** Of the cookie, seconds; 0: until the client ends. */
  readonly ttl?: number
  /** Of the cookie. */
  readonly path?: string
  /** Requests go to the host that they ask for, or to none. */
  readonly strict?: boolean
}

export interface NativeDynamicForwardProxy {
  readonly kind: 'dynamic-forward-proxy'
}

/** Which host a request to a dynamic forward proxy names instead of its own. */
export interface NativeDynamicForwardProxyRoute {
  readonly kind: 'dynamic-forward-proxy'
  readonly host?: string
  /** The value of this header, lower case, where a request has it. */
  readonly header?: string
}

/** What a filter is; `kind` tells which. */
export type NativeFilterConfig =
  | NativeDynamicForwardProxy
  | ({ readonly kind: 'stateful-session' } & NativeSession)

export interface NativeHttpFilter {
  readonly id: FilterId
  readonly name: string
  /** Unless a route says otherwise. */
  readonly disabled?: boolean
  readonly config: NativeFilterConfig
}

/** What a route tells a filter of the type that `kind` names. */
export type NativeFilterRouteConfig =
  | NativeDynamicForwardProxyRoute
  | {
      readonly kind: 'stateful-session'
      readonly disabled?: boolean
      /** Unless disabled. */
      readonly session?: NativeSession
    }

/** What a route tells one filter, with what its virtual host and its table tell it. */
export interface NativeFilterOverride {
  readonly filter: FilterId
  readonly disabled?: boolean
  /** Index into `filterConfigs` of the route table; absent: nothing. */
  readonly config?: number
}
