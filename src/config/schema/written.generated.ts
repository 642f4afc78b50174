// Made by generate.mjs from Envoy's .proto files and implemented.yaml; not to be edited.
// biome-ignore-all format: as generated

/** Seconds, such as `0.25s`. */
export type EnvoyDuration = `${number}s`

/** One of these messages, with the URL that says which. */
export type EnvoyExtension<N extends keyof EnvoyExtensions> = {
  [K in N]: EnvoyExtensions[K] & { readonly '@type': `type.googleapis.com/${K}` }
}[N]

/** envoy.config.bootstrap.v3.Bootstrap */
export interface Bootstrap {
  readonly node?: Node
  readonly static_resources?: BootstrapStaticResources
  readonly cluster_manager?: ClusterManager
  readonly stats_config?: StatsConfig
  readonly stats_flush_interval?: EnvoyDuration
  readonly layered_runtime?: LayeredRuntime
  readonly admin?: Admin
  readonly use_tcp_for_dns_lookups?: boolean
  readonly dns_resolution_config?: DnsResolutionConfig
  readonly typed_dns_resolver_config?: TypedExtensionConfig
}

/** envoy.config.bootstrap.v3.ClusterManager */
export interface ClusterManager {
  readonly local_cluster_name?: string
  readonly outlier_detection?: ClusterManagerOutlierDetection
}

/** envoy.config.bootstrap.v3.ClusterManager.OutlierDetection */
export interface ClusterManagerOutlierDetection {
  readonly event_log_path?: string
}

/** envoy.config.bootstrap.v3.Bootstrap.StaticResources */
export interface BootstrapStaticResources {
  readonly listeners?: readonly Listener[]
  readonly clusters?: readonly Cluster[]
}

/** envoy.config.bootstrap.v3.Admin */
export interface Admin {
  readonly access_log_path?: string
  readonly profile_path?: unknown
  readonly address?: Address
  readonly ignore_global_conn_limit?: unknown
}

/** envoy.config.core.v3.Node */
export interface Node {
  readonly id?: string
  readonly cluster?: string
  readonly metadata?: unknown
  readonly dynamic_parameters?: Readonly<Record<string, unknown>>
  readonly locality?: Locality
  readonly user_agent_name?: unknown
  readonly user_agent_version?: unknown
  readonly user_agent_build_version?: unknown
  readonly extensions?: readonly unknown[]
  readonly client_features?: readonly unknown[]
  readonly listening_addresses?: readonly unknown[]
}

/** envoy.config.bootstrap.v3.LayeredRuntime */
export interface LayeredRuntime {
  readonly layers?: readonly RuntimeLayer[]
}

/** envoy.config.bootstrap.v3.RuntimeLayer */
export interface RuntimeLayer {
  readonly name?: string
  readonly static_layer?: Readonly<Record<string, unknown>>
}

/** envoy.config.metrics.v3.StatsConfig */
export interface StatsConfig {
  readonly use_all_default_tags?: boolean
}

/** envoy.config.listener.v3.Listener */
export interface Listener {
  readonly name?: string
  readonly address?: Address
  readonly additional_addresses?: readonly AdditionalAddress[]
  readonly stat_prefix?: string
  readonly filter_chains?: readonly FilterChain[]
  readonly use_original_dst?: boolean
  readonly default_filter_chain?: FilterChain
  readonly per_connection_buffer_limit_bytes?: number
  readonly metadata?: unknown
  readonly drain_type?: 'DEFAULT' | 'MODIFY_ONLY'
  readonly listener_filters?: readonly ListenerFilter[]
  readonly listener_filters_timeout?: unknown
  readonly continue_on_listener_filters_timeout?: unknown
  readonly transparent?: boolean
  readonly freebind?: boolean
  readonly traffic_direction?: unknown
  readonly reuse_port?: boolean
  readonly enable_reuse_port?: boolean
  readonly tcp_backlog_size?: number
  readonly bind_to_port?: boolean
  readonly ignore_global_conn_limit?: unknown
  readonly bypass_overload_manager?: unknown
}

/** envoy.config.listener.v3.ListenerFilter */
export interface ListenerFilter {
  readonly name?: string
  readonly typed_config?: EnvoyExtension<'envoy.extensions.filters.listener.original_dst.v3.OriginalDst'>
}

/** envoy.extensions.filters.listener.original_dst.v3.OriginalDst */
export type OriginalDst = object

/** envoy.config.listener.v3.AdditionalAddress */
export interface AdditionalAddress {
  readonly address?: Address
}

/** envoy.config.listener.v3.FilterChain */
export interface FilterChain {
  readonly filter_chain_match?: FilterChainMatch
  readonly filters?: readonly Filter[]
  readonly metadata?: unknown
  readonly transport_socket?: TransportSocket
  readonly transport_socket_connect_timeout?: unknown
  readonly name?: string
}

/** envoy.config.listener.v3.FilterChainMatch */
export interface FilterChainMatch {
  readonly destination_port?: number
}

/** envoy.config.listener.v3.Filter */
export interface Filter {
  readonly name?: string
  readonly typed_config?: EnvoyExtension<'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager' | 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy'>
}

/** envoy.config.core.v3.TransportSocket */
export interface TransportSocket {
  readonly name?: string
  readonly typed_config?: EnvoyExtension<'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer' | 'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport'>
}

/** envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport */
export interface ProxyProtocolUpstreamTransport {
  readonly config?: ProxyProtocolConfig
  readonly transport_socket?: TransportSocket
}

/** envoy.config.core.v3.ProxyProtocolConfig */
export interface ProxyProtocolConfig {
  readonly version?: 'V1' | 'V2'
}

/** envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer */
export type RawBuffer = object

/** envoy.config.core.v3.Address */
export interface Address {
  readonly socket_address?: SocketAddress
  readonly pipe?: Pipe
}

/** envoy.config.core.v3.SocketAddress */
export interface SocketAddress {
  readonly protocol?: 'TCP'
  readonly address?: string
  readonly port_value?: number
  readonly named_port?: string
  readonly ipv4_compat?: boolean
}

/** envoy.config.core.v3.Pipe */
export interface Pipe {
  readonly path?: string
  readonly mode?: number
}

/** envoy.config.core.v3.CidrRange */
export interface CidrRange {
  readonly address_prefix?: string
  readonly prefix_len?: number
}

/** envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy */
export interface TcpProxy {
  readonly stat_prefix?: string
  readonly cluster?: string
  readonly weighted_clusters?: TcpProxyWeightedCluster
  readonly idle_timeout?: EnvoyDuration
  readonly access_log?: readonly AccessLog[]
  readonly max_connect_attempts?: number
  readonly hash_policy?: readonly HashPolicy[]
  readonly max_downstream_connection_duration?: EnvoyDuration
}

/** envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster */
export interface TcpProxyWeightedCluster {
  readonly clusters?: readonly TcpProxyWeightedClusterClusterWeight[]
}

/** envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight */
export interface TcpProxyWeightedClusterClusterWeight {
  readonly name?: string
  readonly weight?: number
}

/** envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager */
export interface HttpConnectionManager {
  readonly codec_type?: 'AUTO' | 'HTTP1'
  readonly stat_prefix?: string
  readonly route_config?: RouteConfiguration
  readonly http_filters?: readonly HttpFilter[]
  readonly add_user_agent?: boolean
  readonly common_http_protocol_options?: HttpProtocolOptions
  readonly http_protocol_options?: Http1ProtocolOptions
  readonly server_name?: string
  readonly server_header_transformation?: 'OVERWRITE' | 'APPEND_IF_ABSENT' | 'PASS_THROUGH'
  readonly scheme_header_transformation?: SchemeHeaderTransformation
  readonly max_request_headers_kb?: number
  readonly stream_idle_timeout?: EnvoyDuration
  readonly request_timeout?: EnvoyDuration
  readonly request_headers_timeout?: EnvoyDuration
  readonly drain_timeout?: EnvoyDuration
  readonly delayed_close_timeout?: EnvoyDuration
  readonly access_log?: readonly AccessLog[]
  readonly use_remote_address?: boolean
  readonly xff_num_trusted_hops?: number
  readonly internal_address_config?: HttpConnectionManagerInternalAddressConfig
  readonly skip_xff_append?: boolean
  readonly via?: string
  readonly generate_request_id?: boolean
  readonly preserve_external_request_id?: boolean
  readonly always_set_request_id_in_response?: boolean
  readonly forward_client_cert_details?: 'SANITIZE'
  readonly proxy_100_continue?: boolean
  readonly normalize_path?: boolean
  readonly merge_slashes?: boolean
  readonly path_with_escaped_slashes_action?: 'IMPLEMENTATION_SPECIFIC_DEFAULT' | 'KEEP_UNCHANGED' | 'REJECT_REQUEST' | 'UNESCAPE_AND_REDIRECT' | 'UNESCAPE_AND_FORWARD'
  readonly strip_matching_host_port?: boolean
  readonly strip_any_host_port?: boolean
  readonly stream_error_on_invalid_http_message?: boolean
  readonly strip_trailing_host_dot?: boolean
  readonly append_x_forwarded_port?: boolean
}

/** envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.InternalAddressConfig */
export interface HttpConnectionManagerInternalAddressConfig {
  readonly cidr_ranges?: readonly CidrRange[]
}

/** envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter */
export interface HttpFilter {
  readonly name?: string
  readonly typed_config?: EnvoyExtension<'envoy.extensions.filters.http.router.v3.Router' | 'envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig' | 'envoy.extensions.filters.http.stateful_session.v3.StatefulSession' | 'envoy.extensions.filters.http.admission_control.v3.AdmissionControl' | 'envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency'>
  readonly is_optional?: boolean
  readonly disabled?: boolean
}

/** envoy.extensions.filters.http.stateful_session.v3.StatefulSession */
export interface StatefulSession {
  readonly session_state?: TypedExtensionConfig
  readonly strict?: boolean
}

/** envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute */
export interface StatefulSessionPerRoute {
  readonly disabled?: boolean
  readonly stateful_session?: StatefulSession
}

/** envoy.extensions.filters.http.admission_control.v3.AdmissionControl */
export interface AdmissionControl {
  readonly enabled?: RuntimeFeatureFlag
  readonly success_criteria?: AdmissionControlSuccessCriteria
  readonly sampling_window?: EnvoyDuration
  readonly aggression?: RuntimeDouble
  readonly sr_threshold?: RuntimePercent
  readonly rps_threshold?: RuntimeUInt32
  readonly max_rejection_probability?: RuntimePercent
}

/** envoy.extensions.filters.http.admission_control.v3.AdmissionControl.SuccessCriteria */
export interface AdmissionControlSuccessCriteria {
  readonly http_criteria?: AdmissionControlSuccessCriteriaHttpCriteria
  readonly grpc_criteria?: AdmissionControlSuccessCriteriaGrpcCriteria
}

/** envoy.extensions.filters.http.admission_control.v3.AdmissionControl.SuccessCriteria.HttpCriteria */
export interface AdmissionControlSuccessCriteriaHttpCriteria {
  readonly http_success_status?: readonly Int32Range[]
}

/** envoy.extensions.filters.http.admission_control.v3.AdmissionControl.SuccessCriteria.GrpcCriteria */
export interface AdmissionControlSuccessCriteriaGrpcCriteria {
  readonly grpc_success_status?: readonly number[]
}

/** envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency */
export interface AdaptiveConcurrency {
  readonly gradient_controller_config?: GradientControllerConfig
  readonly enabled?: RuntimeFeatureFlag
  readonly concurrency_limit_exceeded_status?: HttpStatus
}

/** envoy.extensions.filters.http.adaptive_concurrency.v3.GradientControllerConfig */
export interface GradientControllerConfig {
  readonly sample_aggregate_percentile?: Percent
  readonly concurrency_limit_params?: GradientControllerConfigConcurrencyLimitCalculationParams
  readonly min_rtt_calc_params?: GradientControllerConfigMinimumRTTCalculationParams
}

/** envoy.extensions.filters.http.adaptive_concurrency.v3.GradientControllerConfig.ConcurrencyLimitCalculationParams */
export interface GradientControllerConfigConcurrencyLimitCalculationParams {
  readonly max_concurrency_limit?: number
  readonly concurrency_update_interval?: EnvoyDuration
}

/** envoy.extensions.filters.http.adaptive_concurrency.v3.GradientControllerConfig.MinimumRTTCalculationParams */
export interface GradientControllerConfigMinimumRTTCalculationParams {
  readonly interval?: EnvoyDuration
  readonly request_count?: number
  readonly jitter?: Percent
  readonly min_concurrency?: number
  readonly buffer?: Percent
}

/** envoy.type.v3.HttpStatus */
export interface HttpStatus {
  readonly code?: 'Empty' | 'Continue' | 'OK' | 'Created' | 'Accepted' | 'NonAuthoritativeInformation' | 'NoContent' | 'ResetContent' | 'PartialContent' | 'MultiStatus' | 'AlreadyReported' | 'IMUsed' | 'MultipleChoices' | 'MovedPermanently' | 'Found' | 'SeeOther' | 'NotModified' | 'UseProxy' | 'TemporaryRedirect' | 'PermanentRedirect' | 'BadRequest' | 'Unauthorized' | 'PaymentRequired' | 'Forbidden' | 'NotFound' | 'MethodNotAllowed' | 'NotAcceptable' | 'ProxyAuthenticationRequired' | 'RequestTimeout' | 'Conflict' | 'Gone' | 'LengthRequired' | 'PreconditionFailed' | 'PayloadTooLarge' | 'URITooLong' | 'UnsupportedMediaType' | 'RangeNotSatisfiable' | 'ExpectationFailed' | 'MisdirectedRequest' | 'UnprocessableEntity' | 'Locked' | 'FailedDependency' | 'UpgradeRequired' | 'PreconditionRequired' | 'TooManyRequests' | 'RequestHeaderFieldsTooLarge' | 'InternalServerError' | 'NotImplemented' | 'BadGateway' | 'ServiceUnavailable' | 'GatewayTimeout' | 'HTTPVersionNotSupported' | 'VariantAlsoNegotiates' | 'InsufficientStorage' | 'LoopDetected' | 'NotExtended' | 'NetworkAuthenticationRequired'
}

/** envoy.type.v3.Int32Range */
export interface Int32Range {
  readonly start?: number
  readonly end?: number
}

/** envoy.config.core.v3.RuntimeFeatureFlag */
export interface RuntimeFeatureFlag {
  readonly default_value?: boolean
  readonly runtime_key?: string
}

/** envoy.config.core.v3.RuntimePercent */
export interface RuntimePercent {
  readonly default_value?: Percent
  readonly runtime_key?: string
}

/** envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState */
export interface CookieBasedSessionState {
  readonly cookie?: Cookie
}

/** envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState */
export interface HeaderBasedSessionState {
  readonly name?: string
}

/** envoy.type.http.v3.Cookie */
export interface Cookie {
  readonly name?: string
  readonly ttl?: EnvoyDuration
  readonly path?: string
}

/** envoy.extensions.filters.http.router.v3.Router */
export interface Router {
  readonly dynamic_stats?: unknown
  readonly suppress_envoy_headers?: boolean
  readonly suppress_grpc_request_failure_code_stats?: unknown
}

/** envoy.config.core.v3.HttpProtocolOptions */
export interface HttpProtocolOptions {
  readonly idle_timeout?: EnvoyDuration
  readonly max_connection_duration?: EnvoyDuration
  readonly max_headers_count?: number
  readonly max_stream_duration?: EnvoyDuration
  readonly headers_with_underscores_action?: 'ALLOW' | 'REJECT_REQUEST' | 'DROP_HEADER'
  readonly max_requests_per_connection?: number
}

/** envoy.config.core.v3.Http1ProtocolOptions */
export interface Http1ProtocolOptions {
  readonly allow_absolute_url?: boolean
  readonly accept_http_10?: boolean
  readonly default_host_for_http_10?: string
  readonly header_key_format?: Http1ProtocolOptionsHeaderKeyFormat
  readonly enable_trailers?: boolean
  readonly override_stream_error_on_invalid_http_message?: boolean
  readonly use_balsa_parser?: unknown
}

/** envoy.config.core.v3.Http1ProtocolOptions.HeaderKeyFormat */
export interface Http1ProtocolOptionsHeaderKeyFormat {
  readonly proper_case_words?: Http1ProtocolOptionsHeaderKeyFormatProperCaseWords
}

