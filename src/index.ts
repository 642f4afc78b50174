/**
 * `millrace`: a proxy inside a program, and its configurations. `await createProxy({ listen: 8080,
 * routes: { '/': 'http://127.0.0.1:3000' } })` serves. Loading and checking a configuration needs
 * no native core: `await loadConfiguration({ kind: 'file', path })` gives it without a fault, or
 * throws a {@link ConfigError} with every problem in it.
 */

export {
  ConfigError,
  type ConfigSource,
  type EnvoyConfiguration,
  effectiveYaml,
  findConfiguration,
  formatProblem,
  type LoadedConfiguration,
  loadConfiguration,
  type Problem,
  type ProblemCode,
  type ShortConfiguration,
} from './config/index.ts'
export type { EndpointState, ProxyCluster } from './embed/cluster.ts'
export type { ConfigurationFile, ProxyConfiguration } from './embed/configuration.ts'
export type {
  Endpoint,
  EndpointHealth,
  EndpointOptions,
  EndpointsChange,
} from './embed/endpoints.ts'
export {
  type CloseReport,
  type ConfigChanges,
  type ConfigEvent,
  channelNames,
  type DrainEvent,
  type HealthEvent,
  type LogEvent,
  type ProxyEvents,
} from './embed/events.ts'
export type { ProxyOptions } from './embed/options.ts'
export {
  createProxy,
  type DrainOptions,
  type DrainReport,
  type ListenAddress,
  Proxy,
  type ProxyState,
} from './embed/proxy.ts'
export type { ProxyRuntime, RuntimeValue } from './embed/runtime.ts'
export type {
  CounterSample,
  GaugeSample,
  HistogramSample,
  StatSample,
  StatsOptions,
  StatsSample,
} from './embed/stats.ts'
export type { ErrorCode } from './error_codes.ts'
export { MillraceError, type MillraceErrorOptions } from './errors.ts'
export type { Logger, LogLevel } from './log.ts'
