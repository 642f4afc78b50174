/** Which configuration file is taken when none is named. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'

const kFiles: readonly string[] = [
  'millrace.yaml',
  'millrace.yml',
  'millrace.json',
  'envoy.yaml',
  '/etc/millrace/millrace.yaml',
]

/** Where a configuration is looked for, in this order; the first that exists is taken. */
export function searchPath(environment: NodeJS.ProcessEnv = process.env): readonly string[] {
  const named = environment.MILLRACE_CONFIG
  return named === undefined || named === '' ? kFiles : [named, ...kFiles]
}

/**
 * The file that is taken, or undefined. One that MILLRACE_CONFIG names is taken even if it is not
 * there.
 */
export function findConfiguration(
  environment: NodeJS.ProcessEnv = process.env,
  folder: string = process.cwd(),
): string | undefined {
  const named = environment.MILLRACE_CONFIG
  if (named !== undefined && named !== '') return named
  return kFiles.find((file) => existsSync(file.startsWith('/') ? file : join(folder, file)))
}