/** envoy.config.core.v3.Http1ProtocolOptions.HeaderKeyFormat.ProperCaseWords */
export type Http1ProtocolOptionsHeaderKeyFormatProperCaseWords = object

/** envoy.config.core.v3.SchemeHeaderTransformation */
export interface SchemeHeaderTransformation {
  readonly scheme_to_overwrite?: string
}

/** envoy.config.route.v3.RouteConfiguration */
export interface RouteConfiguration {
  readonly name?: string
  readonly virtual_hosts?: readonly VirtualHost[]
  readonly internal_only_headers?: readonly string[]
  readonly response_headers_to_add?: readonly HeaderValueOption[]
  readonly response_headers_to_remove?: readonly string[]
  readonly request_headers_to_add?: readonly HeaderValueOption[]
  readonly request_headers_to_remove?: readonly string[]
  readonly most_specific_header_mutations_wins?: boolean
  readonly validate_clusters?: boolean
  readonly max_direct_response_body_size_bytes?: number
  readonly request_mirror_policies?: readonly RouteActionRequestMirrorPolicy[]
  readonly ignore_port_in_host_matching?: boolean
  readonly typed_per_filter_config?: Readonly<Record<string, EnvoyExtension<'envoy.config.route.v3.FilterConfig' | 'envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig' | 'envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute'>>>
  readonly metadata?: unknown
}

/** envoy.config.route.v3.FilterConfig */
export interface FilterConfig {
  readonly config?: EnvoyExtension<'envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig' | 'envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute'> | Readonly<Record<string, never>>
  readonly is_optional?: boolean
  readonly disabled?: boolean
}

/** envoy.config.route.v3.VirtualHost */
export interface VirtualHost {
  readonly name?: string
  readonly domains?: readonly string[]
  readonly routes?: readonly Route[]
  readonly require_tls?: 'NONE' | 'EXTERNAL_ONLY' | 'ALL'
  readonly request_headers_to_add?: readonly HeaderValueOption[]
  readonly request_headers_to_remove?: readonly string[]
  readonly response_headers_to_add?: readonly HeaderValueOption[]
  readonly response_headers_to_remove?: readonly string[]
  readonly typed_per_filter_config?: Readonly<Record<string, EnvoyExtension<'envoy.config.route.v3.FilterConfig' | 'envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig' | 'envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute'>>>
  readonly include_request_attempt_count?: boolean
  readonly include_attempt_count_in_response?: boolean
  readonly retry_policy?: RetryPolicy
  readonly hedge_policy?: HedgePolicy
  readonly include_is_timeout_retry_header?: boolean
  readonly per_request_buffer_limit_bytes?: number
  readonly request_mirror_policies?: readonly RouteActionRequestMirrorPolicy[]
  readonly metadata?: unknown
}

/** envoy.config.route.v3.Route */
export interface Route {
  readonly name?: string
  readonly match?: RouteMatch
  readonly route?: RouteAction
  readonly redirect?: RedirectAction
  readonly direct_response?: DirectResponseAction
  readonly metadata?: unknown
  readonly decorator?: unknown
  readonly typed_per_filter_config?: Readonly<Record<string, EnvoyExtension<'envoy.config.route.v3.FilterConfig' | 'envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig' | 'envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute'>>>
  readonly request_headers_to_add?: readonly HeaderValueOption[]
  readonly request_headers_to_remove?: readonly string[]
  readonly response_headers_to_add?: readonly HeaderValueOption[]
  readonly response_headers_to_remove?: readonly string[]
  readonly per_request_buffer_limit_bytes?: number
  readonly stat_prefix?: unknown
}

/** envoy.config.route.v3.RouteMatch */
export interface RouteMatch {
  readonly prefix?: string
  readonly path?: string
  readonly safe_regex?: RegexMatcher
  readonly path_separated_prefix?: string
  readonly case_sensitive?: boolean
  readonly runtime_fraction?: RuntimeFractionalPercent
  readonly headers?: readonly HeaderMatcher[]
  readonly query_parameters?: readonly QueryParameterMatcher[]
}

/** envoy.config.route.v3.RouteAction */
export interface RouteAction {
  readonly cluster?: string
  readonly cluster_header?: string
  readonly weighted_clusters?: WeightedCluster
  readonly cluster_not_found_response_code?: 'SERVICE_UNAVAILABLE' | 'NOT_FOUND' | 'INTERNAL_SERVER_ERROR'
  readonly metadata_match?: Metadata
  readonly prefix_rewrite?: string
  readonly regex_rewrite?: RegexMatchAndSubstitute
  readonly host_rewrite_literal?: string
  readonly auto_host_rewrite?: boolean
  readonly host_rewrite_header?: string
  readonly host_rewrite_path_regex?: RegexMatchAndSubstitute
  readonly append_x_forwarded_host?: boolean
  readonly timeout?: EnvoyDuration
  readonly idle_timeout?: EnvoyDuration
  readonly retry_policy?: RetryPolicy
  readonly request_mirror_policies?: readonly RouteActionRequestMirrorPolicy[]
  readonly priority?: 'DEFAULT' | 'HIGH'
  readonly hash_policy?: readonly RouteActionHashPolicy[]
  readonly max_grpc_timeout?: EnvoyDuration
  readonly grpc_timeout_offset?: EnvoyDuration
  readonly internal_redirect_policy?: InternalRedirectPolicy
  readonly hedge_policy?: HedgePolicy
  readonly max_stream_duration?: RouteActionMaxStreamDuration
}

/** envoy.config.route.v3.RouteAction.MaxStreamDuration */
export interface RouteActionMaxStreamDuration {
  readonly max_stream_duration?: EnvoyDuration
  readonly grpc_timeout_header_max?: EnvoyDuration
  readonly grpc_timeout_header_offset?: EnvoyDuration
}

/** envoy.config.route.v3.RouteAction.RequestMirrorPolicy */
export interface RouteActionRequestMirrorPolicy {
  readonly cluster?: string
  readonly cluster_header?: string
  readonly runtime_fraction?: RuntimeFractionalPercent
  readonly trace_sampled?: unknown
  readonly disable_shadow_host_suffix_append?: boolean
}

/** envoy.config.route.v3.InternalRedirectPolicy */
export interface InternalRedirectPolicy {
  readonly max_internal_redirects?: number
  readonly redirect_response_codes?: readonly number[]
  readonly predicates?: readonly TypedExtensionConfig[]
  readonly allow_cross_scheme_redirect?: boolean
  readonly response_headers_to_copy?: readonly string[]
}

/** envoy.extensions.internal_redirect.allow_listed_routes.v3.AllowListedRoutesConfig */
export interface AllowListedRoutesConfig {
  readonly allowed_route_names?: readonly string[]
}

/** envoy.extensions.internal_redirect.previous_routes.v3.PreviousRoutesConfig */
export type PreviousRoutesConfig = object

/** envoy.extensions.internal_redirect.safe_cross_scheme.v3.SafeCrossSchemeConfig */
export type SafeCrossSchemeConfig = object

/** envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate */
export type OmitCanaryHostsPredicate = object

/** envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig */
export interface OmitHostMetadataConfig {
  readonly metadata_match?: Metadata
}

/** envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate */
export type PreviousHostsPredicate = object

/** envoy.config.route.v3.RetryPolicy.RetryPriority */
export interface RetryPolicyRetryPriority {
  readonly name?: string
  readonly typed_config?: EnvoyExtension<'envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig'>
}

/** envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig */
export interface PreviousPrioritiesConfig {
  readonly update_frequency?: number
}

/** envoy.config.route.v3.RetryPolicy.RetryHostPredicate */
export interface RetryPolicyRetryHostPredicate {
  readonly name?: string
  readonly typed_config?: EnvoyExtension<'envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate' | 'envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig' | 'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate'>
}

/** envoy.config.route.v3.RetryPolicy */
export interface RetryPolicy {
  readonly retry_on?: string
  readonly num_retries?: number
  readonly per_try_timeout?: EnvoyDuration
  readonly per_try_idle_timeout?: EnvoyDuration
  readonly retry_priority?: RetryPolicyRetryPriority
  readonly retry_host_predicate?: readonly RetryPolicyRetryHostPredicate[]
  readonly host_selection_retry_max_attempts?: number | string
  readonly retriable_status_codes?: readonly number[]
  readonly retry_back_off?: RetryPolicyRetryBackOff
  readonly rate_limited_retry_back_off?: RetryPolicyRateLimitedRetryBackOff
  readonly retriable_headers?: readonly HeaderMatcher[]
  readonly retriable_request_headers?: readonly HeaderMatcher[]
}

