/**
 * Paths with parameters (`/private;v=1/x`, RFC 3986, section 3.3). Servlet containers and others
 * drop them before they look for who answers, so that a route of `/private` has to take them too,
 * or it keeps nobody out.
 */

/** Of one segment. */
const kParameters = '(;[^/]*)?'

/**
 * Paths whose parameters hide where they lead: `/x/..;/private` is `/private` to some servers, and
 * so is `/;x/private`. `/;x` alone is a way to write `/`.
 */
export const kHiddenPaths = '.*/(\\.\\.?;.*|;[^/]*/.*)'

/** A path as a pattern that also has it with parameters, for the beginning of a path. */
export function withParameters(path: string): string {
  const [, ...segments] = path.split('/')
  const last = segments.length - 1
  return segments
    .map((segment, i) => {
      const isOpen = i === last && segment === ''
      return `/${segment.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&')}${isOpen ? '' : kParameters}`
    })
    .join('')
}

/** As a whole. `exact`: nothing may follow. */
export function pathPattern(path: string, exact: boolean): string {
  const pattern = withParameters(path)
  if (exact) return path.endsWith('/') ? `${pattern}${kParameters}` : pattern
  return path.endsWith('/') ? `${pattern}.*` : `${pattern}(/.*)?`
}
