/** What a configuration means, written out in Envoy's form. */

import { createRequire } from 'node:module'
import type { LoadedConfiguration } from './types.ts'

/** YAML that means the same when it is loaded, whatever form the configuration was written in. */
export function effectiveYaml(loaded: LoadedConfiguration): string {
  // Loading YAML's code takes longer than anything else here, and a server that runs never prints.
  const { stringify } = createRequire(import.meta.url)('yaml') as typeof import('yaml')
  return stringify(loaded.effective(), { aliasDuplicateObjects: false, lineWidth: 0 })
}
