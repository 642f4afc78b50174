/**
 * The door of the configuration: from what the user wrote to what the native core takes.
 *
 * `findConfiguration` → `loadConfiguration` (parse, expand the short form, check everything, all
 * problems at once) → `compile` (names to slots, expressions to tables). A configuration that was
 * loaded compiles; whatever could be wrong with it was said by `loadConfiguration`.
 */

export { readAssignments } from './assignments.ts'
export { compile, sameConfiguration } from './compile/compile.ts'
export type * from './definitions.ts'
export { effectiveYaml } from './effective.ts'
export { findConfiguration, searchPath } from './find.ts'
export { loadConfiguration } from './load.ts'
export { ConfigError, formatProblem, type Problem, type ProblemCode } from './problem.ts'
export { compileSearch, RegexError } from './regex/regex.ts'
export type { Bootstrap as EnvoyConfiguration } from './schema/written.generated.ts'
export type { ShortConfiguration } from './short/types.ts'
export { readStandardInput } from './source/read.ts'
export type {
  CompiledCluster,
  CompiledConfiguration,
  CompiledRouteTable,
  CompileResolver,
  ConfigSource,
  LoadedConfiguration,
} from './types.ts'
