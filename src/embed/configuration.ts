/** What a proxy's configuration can be given as. */

import { fileURLToPath } from 'node:url'
import { argumentError, kindOf } from '../arguments.ts'
import type { ConfigSource, EnvoyConfiguration, ShortConfiguration } from '../config/index.ts'
import { optionsObject, text } from './arguments.ts'

/** A file, read anew by each `apply` that names it. */
export interface ConfigurationFile {
  readonly file: string | URL
}

/**
 * The short form or Envoy's v3 bootstrap, as plain objects or as a text in YAML or JSON; or the
 * file that one of them is in.
 */
export type ProxyConfiguration =
  | ShortConfiguration
  | EnvoyConfiguration
  | ConfigurationFile
  | string

/** Stands in errors where a file's name would. */
const kName = 'configuration'

export function configurationSource(value: unknown): ConfigSource {
  if (typeof value === 'string') return textSource(value)
  if (typeof value !== 'object' || value === null) {
    const hint = 'write an object, a text in YAML or JSON, or { file: "path" }'
    throw argumentError(kName, `is no configuration: ${kindOf(value)}`, hint)
  }
  if (!('file' in value)) return { kind: 'object', name: kName, value }
  const { file } = optionsObject(value, kName, ['file'])
  return { kind: 'file', path: pathOf(file) }
}

function textSource(value: string): ConfigSource {
  // Neither YAML nor JSON of one line can be a configuration without one of these.
  if (value !== '' && !/[\n:{[]/.test(value)) {
    const hint = `if it is a file: { file: ${JSON.stringify(value)} }`
    throw argumentError(kName, `is no configuration: ${kindOf(value)}`, hint)
  }
  return { kind: 'text', name: kName, text: value }
}

function pathOf(file: unknown): string {
  if (!(file instanceof URL)) return text(file, `${kName}.file`)
  if (file.protocol === 'file:') return fileURLToPath(file)
  throw argumentError(`${kName}.file`, `must be a path or a file: URL, not ${file.href}`)
}
