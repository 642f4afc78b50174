/**
 * The keys of the short form at its top; here alone, so that telling the forms apart loads no more.
 */
export const kShortKeys: readonly string[] = [
  'listen',
  'routes',
  'hosts',
  'upstreams',
  'timeouts',
  'normalize_paths',
  'access_log',
  'admin',
]
