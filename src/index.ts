/**
 * `millrace`: what a program can do with Millrace's configurations. Loading and checking one needs
 * no native core: `await loadConfiguration({ kind: 'file', path })` gives it without a fault, or
 * throws a {@link ConfigError} with every problem in it.
 */

export {
  ConfigError,
  type ConfigSource,
  effectiveYaml,
  findConfiguration,
  formatProblem,
  type LoadedConfiguration,
  loadConfiguration,
  type Problem,
  type ProblemCode,
} from './config/index.ts'
export { MillraceError, type MillraceErrorOptions } from './errors.ts'