/** envoy.config.route.v3.RetryPolicy.RetryBackOff */
export interface RetryPolicyRetryBackOff {
  readonly base_interval?: EnvoyDuration
  readonly max_interval?: EnvoyDuration
}

/** envoy.config.route.v3.RetryPolicy.RateLimitedRetryBackOff */
export interface RetryPolicyRateLimitedRetryBackOff {
  readonly reset_headers?: readonly RetryPolicyResetHeader[]
  readonly max_interval?: EnvoyDuration
}

/** envoy.config.route.v3.RetryPolicy.ResetHeader */
export interface RetryPolicyResetHeader {
  readonly name?: string
  readonly format?: 'SECONDS' | 'UNIX_TIMESTAMP'
}

/** envoy.config.route.v3.HedgePolicy */
export interface HedgePolicy {
  readonly initial_requests?: number
  readonly hedge_on_per_try_timeout?: boolean
}

/** envoy.config.route.v3.RouteAction.HashPolicy */
export interface RouteActionHashPolicy {
  readonly header?: RouteActionHashPolicyHeader
  readonly cookie?: RouteActionHashPolicyCookie
  readonly connection_properties?: RouteActionHashPolicyConnectionProperties
  readonly query_parameter?: RouteActionHashPolicyQueryParameter
  readonly terminal?: boolean
}

/** envoy.config.route.v3.RouteAction.HashPolicy.Header */
export interface RouteActionHashPolicyHeader {
  readonly header_name?: string
  readonly regex_rewrite?: RegexMatchAndSubstitute
}

/** envoy.config.route.v3.RouteAction.HashPolicy.Cookie */
export interface RouteActionHashPolicyCookie {
  readonly name?: string
  readonly ttl?: EnvoyDuration
  readonly path?: string
  readonly attributes?: readonly RouteActionHashPolicyCookieAttribute[]
}

/** envoy.config.route.v3.RouteAction.HashPolicy.CookieAttribute */
export interface RouteActionHashPolicyCookieAttribute {
  readonly name?: string
  readonly value?: string
}

/** envoy.config.route.v3.RouteAction.HashPolicy.ConnectionProperties */
export interface RouteActionHashPolicyConnectionProperties {
  readonly source_ip?: boolean
}

/** envoy.config.route.v3.RouteAction.HashPolicy.QueryParameter */
export interface RouteActionHashPolicyQueryParameter {
  readonly name?: string
}

/** envoy.type.v3.HashPolicy */
export interface HashPolicy {
  readonly source_ip?: HashPolicySourceIp
}

/** envoy.type.v3.HashPolicy.SourceIp */
export type HashPolicySourceIp = object

/** envoy.config.route.v3.RedirectAction */
export interface RedirectAction {
  readonly https_redirect?: boolean
  readonly scheme_redirect?: string
  readonly host_redirect?: string
  readonly port_redirect?: number
  readonly path_redirect?: string
  readonly prefix_rewrite?: string
  readonly regex_rewrite?: RegexMatchAndSubstitute
  readonly response_code?: 'MOVED_PERMANENTLY' | 'FOUND' | 'SEE_OTHER' | 'TEMPORARY_REDIRECT' | 'PERMANENT_REDIRECT'
  readonly strip_query?: boolean
}

/** envoy.config.route.v3.DirectResponseAction */
export interface DirectResponseAction {
  readonly status?: number
  readonly body?: DataSource
}

/** envoy.config.route.v3.WeightedCluster */
export interface WeightedCluster {
  readonly clusters?: readonly WeightedClusterClusterWeight[]
  readonly total_weight?: number
  readonly header_name?: string
}

/** envoy.config.route.v3.WeightedCluster.ClusterWeight */
export interface WeightedClusterClusterWeight {
  readonly name?: string
  readonly cluster_header?: string
  readonly weight?: number
  readonly metadata_match?: Metadata
  readonly request_headers_to_add?: readonly HeaderValueOption[]
  readonly request_headers_to_remove?: readonly string[]
  readonly response_headers_to_add?: readonly HeaderValueOption[]
  readonly response_headers_to_remove?: readonly string[]
  readonly typed_per_filter_config?: Readonly<Record<string, EnvoyExtension<'envoy.config.route.v3.FilterConfig' | 'envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig' | 'envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute'>>>
  readonly host_rewrite_literal?: string
}

/** envoy.config.route.v3.HeaderMatcher */
export interface HeaderMatcher {
  readonly name?: string
  readonly exact_match?: string
  readonly safe_regex_match?: RegexMatcher
  readonly range_match?: Int64Range
  readonly present_match?: boolean
  readonly prefix_match?: string
  readonly suffix_match?: string
  readonly contains_match?: string
  readonly string_match?: StringMatcher
  readonly invert_match?: boolean
  readonly treat_missing_header_as_empty?: boolean
}

/** envoy.config.route.v3.QueryParameterMatcher */
export interface QueryParameterMatcher {
  readonly name?: string
  readonly string_match?: StringMatcher
  readonly present_match?: boolean
}

/** envoy.type.matcher.v3.StringMatcher */
export interface StringMatcher {
  readonly exact?: string
  readonly prefix?: string
  readonly suffix?: string
  readonly safe_regex?: RegexMatcher
  readonly contains?: string
  readonly ignore_case?: boolean
}

/** envoy.type.matcher.v3.RegexMatcher */
export interface RegexMatcher {
  readonly google_re2?: unknown
  readonly regex?: string
}

/** envoy.type.matcher.v3.RegexMatchAndSubstitute */
export interface RegexMatchAndSubstitute {
  readonly pattern?: RegexMatcher
  readonly substitution?: string
}

/** envoy.config.core.v3.HeaderValueOption */
export interface HeaderValueOption {
  readonly header?: HeaderValue
  readonly append?: boolean
  readonly append_action?: 'APPEND_IF_EXISTS_OR_ADD' | 'ADD_IF_ABSENT' | 'OVERWRITE_IF_EXISTS_OR_ADD' | 'OVERWRITE_IF_EXISTS'
  readonly keep_empty_value?: boolean
}

/** envoy.config.core.v3.HeaderValue */
export interface HeaderValue {
  readonly key?: string
  readonly value?: string
}

/** envoy.config.core.v3.RuntimeFractionalPercent */
export interface RuntimeFractionalPercent {
  readonly default_value?: FractionalPercent
  readonly runtime_key?: string
}

/** envoy.type.v3.FractionalPercent */
export interface FractionalPercent {
  readonly numerator?: number
  readonly denominator?: 'HUNDRED' | 'TEN_THOUSAND' | 'MILLION'
}

/** envoy.type.v3.Int64Range */
export interface Int64Range {
  readonly start?: number | string
  readonly end?: number | string
}

/** envoy.config.core.v3.DataSource */
export interface DataSource {
  readonly filename?: string
  readonly inline_bytes?: string
  readonly inline_string?: string
  readonly environment_variable?: string
}

/** envoy.config.accesslog.v3.AccessLog */
export interface AccessLog {
  readonly name?: string
  readonly filter?: AccessLogFilter
  readonly typed_config?: EnvoyExtension<'envoy.extensions.access_loggers.file.v3.FileAccessLog' | 'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog' | 'envoy.extensions.access_loggers.stream.v3.StderrAccessLog' | 'millrace.access_loggers.rotating_file.v1.RotatingFileAccessLog'>
}

/** envoy.config.accesslog.v3.AccessLogFilter */
export interface AccessLogFilter {
  readonly status_code_filter?: StatusCodeFilter
  readonly duration_filter?: DurationFilter
  readonly and_filter?: AndFilter
  readonly or_filter?: OrFilter
  readonly header_filter?: HeaderFilter
  readonly response_flag_filter?: ResponseFlagFilter
}

/** envoy.config.accesslog.v3.StatusCodeFilter */
export interface StatusCodeFilter {
  readonly comparison?: ComparisonFilter
}

