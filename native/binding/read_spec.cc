#include "binding/read_spec.h"

namespace millrace::spec {

void readFields(JsReader& in, Address& out) {
  if (in.has("path")) {
    in.field("path", out.path);
    in.optional("mode", out.mode);
  } else {
    in.field("ip", out.ip);
    in.field("port", out.port);
  }
}

// ---- Matching -----------------------------------------------------------------------------------

void readFields(JsReader& in, Dfa& out) {
  in.field("classes", out.classes);
  in.field("classCount", out.classCount);
  in.field("next", out.next);
  in.field("accepting", out.accepting);
  in.field("start", out.start);
}

void readFields(JsReader& in, RegexProgram& out) {
  in.field("code", out.code);
  in.field("sets", out.sets);
  in.field("groups", out.groups);
}

void readFields(JsReader& in, RegexRewrite& out) {
  in.field("program", out.program);
  in.elementsOf("substitution", [&](const Napi::Value& part) {
    if (part.IsString()) {
      out.substitution.emplace_back(part.As<Napi::String>().Utf8Value());
    } else {
      uint32_t group = 0;
      in.read(part, group);
      out.substitution.emplace_back(group);
    }
  });
}

void readFields(JsReader& in, StringMatcher& out) {
  in.choice("kind", {"exact", "prefix", "suffix", "contains", "regex"}, out.kind);
  in.optional("value", out.value);
  in.optional("dfa", out.dfa);
  in.optional("ignoreCase", out.ignoreCase);
}

void readFields(JsReader& in, HeaderMatcher& out) {
  in.field("name", out.name);
  in.choice("kind", {"present", "range", "string"}, out.kind);
  in.optional("string", out.string);
  in.optional("present", out.present);
  in.optional("range", out.range);
  in.optional("invert", out.invert);
  in.optional("treatMissingAsEmpty", out.treatMissingAsEmpty);
}

void readFields(JsReader& in, QueryMatcher& out) {
  in.field("name", out.name);
  in.optional("string", out.string);
  in.optional("present", out.present);
}

void readFields(JsReader& in, Fraction& out) {
  in.field("flag", out.flag);
  in.field("numerator", out.numerator);
  in.field("denominator", out.denominator);
}

// ---- Formats ------------------------------------------------------------------------------------

namespace {

void readOps(JsReader& in, const char* name, std::vector<FormatOp>& out) {
  in.elementsOf(name, [&](const Napi::Value& op) {
    if (op.IsString()) {
      out.emplace_back(op.As<Napi::String>().Utf8Value());
    } else {
      in.read(op, *std::get_if<FormatOperator>(&out.emplace_back(FormatOperator())));
    }
  });
}

}  // namespace

void readFields(JsReader& in, FormatOperator& out) {
  in.field("op", out.op);
  in.optional("a", out.a);
  in.optional("b", out.b);
  in.optional("c", out.c);
  in.optional("max", out.max);
}

void readFields(JsReader& in, JsonNode& out) {
  in.choice("kind", {"object", "list", "value", "literal"}, out.kind);
  in.optional("entries", out.entries);
  in.optional("items", out.items);
  in.optional("json", out.json);
  if (out.kind == JsonNode::Kind::kValue) readOps(in, "ops", out.ops);
}

void readFields(JsReader& in, Format& out) {
  in.choice("mode", {"text", "json"}, out.mode);
  in.optional("omitEmpty", out.omitEmpty);
  if (out.mode == Format::Mode::kText) {
    readOps(in, "ops", out.ops);
  } else {
    in.field("root", out.root);
  }
}

void readFields(JsReader& in, LogFilter& out) {
  in.choice("kind", {"status", "duration", "and", "or", "header", "flag"}, out.kind);
  if (in.has("op")) in.choice("op", {"eq", "ge", "le", "ne"}, out.op);
  in.optional("value", out.value);
  in.optional("flag", out.flag);
  in.optional("filters", out.filters);
  in.optional("header", out.header);
  in.optional("flags", out.flags);
}

void readFields(JsReader& in, AccessLog& out) {
  in.field("log", out.log);
  in.field("format", out.format);
  in.optional("filter", out.filter);
}

// ---- Routes -------------------------------------------------------------------------------------

void readFields(JsReader& in, HeaderValue& out) {
  in.field("name", out.name);
  readOps(in, "value", out.value);
  in.choice("action", {"append", "add-if-absent", "overwrite", "overwrite-if-exists"}, out.action);
  in.field("keepEmpty", out.keepEmpty);
}

void readFields(JsReader& in, HeaderMutations& out) {
  in.field("add", out.add);
  in.field("remove", out.remove);
}

void readFields(JsReader& in, WeightedCluster& out) {
  in.field("name", out.name);
  in.field("slot", out.slot);
  in.optional("header", out.header);
  in.field("weight", out.weight);
  in.optional("request", out.request);
  in.optional("response", out.response);
  in.optional("hostRewrite", out.hostRewrite);
  in.optional("metadataMatch", out.metadataMatch);
  in.optional("filters", out.filters);
}

void readFields(JsReader& in, ClusterChoice& out) {
  in.choice("kind", {"cluster", "header", "weighted"}, out.kind);
  in.optional("name", out.name);
  in.optional("slot", out.slot);
  in.optional("header", out.header);
  in.optional("clusters", out.clusters);
  in.optional("totalWeight", out.totalWeight);
}

void readFields(JsReader& in, HostRewrite& out) {
  in.choice("kind", {"literal", "auto", "header", "path-regex"}, out.kind);
  in.optional("value", out.value);
  in.optional("header", out.header);
  in.optional("rewrite", out.rewrite);
}

namespace {

void readForward(JsReader& in, Forward& out) {
  in.field("cluster", out.cluster);
  in.field("clusterNotFoundStatus", out.clusterNotFoundStatus);
  in.field("timeout", out.timeout);
  in.field("idleTimeout", out.idleTimeout);
  in.choice("priority", {"default", "high"}, out.priority);
  in.optional("prefixRewrite", out.prefixRewrite);
  in.optional("regexRewrite", out.regexRewrite);
  in.optional("hostRewrite", out.hostRewrite);
  in.optional("appendXForwardedHost", out.appendXForwardedHost);
  readResilience(in, out);
  readBalancing(in, out);
}

void readRedirect(JsReader& in, Redirect& out) {
  in.field("status", out.status);
  in.optional("https", out.https);
  in.optional("scheme", out.scheme);
  in.optional("host", out.host);
  in.optional("port", out.port);
  in.optional("path", out.path);
  in.optional("prefixRewrite", out.prefixRewrite);
  in.optional("regexRewrite", out.regexRewrite);
  in.optional("stripQuery", out.stripQuery);
}

void readRespond(JsReader& in, DirectResponse& out) {
  in.field("status", out.status);
  std::vector<uint8_t> body;
  in.field("body", body);
  out.body.assign(body.begin(), body.end());
}

}  // namespace

// A variant is a class too: the property `kind` tells which.
void readFields(JsReader& in, RouteAction& out) {
  std::string kind = in.kind();
  if (kind == "forward") {
    readForward(in, out.emplace<Forward>());
  } else if (kind == "redirect") {
    readRedirect(in, out.emplace<Redirect>());
  } else if (kind == "respond") {
    readRespond(in, out.emplace<DirectResponse>());
  } else {
    in.fail("kind: unknown value \"" + kind + "\"");
  }
}

void readFields(JsReader& in, RouteMatch& out) {
  in.choice("kind", {"prefix", "path", "separated-prefix", "regex"}, out.kind);
  in.optional("value", out.value);
  in.optional("dfa", out.dfa);
  in.field("caseSensitive", out.caseSensitive);
  in.optional("headers", out.headers);
  in.optional("query", out.query);
  in.optional("fraction", out.fraction);
}

void readFields(JsReader& in, Route& out) {
  in.field("name", out.name);
  in.field("match", out.match);
  in.field("action", out.action);
  in.optional("request", out.request);
  in.optional("response", out.response);
  in.optional("filters", out.filters);
}

void readFields(JsReader& in, VirtualHost& out) {
  in.field("name", out.name);
  in.field("domains", out.domains);
  in.choice("requireTls", {"none", "external", "all"}, out.requireTls);
  in.field("routes", out.routes);
  in.optional("request", out.request);
  in.optional("response", out.response);
}

namespace {

// An object that has no struct of its own: its two fields stand in the table.
struct RetryFlags {
  RouteTable& table;
};

void readFields(JsReader& in, RetryFlags& out) {
  in.field("base", out.table.retryBaseFlag);
  in.field("use", out.table.useRetryFlag);
}

}  // namespace

void readFields(JsReader& in, RouteTable& out) {
  in.field("name", out.name);
  in.field("virtualHosts", out.virtualHosts);
  in.optional("request", out.request);
  in.optional("response", out.response);
  in.field("mostSpecificMutationsWin", out.mostSpecificMutationsWin);
  in.field("ignorePortInHost", out.ignorePortInHost);
  RetryFlags flags{out};
  in.field("retryFlags", flags);
  in.field("internalOnlyHeaders", out.internalOnlyHeaders);
  in.optional("filterConfigs", out.filterConfigs);
}

// ---- Listeners ----------------------------------------------------------------------------------

void readFields(JsReader& in, Cidr& out) {
  in.field("ip", out.ip);
  in.field("bits", out.bits);
}

void readFields(JsReader& in, HttpManager& out) {
  in.field("statPrefix", out.statPrefix);
  in.choice("codec", {"auto", "http1"}, out.codec);
  in.field("routes", out.routes);
  in.field("serverName", out.serverName);
  in.choice("serverHeader", {"overwrite", "append-if-absent", "pass-through"}, out.serverHeader);
  in.field("useRemoteAddress", out.useRemoteAddress);
  in.field("xffTrustedHops", out.xffTrustedHops);
  in.field("skipXffAppend", out.skipXffAppend);
  in.field("appendXForwardedPort", out.appendXForwardedPort);
  in.field("internalAddresses", out.internalAddresses);
  in.field("generateRequestId", out.generateRequestId);
  in.field("preserveExternalRequestId", out.preserveExternalRequestId);
  in.field("alwaysSetRequestIdInResponse", out.alwaysSetRequestIdInResponse);
  in.field("normalizePath", out.normalizePath);
  in.field("mergeSlashes", out.mergeSlashes);
  in.choice("escapedSlashes", {"keep", "reject", "redirect", "forward"}, out.escapedSlashes);
  in.choice("underscores", {"allow", "reject", "drop"}, out.underscores);
  in.field("proxy100Continue", out.proxy100Continue);
  in.choice("stripPort", {"none", "matching", "any"}, out.stripPort);
  in.field("stripTrailingDot", out.stripTrailingDot);
  in.field("schemeOverwrite", out.schemeOverwrite);
  in.field("via", out.via);
  in.field("addUserAgent", out.addUserAgent);
  in.field("suppressEnvoyHeaders", out.suppressEnvoyHeaders);
  in.field("idleTimeout", out.idleTimeout);
  in.field("streamIdleTimeout", out.streamIdleTimeout);
  in.field("streamFlushTimeout", out.streamFlushTimeout);
  in.field("requestTimeout", out.requestTimeout);
  in.field("requestHeadersTimeout", out.requestHeadersTimeout);
  in.field("delayedCloseTimeout", out.delayedCloseTimeout);
  in.field("drainTimeout", out.drainTimeout);
  in.field("maxConnectionDuration", out.maxConnectionDuration);
  in.field("maxStreamDuration", out.maxStreamDuration);
  in.field("maxRequestsPerConnection", out.maxRequestsPerConnection);
  in.field("maxRequestHeaderBytes", out.maxRequestHeaderBytes);
  in.field("maxHeaders", out.maxHeaders);
  in.field("acceptHttp10", out.acceptHttp10);
  in.field("defaultHostForHttp10", out.defaultHostForHttp10);
  in.field("enableTrailers", out.enableTrailers);
  in.field("allowAbsoluteUrl", out.allowAbsoluteUrl);
  in.choice("headerCase", {"keep", "proper-case"}, out.headerCase);
  in.field("halfCloseFlag", out.halfCloseFlag);
  in.field("mostHeldFlag", out.mostHeldFlag);
  in.field("filters", out.filters);
  in.field("accessLogs", out.accessLogs);
}

void readFields(JsReader& in, TcpProxy& out) {
  in.field("statPrefix", out.statPrefix);
  in.field("cluster", out.cluster);
  in.field("idleTimeout", out.idleTimeout);
  in.field("maxConnectAttempts", out.maxConnectAttempts);
  in.field("maxDownstreamDuration", out.maxDownstreamDuration);
  in.optional("hashSourceIp", out.hashSourceIp);
  in.field("mostHeldFlag", out.mostHeldFlag);
  in.field("accessLogs", out.accessLogs);
}

namespace {

// The terminal filter of a chain, told apart by its `kind`.
struct Terminal {
  std::variant<HttpManager, TcpProxy>& filter;
};

void readFields(JsReader& in, Terminal& out) {
  std::string kind = in.kind();
  if (kind == "http") {
    readFields(in, out.filter.emplace<HttpManager>());
  } else if (kind == "tcp") {
    readFields(in, out.filter.emplace<TcpProxy>());
  } else {
    in.fail("kind: unknown value \"" + kind + "\"");
  }
}

}  // namespace

void readFields(JsReader& in, FilterChain& out) {
  in.field("name", out.name);
  in.field("destinationPort", out.destinationPort);
  Terminal terminal{out.filter};
  in.field("filter", terminal);
}

void readFields(JsReader& in, Listener& out) {
  in.field("name", out.name);
  in.field("addresses", out.addresses);
  in.field("statPrefix", out.statPrefix);
  in.field("reusePort", out.reusePort);
  in.field("backlog", out.backlog);
  in.field("ipv4Compat", out.ipv4Compat);
  in.field("freebind", out.freebind);
  in.field("transparent", out.transparent);
  in.field("originalDst", out.originalDst);
  in.field("bufferLimit", out.bufferLimit);
  in.field("connectionLimitFlag", out.connectionLimitFlag);
  in.field("filterChains", out.filterChains);
  in.optional("defaultFilterChain", out.defaultFilterChain);
  in.choice("drainType", {"default", "modify-only"}, out.drainType);
}

// ---- Clusters -----------------------------------------------------------------------------------

void readFields(JsReader& in, RetryBudget& out) {
  in.field("percent", out.percent);
  in.field("minConcurrency", out.minConcurrency);
}

void readFields(JsReader& in, Breaker& out) {
  in.field("maxConnections", out.maxConnections);
  in.field("maxPendingRequests", out.maxPendingRequests);
  in.field("maxRequests", out.maxRequests);
  in.field("maxRetries", out.maxRetries);
  in.optional("maxConnectionPools", out.maxConnectionPools);
  in.optional("maxConnectionsPerHost", out.maxConnectionsPerHost);
  in.optional("retryBudget", out.retryBudget);
  in.field("trackRemaining", out.trackRemaining);
}

void readFields(JsReader& in, Breakers& out) {
  in.field("default", out.normal);
  in.field("high", out.high);
}

void readFields(JsReader& in, Host& out) {
  in.field("address", out.address);
  in.field("hostname", out.hostname);
  in.field("id", out.id);
  in.optional("additionalAddresses", out.additionalAddresses);
  in.field("weight", out.weight);
  in.field("priority", out.priority);
  in.field("locality", out.locality);
  in.choice("health", {"healthy", "degraded", "unhealthy"}, out.health);
  if (in.has("status")) {
    in.choice("status", {"unknown", "healthy", "unhealthy", "draining", "timeout", "degraded"},
              out.status.emplace());
  }
  in.optional("excluded", out.excluded);
  in.optional("canary", out.canary);
  in.optional("metadata", out.metadata);
}

void readFields(JsReader& in, HostDelta& out) {
  in.field("set", out.set);
  in.field("remove", out.remove);
}

void readFields(JsReader& in, Locality& out) {
  in.field("region", out.region);
  in.field("zone", out.zone);
  in.field("subZone", out.subZone);
  in.field("weight", out.weight);
  in.field("priority", out.priority);
}

void readFields(JsReader& in, LocalCluster& out) {
  in.field("slot", out.slot);
  in.optional("node", out.node);
}

void readFields(JsReader& in, Outlier& out) {
  in.field("consecutive5xx", out.consecutive5xx);
  in.field("consecutiveGatewayFailure", out.consecutiveGatewayFailure);
  in.field("consecutiveLocalOriginFailure", out.consecutiveLocalOriginFailure);
  in.field("splitExternalLocalOriginErrors", out.splitExternalLocalOriginErrors);
}

void readFields(JsReader& in, Keepalive& out) {
  in.field("idle", out.idle);
  in.field("interval", out.interval);
  in.field("probes", out.probes);
}

void readFields(JsReader& in, SocketOption& out) {
  in.field("level", out.level);
  in.field("name", out.name);
  in.field("value", out.value);
}

void readFields(JsReader& in, Connect& out) {
  in.optional("bind", out.bind);
  in.optional("freebind", out.freebind);
  in.optional("socketOptions", out.socketOptions);
  if (in.has("proxyProtocol")) {
    in.choice("proxyProtocol", {"none", "v1", "v2"}, out.proxyProtocol);
  }
  if (in.has("firstFamily")) in.choice("firstFamily", {"any", "v4", "v6"}, out.firstFamily);
  in.optional("firstFamilyCount", out.firstFamilyCount);
  in.optional("perUpstreamPreconnect", out.perUpstreamPreconnect);
  in.optional("predictivePreconnect", out.predictivePreconnect);
  in.optional("poolPerDownstream", out.poolPerDownstream);
  in.optional("closeOnHealthFailure", out.closeOnHealthFailure);
}

void readFields(JsReader& in, OnDemand& out) {
  in.choice("kind", {"original-dst", "forward-proxy"}, out.kind);
  in.field("wait", out.waitMs);
  in.field("maxWaiting", out.maxWaiting);
  in.optional("header", out.header);
  in.optional("port", out.port);
}

void readFields(JsReader& in, Cluster& out) {
  in.field("name", out.name);
  in.field("statName", out.statName);
  in.field("hosts", out.hosts);
  in.field("localities", out.localities);
  in.field("lb", out.lb);
  in.field("connectTimeout", out.connectTimeout);
  in.field("idleTimeout", out.idleTimeout);
  in.field("maxConnectionDuration", out.maxConnectionDuration);
  in.field("maxRequestsPerConnection", out.maxRequestsPerConnection);
  in.field("bufferLimit", out.bufferLimit);
  in.field("maxResponseHeaderBytes", out.maxResponseHeaderBytes);
  in.field("maxResponseHeaders", out.maxResponseHeaders);
  in.field("enableTrailers", out.enableTrailers);
  in.field("breakers", out.breakers);
  in.optional("keepalive", out.keepalive);
  in.optional("onDemand", out.onDemand);
  in.optional("connect", out.connect);
  in.optional("outlier", out.outlier);
  in.optional("reportImmediateFail", out.reportImmediateFail);
}

}  // namespace millrace::spec
