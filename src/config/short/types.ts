/** The short form as a program writes it. What each key does is in docs/configuration.md. */

/** A port (of all IPv4 addresses), `address:port`, `localhost:port`, or `unix:/path`. */
export type ShortAddress = number | string

/** `http://host:port`, `host:port`, a port of this machine, or `unix:/path`. */
export type ShortUrl = number | string | URL

export interface ShortWeightedUrl {
  readonly url: ShortUrl
  /** From 1; 1 without it. */
  readonly weight?: number
}

/** One address, or several that take turns. */
export type ShortUrls = ShortUrl | ShortWeightedUrl | readonly (ShortUrl | ShortWeightedUrl)[]

/** `1.5s`, `250ms`, `2m`, `1h30m`; 0, false or `off` for none. */
export type ShortDuration = string | 0 | false

/** Header names and values; null removes one. Values may use `%OPERATORS%`. */
export type ShortHeaderValues = Readonly<Record<string, string | number | boolean | null>>

export interface ShortHeaders {
  readonly request?: ShortHeaderValues
  readonly response?: ShortHeaderValues
}

export interface ShortForward {
  /** An address, several, or the name of an upstream. */
  readonly to: ShortUrls
  readonly timeout?: ShortDuration
  readonly strip_prefix?: boolean
  readonly rewrite?: string
  readonly host?: string
  readonly headers?: ShortHeaders
}

export interface ShortRedirect {
  /** `https`, a path, or a URL. */
  readonly redirect: string | { readonly to: string; readonly status?: 301 | 302 | 303 | 307 | 308 }
  readonly headers?: ShortHeaders
}

export interface ShortRespond {
  readonly respond: number | string | { readonly status?: number; readonly body?: string }
  readonly headers?: ShortHeaders
}

export type ShortRoute = ShortUrls | ShortForward | ShortRedirect | ShortRespond

/** Paths to targets: the longest path wins. */
export type ShortRoutes = Readonly<Record<string, ShortRoute>>

export interface ShortUpstream {
  readonly to: ShortUrls
  readonly connect_timeout?: ShortDuration
  readonly idle_timeout?: ShortDuration
  readonly max_connections?: number
  readonly max_pending_requests?: number
  readonly max_requests?: number
}

export interface ShortTimeouts {
  readonly connect?: ShortDuration
  readonly response?: ShortDuration
  readonly idle?: ShortDuration
  readonly stream_idle?: ShortDuration
  readonly headers?: ShortDuration
  readonly request?: ShortDuration
}

export type ShortLog =
  | boolean
  | string
  | { readonly to: string; readonly format?: string | Readonly<Record<string, unknown>> }

interface ShortBase {
  readonly listen: ShortAddress | readonly ShortAddress[]
  readonly upstreams?: Readonly<Record<string, ShortUrls | ShortUpstream>>
  readonly timeouts?: ShortTimeouts
  /** False: paths go to routes and upstreams as clients write them. */
  readonly normalize_paths?: boolean
  readonly access_log?: ShortLog | readonly ShortLog[]
  readonly admin?: ShortAddress | false | Readonly<Record<string, unknown>>
}

type ShortHosts = Readonly<Record<string, { readonly routes: ShortRoutes } | ShortRoute>>

/** A whole configuration: where to listen, and where requests go. */
export type ShortConfiguration = ShortBase &
  (
    | { readonly routes: ShortRoutes; readonly hosts?: ShortHosts }
    | { readonly routes?: ShortRoutes; readonly hosts: ShortHosts }
  )