/** envoy.config.accesslog.v3.DurationFilter */
export interface DurationFilter {
  readonly comparison?: ComparisonFilter
}

/** envoy.config.accesslog.v3.ComparisonFilter */
export interface ComparisonFilter {
  readonly op?: 'EQ' | 'GE' | 'LE'
  readonly value?: RuntimeUInt32
}

/** envoy.config.core.v3.RuntimeUInt32 */
export interface RuntimeUInt32 {
  readonly default_value?: number
  readonly runtime_key?: string
}

/** envoy.config.accesslog.v3.AndFilter */
export interface AndFilter {
  readonly filters?: readonly AccessLogFilter[]
}

/** envoy.config.accesslog.v3.OrFilter */
export interface OrFilter {
  readonly filters?: readonly AccessLogFilter[]
}

/** envoy.config.accesslog.v3.HeaderFilter */
export interface HeaderFilter {
  readonly header?: HeaderMatcher
}

/** envoy.config.accesslog.v3.ResponseFlagFilter */
export interface ResponseFlagFilter {
  readonly flags?: readonly string[]
}

/** envoy.extensions.access_loggers.file.v3.FileAccessLog */
export interface FileAccessLog {
  readonly path?: string
  readonly format?: string
  readonly json_format?: Readonly<Record<string, unknown>>
  readonly typed_json_format?: Readonly<Record<string, unknown>>
  readonly log_format?: SubstitutionFormatString
}

/** millrace.access_loggers.rotating_file.v1.RotatingFileAccessLog */
export interface RotatingFileAccessLog {
  readonly path?: string
  readonly log_format?: SubstitutionFormatString
  readonly rotation?: Rotation
}

/** millrace.access_loggers.rotating_file.v1.Rotation */
export interface Rotation {
  readonly max_bytes?: number | string
  readonly period?: 'NONE' | 'HOURLY' | 'DAILY'
  readonly interval?: EnvoyDuration
  readonly keep?: number
  readonly gzip?: boolean
}

/** envoy.extensions.access_loggers.stream.v3.StdoutAccessLog */
export interface StdoutAccessLog {
  readonly log_format?: SubstitutionFormatString
}

/** envoy.extensions.access_loggers.stream.v3.StderrAccessLog */
export interface StderrAccessLog {
  readonly log_format?: SubstitutionFormatString
}

/** envoy.config.core.v3.SubstitutionFormatString */
export interface SubstitutionFormatString {
  readonly text_format?: string
  readonly json_format?: Readonly<Record<string, unknown>>
  readonly text_format_source?: DataSource
  readonly omit_empty_values?: boolean
  readonly content_type?: unknown
  readonly json_format_options?: JsonFormatOptions
}

/** envoy.config.core.v3.JsonFormatOptions */
export interface JsonFormatOptions {
  readonly sort_properties?: boolean
}

/** envoy.config.cluster.v3.Cluster */
export interface Cluster {
  readonly name?: string
  readonly alt_stat_name?: string
  readonly type?: 'STATIC' | 'STRICT_DNS' | 'LOGICAL_DNS' | 'EDS' | 'ORIGINAL_DST'
  readonly cluster_type?: ClusterCustomClusterType
  readonly eds_cluster_config?: ClusterEdsClusterConfig
  readonly connect_timeout?: EnvoyDuration
  readonly per_connection_buffer_limit_bytes?: number
  readonly lb_policy?: 'ROUND_ROBIN' | 'LEAST_REQUEST' | 'RING_HASH' | 'RANDOM' | 'MAGLEV' | 'CLUSTER_PROVIDED' | 'LOAD_BALANCING_POLICY_CONFIG'
  readonly load_assignment?: ClusterLoadAssignment
  readonly health_checks?: readonly HealthCheck[]
  readonly max_requests_per_connection?: number
  readonly circuit_breakers?: CircuitBreakers
  readonly upstream_http_protocol_options?: unknown
  readonly common_http_protocol_options?: HttpProtocolOptions
  readonly http_protocol_options?: Http1ProtocolOptions
  readonly typed_extension_protocol_options?: Readonly<Record<string, EnvoyExtension<'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'>>>
  readonly dns_refresh_rate?: EnvoyDuration
  readonly dns_failure_refresh_rate?: ClusterRefreshRate
  readonly respect_dns_ttl?: boolean
  readonly dns_lookup_family?: 'AUTO' | 'V4_ONLY' | 'V6_ONLY' | 'V4_PREFERRED' | 'ALL'
  readonly dns_resolvers?: readonly Address[]
  readonly use_tcp_for_dns_lookups?: boolean
  readonly dns_resolution_config?: DnsResolutionConfig
  readonly typed_dns_resolver_config?: TypedExtensionConfig
  readonly wait_for_warm_on_init?: boolean
  readonly outlier_detection?: OutlierDetection
  readonly cleanup_interval?: EnvoyDuration
  readonly upstream_bind_config?: BindConfig
  readonly lb_subset_config?: ClusterLbSubsetConfig
  readonly ring_hash_lb_config?: ClusterRingHashLbConfig
  readonly maglev_lb_config?: ClusterMaglevLbConfig
  readonly original_dst_lb_config?: ClusterOriginalDstLbConfig
  readonly least_request_lb_config?: ClusterLeastRequestLbConfig
  readonly round_robin_lb_config?: ClusterRoundRobinLbConfig
  readonly common_lb_config?: ClusterCommonLbConfig
  readonly transport_socket?: TransportSocket
  readonly metadata?: unknown
  readonly upstream_connection_options?: UpstreamConnectionOptions
  readonly close_connections_on_host_health_failure?: boolean
  readonly ignore_health_on_host_removal?: boolean
  readonly load_balancing_policy?: LoadBalancingPolicy
  readonly preconnect_policy?: ClusterPreconnectPolicy
  readonly connection_pool_per_downstream_connection?: boolean
  readonly dns_jitter?: EnvoyDuration
}

/** envoy.config.cluster.v3.Cluster.OriginalDstLbConfig */
export interface ClusterOriginalDstLbConfig {
  readonly use_http_header?: boolean
  readonly http_header_name?: string
  readonly upstream_port_override?: number
}

/** envoy.config.cluster.v3.Cluster.LbSubsetConfig */
export interface ClusterLbSubsetConfig {
  readonly fallback_policy?: 'NO_FALLBACK' | 'ANY_ENDPOINT' | 'DEFAULT_SUBSET'
  readonly default_subset?: Readonly<Record<string, unknown>>
  readonly subset_selectors?: readonly ClusterLbSubsetConfigLbSubsetSelector[]
  readonly locality_weight_aware?: boolean
  readonly scale_locality_weight?: boolean
  readonly panic_mode_any?: boolean
  readonly list_as_any?: boolean
  readonly metadata_fallback_policy?: 'METADATA_NO_FALLBACK' | 'FALLBACK_LIST'
}

/** envoy.config.cluster.v3.Cluster.LbSubsetConfig.LbSubsetSelector */
export interface ClusterLbSubsetConfigLbSubsetSelector {
  readonly keys?: readonly string[]
  readonly single_host_per_subset?: boolean
  readonly fallback_policy?: 'NOT_DEFINED' | 'NO_FALLBACK' | 'ANY_ENDPOINT' | 'DEFAULT_SUBSET' | 'KEYS_SUBSET'
  readonly fallback_keys_subset?: readonly string[]
}

/** envoy.extensions.load_balancing_policies.subset.v3.Subset */
export interface Subset {
  readonly fallback_policy?: 'NO_FALLBACK' | 'ANY_ENDPOINT' | 'DEFAULT_SUBSET'
  readonly default_subset?: Readonly<Record<string, unknown>>
  readonly subset_selectors?: readonly SubsetLbSubsetSelector[]
  readonly allow_redundant_keys?: boolean
  readonly locality_weight_aware?: boolean
  readonly scale_locality_weight?: boolean
  readonly panic_mode_any?: boolean
  readonly list_as_any?: boolean
  readonly metadata_fallback_policy?: 'METADATA_NO_FALLBACK' | 'FALLBACK_LIST'
  readonly subset_lb_policy?: LoadBalancingPolicy
}

