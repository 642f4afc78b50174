/** What a configuration means, written out in Envoy's form. */

import { stringify } from 'yaml'
import type { LoadedConfiguration } from './index.ts'

/** YAML that means the same when it is loaded, whatever form the configuration was written in. */
export function effectiveYaml(loaded: LoadedConfiguration): string {
  return stringify(loaded.effective(), { aliasDuplicateObjects: false, lineWidth: 0 })
}