/** envoy.extensions.load_balancing_policies.subset.v3.Subset.LbSubsetSelector */
export interface SubsetLbSubsetSelector {
  readonly keys?: readonly string[]
  readonly single_host_per_subset?: boolean
  readonly fallback_policy?: 'NOT_DEFINED' | 'NO_FALLBACK' | 'ANY_ENDPOINT' | 'DEFAULT_SUBSET' | 'KEYS_SUBSET'
  readonly fallback_keys_subset?: readonly string[]
}

/** envoy.config.cluster.v3.Cluster.CustomClusterType */
export interface ClusterCustomClusterType {
  readonly name?: string
  readonly typed_config?: EnvoyExtension<'envoy.extensions.clusters.aggregate.v3.ClusterConfig' | 'envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig'>
}

/** envoy.extensions.clusters.aggregate.v3.ClusterConfig */
export interface ClusterConfig {
  readonly clusters?: readonly string[]
}

/** envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig */
export interface DynamicForwardProxyClusterConfig {
  readonly dns_cache_config?: DnsCacheConfig
  readonly allow_insecure_cluster_options?: unknown
}

/** envoy.extensions.common.dynamic_forward_proxy.v3.DnsCacheConfig */
export interface DnsCacheConfig {
  readonly name?: string
  readonly dns_lookup_family?: 'AUTO' | 'V4_ONLY' | 'V6_ONLY' | 'V4_PREFERRED' | 'ALL'
  readonly dns_refresh_rate?: EnvoyDuration
  readonly dns_min_refresh_rate?: EnvoyDuration
  readonly host_ttl?: EnvoyDuration
  readonly max_hosts?: number
  readonly dns_failure_refresh_rate?: ClusterRefreshRate
  readonly dns_cache_circuit_breaker?: DnsCacheCircuitBreakers
  readonly use_tcp_for_dns_lookups?: boolean
  readonly dns_resolution_config?: DnsResolutionConfig
  readonly typed_dns_resolver_config?: TypedExtensionConfig
  readonly preresolve_hostnames?: readonly SocketAddress[]
  readonly dns_query_timeout?: EnvoyDuration
}

/** envoy.extensions.common.dynamic_forward_proxy.v3.DnsCacheCircuitBreakers */
export interface DnsCacheCircuitBreakers {
  readonly max_pending_requests?: number
}

/** envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig */
export interface DynamicForwardProxyFilterConfig {
  readonly dns_cache_config?: DnsCacheConfig
}

/** envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig */
export interface PerRouteConfig {
  readonly host_rewrite_literal?: string
  readonly host_rewrite_header?: string
}

/** envoy.config.cluster.v3.Cluster.EdsClusterConfig */
export interface ClusterEdsClusterConfig {
  readonly eds_config?: ConfigSource
  readonly service_name?: string
}

/** envoy.config.core.v3.ConfigSource */
export interface ConfigSource {
  readonly path?: string
  readonly path_config_source?: PathConfigSource
  readonly initial_fetch_timeout?: unknown
  readonly resource_api_version?: 'AUTO' | 'V3'
}

/** envoy.config.core.v3.PathConfigSource */
export interface PathConfigSource {
  readonly path?: string
  readonly watched_directory?: WatchedDirectory
}

/** envoy.config.core.v3.WatchedDirectory */
export interface WatchedDirectory {
  readonly path?: string
}

/** envoy.service.discovery.v3.DiscoveryResponse */
export interface DiscoveryResponse {
  readonly version_info?: string
  readonly resources?: readonly EnvoyExtension<'envoy.config.endpoint.v3.ClusterLoadAssignment'>[]
  readonly type_url?: unknown
  readonly nonce?: unknown
  readonly control_plane?: unknown
}

/** envoy.config.cluster.v3.Cluster.RefreshRate */
export interface ClusterRefreshRate {
  readonly base_interval?: EnvoyDuration
  readonly max_interval?: EnvoyDuration
}

/** envoy.config.core.v3.DnsResolutionConfig */
export interface DnsResolutionConfig {
  readonly resolvers?: readonly Address[]
  readonly dns_resolver_options?: DnsResolverOptions
}

/** envoy.config.core.v3.DnsResolverOptions */
export interface DnsResolverOptions {
  readonly use_tcp_for_dns_lookups?: boolean
  readonly no_default_search_domain?: boolean
}

/** envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig */
export interface CaresDnsResolverConfig {
  readonly resolvers?: readonly Address[]
  readonly use_resolvers_as_fallback?: boolean
  readonly filter_unroutable_families?: boolean
  readonly dns_resolver_options?: DnsResolverOptions
}

/** envoy.config.core.v3.HealthCheck */
export interface HealthCheck {
  readonly timeout?: EnvoyDuration
  readonly interval?: EnvoyDuration
  readonly initial_jitter?: EnvoyDuration
  readonly interval_jitter?: EnvoyDuration
  readonly interval_jitter_percent?: number
  readonly unhealthy_threshold?: number
  readonly healthy_threshold?: number
  readonly reuse_connection?: boolean
  readonly http_health_check?: HealthCheckHttpHealthCheck
  readonly tcp_health_check?: HealthCheckTcpHealthCheck
  readonly grpc_health_check?: HealthCheckGrpcHealthCheck
  readonly no_traffic_interval?: EnvoyDuration
  readonly no_traffic_healthy_interval?: EnvoyDuration
  readonly unhealthy_interval?: EnvoyDuration
  readonly unhealthy_edge_interval?: EnvoyDuration
  readonly healthy_edge_interval?: EnvoyDuration
  readonly event_log_path?: string
  readonly event_logger?: readonly TypedExtensionConfig[]
  readonly always_log_health_check_failures?: boolean
  readonly always_log_health_check_success?: boolean
}

/** envoy.config.core.v3.HealthCheck.Payload */
export interface HealthCheckPayload {
  readonly text?: string
  readonly binary?: string
}

/** envoy.config.core.v3.HealthCheck.HttpHealthCheck */
export interface HealthCheckHttpHealthCheck {
  readonly host?: string
  readonly path?: string
  readonly receive?: readonly HealthCheckPayload[]
  readonly response_buffer_size?: number | string
  readonly request_headers_to_add?: readonly HeaderValueOption[]
  readonly request_headers_to_remove?: readonly string[]
  readonly expected_statuses?: readonly Int64Range[]
  readonly retriable_statuses?: readonly Int64Range[]
  readonly codec_client_type?: 'HTTP1'
  readonly service_name_matcher?: StringMatcher
  readonly method?: 'METHOD_UNSPECIFIED' | 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'CONNECT' | 'OPTIONS' | 'TRACE' | 'PATCH'
}

/** envoy.config.core.v3.HealthCheck.TcpHealthCheck */
export interface HealthCheckTcpHealthCheck {
  readonly send?: HealthCheckPayload
  readonly receive?: readonly HealthCheckPayload[]
}

/** envoy.config.core.v3.HealthCheck.GrpcHealthCheck */
export interface HealthCheckGrpcHealthCheck {
  readonly service_name?: string
  readonly authority?: string
  readonly initial_metadata?: readonly HeaderValueOption[]
}

/** envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink */
export interface HealthCheckEventFileSink {
  readonly event_log_path?: string
}

/** envoy.config.cluster.v3.OutlierDetection */
export interface OutlierDetection {
  readonly consecutive_5xx?: number
  readonly interval?: EnvoyDuration
  readonly base_ejection_time?: EnvoyDuration
  readonly max_ejection_percent?: number
  readonly enforcing_consecutive_5xx?: number
  readonly enforcing_success_rate?: number
  readonly success_rate_minimum_hosts?: number
  readonly success_rate_request_volume?: number
  readonly success_rate_stdev_factor?: number
  readonly consecutive_gateway_failure?: number
  readonly enforcing_consecutive_gateway_failure?: number
  readonly split_external_local_origin_errors?: boolean
  readonly consecutive_local_origin_failure?: number
  readonly enforcing_consecutive_local_origin_failure?: number
  readonly enforcing_local_origin_success_rate?: number
  readonly failure_percentage_threshold?: number
  readonly enforcing_failure_percentage?: number
  readonly enforcing_failure_percentage_local_origin?: number
  readonly failure_percentage_minimum_hosts?: number
  readonly failure_percentage_request_volume?: number
  readonly max_ejection_time?: EnvoyDuration
  readonly max_ejection_time_jitter?: EnvoyDuration
  readonly successful_active_health_check_uneject_host?: boolean
  readonly always_eject_one_host?: boolean
}

/** envoy.config.cluster.v3.Cluster.RoundRobinLbConfig */
export interface ClusterRoundRobinLbConfig {
  readonly slow_start_config?: ClusterSlowStartConfig
}

/** envoy.config.cluster.v3.Cluster.LeastRequestLbConfig */
export interface ClusterLeastRequestLbConfig {
  readonly choice_count?: number
  readonly active_request_bias?: RuntimeDouble
  readonly slow_start_config?: ClusterSlowStartConfig
}

/** envoy.config.cluster.v3.Cluster.RingHashLbConfig */
export interface ClusterRingHashLbConfig {
  readonly minimum_ring_size?: number | string
  readonly hash_function?: 'XX_HASH' | 'MURMUR_HASH_2'
  readonly maximum_ring_size?: number | string
}

/** envoy.config.cluster.v3.Cluster.MaglevLbConfig */
export interface ClusterMaglevLbConfig {
  readonly table_size?: number | string
}

/** envoy.config.cluster.v3.Cluster.SlowStartConfig */
export interface ClusterSlowStartConfig {
  readonly slow_start_window?: EnvoyDuration
  readonly aggression?: RuntimeDouble
  readonly min_weight_percent?: Percent
}

/** envoy.config.cluster.v3.Cluster.CommonLbConfig */
export interface ClusterCommonLbConfig {
  readonly healthy_panic_threshold?: Percent
  readonly zone_aware_lb_config?: ClusterCommonLbConfigZoneAwareLbConfig
  readonly locality_weighted_lb_config?: ClusterCommonLbConfigLocalityWeightedLbConfig
  readonly update_merge_window?: EnvoyDuration
  readonly ignore_new_hosts_until_first_hc?: boolean
  readonly consistent_hashing_lb_config?: ClusterCommonLbConfigConsistentHashingLbConfig
  readonly override_host_status?: HealthStatusSet
}

/** envoy.config.core.v3.HealthStatusSet */
export interface HealthStatusSet {
  readonly statuses?: readonly ('UNKNOWN' | 'HEALTHY' | 'UNHEALTHY' | 'DRAINING' | 'TIMEOUT' | 'DEGRADED')[]
}

/** envoy.config.cluster.v3.Cluster.CommonLbConfig.ZoneAwareLbConfig */
export interface ClusterCommonLbConfigZoneAwareLbConfig {
  readonly routing_enabled?: Percent
  readonly min_cluster_size?: number | string
  readonly fail_traffic_on_panic?: boolean
}

/** envoy.config.cluster.v3.Cluster.CommonLbConfig.LocalityWeightedLbConfig */
export type ClusterCommonLbConfigLocalityWeightedLbConfig = object

/** envoy.config.cluster.v3.Cluster.CommonLbConfig.ConsistentHashingLbConfig */
export interface ClusterCommonLbConfigConsistentHashingLbConfig {
  readonly use_hostname_for_hashing?: boolean
  readonly hash_balance_factor?: number
}

/** envoy.config.cluster.v3.LoadBalancingPolicy */
export interface LoadBalancingPolicy {
  readonly policies?: readonly LoadBalancingPolicyPolicy[]
}

/** envoy.config.cluster.v3.LoadBalancingPolicy.Policy */
export interface LoadBalancingPolicyPolicy {
  readonly typed_extension_config?: TypedExtensionConfig
}

/** envoy.config.core.v3.TypedExtensionConfig */
export interface TypedExtensionConfig {
  readonly name?: string
  readonly typed_config?: EnvoyExtension<'envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin' | 'envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest' | 'envoy.extensions.load_balancing_policies.random.v3.Random' | 'envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash' | 'envoy.extensions.load_balancing_policies.maglev.v3.Maglev' | 'envoy.extensions.internal_redirect.previous_routes.v3.PreviousRoutesConfig' | 'envoy.extensions.internal_redirect.allow_listed_routes.v3.AllowListedRoutesConfig' | 'envoy.extensions.internal_redirect.safe_cross_scheme.v3.SafeCrossSchemeConfig' | 'envoy.extensions.load_balancing_policies.subset.v3.Subset' | 'envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin' | 'envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality' | 'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig' | 'envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink' | 'envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState' | 'envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState'>
}

/** envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin */
export interface RoundRobin {
  readonly slow_start_config?: SlowStartConfig
  readonly locality_lb_config?: LocalityLbConfig
}

/** envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest */
export interface LeastRequest {
  readonly choice_count?: number
  readonly active_request_bias?: RuntimeDouble
  readonly slow_start_config?: SlowStartConfig
  readonly locality_lb_config?: LocalityLbConfig
  readonly enable_full_scan?: boolean
  readonly selection_method?: 'N_CHOICES' | 'FULL_SCAN'
}

/** envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin */
export interface ClientSideWeightedRoundRobin {
  readonly enable_oob_load_report?: boolean
  readonly blackout_period?: EnvoyDuration
  readonly weight_expiration_period?: EnvoyDuration
  readonly weight_update_period?: EnvoyDuration
  readonly error_utilization_penalty?: number
}

/** envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality */
export interface WrrLocality {
  readonly endpoint_picking_policy?: LoadBalancingPolicy
}

/** envoy.extensions.load_balancing_policies.random.v3.Random */
export interface Random {
  readonly locality_lb_config?: LocalityLbConfig
}

/** envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash */
export interface RingHash {
  readonly hash_function?: 'DEFAULT_HASH' | 'XX_HASH' | 'MURMUR_HASH_2'
  readonly minimum_ring_size?: number | string
  readonly maximum_ring_size?: number | string
  readonly use_hostname_for_hashing?: boolean
  readonly hash_balance_factor?: number
  readonly consistent_hashing_lb_config?: ConsistentHashingLbConfig
  readonly locality_weighted_lb_config?: LocalityLbConfigLocalityWeightedLbConfig
}

/** envoy.extensions.load_balancing_policies.maglev.v3.Maglev */
export interface Maglev {
  readonly table_size?: number | string
  readonly consistent_hashing_lb_config?: ConsistentHashingLbConfig
  readonly locality_weighted_lb_config?: LocalityLbConfigLocalityWeightedLbConfig
}

/** envoy.extensions.load_balancing_policies.common.v3.LocalityLbConfig */
export interface LocalityLbConfig {
  readonly zone_aware_lb_config?: LocalityLbConfigZoneAwareLbConfig
  readonly locality_weighted_lb_config?: LocalityLbConfigLocalityWeightedLbConfig
}

/** envoy.extensions.load_balancing_policies.common.v3.LocalityLbConfig.ZoneAwareLbConfig */
export interface LocalityLbConfigZoneAwareLbConfig {
  readonly routing_enabled?: Percent
  readonly min_cluster_size?: number | string
  readonly fail_traffic_on_panic?: boolean
}

/** envoy.extensions.load_balancing_policies.common.v3.LocalityLbConfig.LocalityWeightedLbConfig */
export type LocalityLbConfigLocalityWeightedLbConfig = object

/** envoy.extensions.load_balancing_policies.common.v3.SlowStartConfig */
export interface SlowStartConfig {
  readonly slow_start_window?: EnvoyDuration
  readonly aggression?: RuntimeDouble
  readonly min_weight_percent?: Percent
}

/** envoy.extensions.load_balancing_policies.common.v3.ConsistentHashingLbConfig */
export interface ConsistentHashingLbConfig {
  readonly use_hostname_for_hashing?: boolean
  readonly hash_balance_factor?: number
}

/** envoy.config.core.v3.RuntimeDouble */
export interface RuntimeDouble {
  readonly default_value?: number
  readonly runtime_key?: string
}

/** envoy.config.cluster.v3.CircuitBreakers */
export interface CircuitBreakers {
  readonly thresholds?: readonly CircuitBreakersThresholds[]
  readonly per_host_thresholds?: readonly CircuitBreakersThresholds[]
}

/** envoy.config.cluster.v3.CircuitBreakers.Thresholds */
export interface CircuitBreakersThresholds {
  readonly priority?: 'DEFAULT' | 'HIGH'
  readonly max_connections?: number
  readonly max_pending_requests?: number
  readonly max_requests?: number
  readonly max_retries?: number
  readonly retry_budget?: CircuitBreakersThresholdsRetryBudget
  readonly track_remaining?: boolean
  readonly max_connection_pools?: number
}

/** envoy.config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget */
export interface CircuitBreakersThresholdsRetryBudget {
  readonly budget_percent?: Percent
  readonly min_retry_concurrency?: number
}

/** envoy.type.v3.Percent */
export interface Percent {
  readonly value?: number
}

/** envoy.config.cluster.v3.Cluster.PreconnectPolicy */
export interface ClusterPreconnectPolicy {
  readonly per_upstream_preconnect_ratio?: number
  readonly predictive_preconnect_ratio?: number
}

/** envoy.config.cluster.v3.UpstreamConnectionOptions */
export interface UpstreamConnectionOptions {
  readonly tcp_keepalive?: TcpKeepalive
  readonly set_local_interface_name_on_upstream_connections?: unknown
  readonly happy_eyeballs_config?: UpstreamConnectionOptionsHappyEyeballsConfig
}

/** envoy.config.cluster.v3.UpstreamConnectionOptions.HappyEyeballsConfig */
export interface UpstreamConnectionOptionsHappyEyeballsConfig {
  readonly first_address_family_version?: 'DEFAULT' | 'V4' | 'V6'
  readonly first_address_family_count?: number
}

/** envoy.config.core.v3.TcpKeepalive */
export interface TcpKeepalive {
  readonly keepalive_probes?: number
  readonly keepalive_time?: number
  readonly keepalive_interval?: number
}

/** envoy.config.core.v3.BindConfig */
export interface BindConfig {
  readonly source_address?: SocketAddress
  readonly freebind?: boolean
  readonly socket_options?: readonly SocketOption[]
  readonly extra_source_addresses?: readonly ExtraSourceAddress[]
  readonly additional_source_addresses?: readonly SocketAddress[]
}

/** envoy.config.core.v3.ExtraSourceAddress */
export interface ExtraSourceAddress {
  readonly address?: SocketAddress
  readonly socket_options?: SocketOptionsOverride
}

/** envoy.config.core.v3.SocketOptionsOverride */
export interface SocketOptionsOverride {
  readonly socket_options?: readonly SocketOption[]
}

/** envoy.config.core.v3.SocketOption */
export interface SocketOption {
  readonly description?: unknown
  readonly level?: number | string
  readonly name?: number | string
  readonly int_value?: number | string
  readonly buf_value?: string
  readonly state?: 'STATE_PREBIND' | 'STATE_BOUND' | 'STATE_LISTENING'
}

/** envoy.extensions.upstreams.http.v3.HttpProtocolOptions */
export interface HttpHttpProtocolOptions {
  readonly common_http_protocol_options?: HttpProtocolOptions
  readonly upstream_http_protocol_options?: unknown
  readonly explicit_http_config?: HttpProtocolOptionsExplicitHttpConfig
}

/** envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig */
export interface HttpProtocolOptionsExplicitHttpConfig {
  readonly http_protocol_options?: Http1ProtocolOptions
}

/** envoy.config.endpoint.v3.ClusterLoadAssignment */
export interface ClusterLoadAssignment {
  readonly cluster_name?: string
  readonly endpoints?: readonly LocalityLbEndpoints[]
  readonly policy?: ClusterLoadAssignmentPolicy
}

/** envoy.config.endpoint.v3.ClusterLoadAssignment.Policy */
export interface ClusterLoadAssignmentPolicy {
  readonly drop_overloads?: readonly ClusterLoadAssignmentPolicyDropOverload[]
  readonly overprovisioning_factor?: number
  readonly endpoint_stale_after?: EnvoyDuration
  readonly weighted_priority_health?: boolean
}

/** envoy.config.endpoint.v3.ClusterLoadAssignment.Policy.DropOverload */
export interface ClusterLoadAssignmentPolicyDropOverload {
  readonly category?: string
  readonly drop_percentage?: FractionalPercent
}

/** envoy.config.endpoint.v3.LocalityLbEndpoints */
export interface LocalityLbEndpoints {
  readonly locality?: Locality
  readonly metadata?: unknown
  readonly lb_endpoints?: readonly LbEndpoint[]
  readonly load_balancing_weight?: number
  readonly priority?: number
  readonly proximity?: unknown
}

/** envoy.config.core.v3.Locality */
export interface Locality {
  readonly region?: string
  readonly zone?: string
  readonly sub_zone?: string
}

/** envoy.config.endpoint.v3.LbEndpoint */
export interface LbEndpoint {
  readonly endpoint?: Endpoint
  readonly health_status?: 'UNKNOWN' | 'HEALTHY' | 'UNHEALTHY' | 'DRAINING' | 'TIMEOUT' | 'DEGRADED'
  readonly metadata?: Metadata
  readonly load_balancing_weight?: number
}

/** envoy.config.core.v3.Metadata */
export interface Metadata {
  readonly filter_metadata?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly typed_filter_metadata?: Readonly<Record<string, unknown>>
}

/** envoy.config.endpoint.v3.Endpoint.AdditionalAddress */
export interface EndpointAdditionalAddress {
  readonly address?: Address
}

/** envoy.config.endpoint.v3.Endpoint */
export interface Endpoint {
  readonly address?: Address
  readonly health_check_config?: EndpointHealthCheckConfig
  readonly hostname?: string
  readonly additional_addresses?: readonly EndpointAdditionalAddress[]
}

/** envoy.config.endpoint.v3.Endpoint.HealthCheckConfig */
export interface EndpointHealthCheckConfig {
  readonly port_value?: number
  readonly hostname?: string
  readonly address?: Address
  readonly disable_active_health_check?: boolean
}

/** The extensions that are built. */
export interface EnvoyExtensions {
  'envoy.config.endpoint.v3.ClusterLoadAssignment': ClusterLoadAssignment
  'envoy.config.route.v3.FilterConfig': FilterConfig
  'envoy.extensions.access_loggers.file.v3.FileAccessLog': FileAccessLog
  'envoy.extensions.access_loggers.stream.v3.StderrAccessLog': StderrAccessLog
  'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog': StdoutAccessLog
  'envoy.extensions.clusters.aggregate.v3.ClusterConfig': ClusterConfig
  'envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig': DynamicForwardProxyClusterConfig
  'envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency': AdaptiveConcurrency
  'envoy.extensions.filters.http.admission_control.v3.AdmissionControl': AdmissionControl
  'envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig': DynamicForwardProxyFilterConfig
  'envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig': PerRouteConfig
  'envoy.extensions.filters.http.router.v3.Router': Router
  'envoy.extensions.filters.http.stateful_session.v3.StatefulSession': StatefulSession
  'envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute': StatefulSessionPerRoute
  'envoy.extensions.filters.listener.original_dst.v3.OriginalDst': OriginalDst
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager': HttpConnectionManager
  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy': TcpProxy
  'envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink': HealthCheckEventFileSink
  'envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState': CookieBasedSessionState
  'envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState': HeaderBasedSessionState
  'envoy.extensions.internal_redirect.allow_listed_routes.v3.AllowListedRoutesConfig': AllowListedRoutesConfig
  'envoy.extensions.internal_redirect.previous_routes.v3.PreviousRoutesConfig': PreviousRoutesConfig
  'envoy.extensions.internal_redirect.safe_cross_scheme.v3.SafeCrossSchemeConfig': SafeCrossSchemeConfig
  'envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin': ClientSideWeightedRoundRobin
  'envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest': LeastRequest
  'envoy.extensions.load_balancing_policies.maglev.v3.Maglev': Maglev
  'envoy.extensions.load_balancing_policies.random.v3.Random': Random
  'envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash': RingHash
  'envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin': RoundRobin
  'envoy.extensions.load_balancing_policies.subset.v3.Subset': Subset
  'envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality': WrrLocality
  'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig': CaresDnsResolverConfig
  'envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate': OmitCanaryHostsPredicate
  'envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig': OmitHostMetadataConfig
  'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate': PreviousHostsPredicate
  'envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig': PreviousPrioritiesConfig
  'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport': ProxyProtocolUpstreamTransport
  'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer': RawBuffer
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': HttpHttpProtocolOptions
  'millrace.access_loggers.rotating_file.v1.RotatingFileAccessLog': RotatingFileAccessLog
}
