// HTTP filters, and what routes tell them: src/native/filters.ts.
#include "binding/read_spec.h"

namespace millrace::spec {

void readFields(JsReader& in, StatefulSession& out) {
  in.choice("state", {"none", "cookie", "header"}, out.state);
  in.optional("name", out.name);
  in.optional("ttl", out.ttl);
  in.optional("path", out.path);
  in.optional("strict", out.strict);
}

void readFields(JsReader& in, StatefulSessionRoute& out) {
  in.optional("disabled", out.disabled);
  in.optional("session", out.session);
}

void readFields(JsReader& in, DynamicForwardProxyRoute& out) {
  in.optional("host", out.host);
  in.optional("header", out.header);
}

void readFields(JsReader& in, RuntimeNumber& out) {
  in.field("value", out.value);
  in.field("flag", out.flag);
}

void readFields(JsReader& in, AdmissionControl& out) {
  in.field("enabled", out.enabled);
  in.field("httpSuccess", out.httpSuccess);
  in.field("grpcSuccess", out.grpcSuccess);
  in.field("windowSeconds", out.windowSeconds);
  in.field("aggression", out.aggression);
  in.field("threshold", out.threshold);
  in.field("rpsThreshold", out.rpsThreshold);
  in.field("mostRejected", out.mostRejected);
}

void readFields(JsReader& in, Gradient& out) {
  in.field("percentile", out.percentile);
  in.field("mostConcurrency", out.mostConcurrency);
  in.field("updateEvery", out.updateEvery);
  in.field("measureEvery", out.measureEvery);
  in.field("requests", out.requests);
  in.field("jitter", out.jitter);
  in.field("leastConcurrency", out.leastConcurrency);
  in.field("buffer", out.buffer);
}

void readFields(JsReader& in, AdaptiveConcurrency& out) {
  in.field("enabled", out.enabled);
  in.field("exceededStatus", out.exceededStatus);
  in.field("gradient", out.gradient);
}

void readFields(JsReader& in, FilterConfig& out) {
  std::string kind = in.kind();
  if (kind == "stateful-session") {
    readFields(in, out.emplace<StatefulSession>());
  } else if (kind == "dynamic-forward-proxy") {
    out.emplace<DynamicForwardProxy>();
  } else if (kind == "admission-control") {
    readFields(in, out.emplace<AdmissionControl>());
  } else if (kind == "adaptive-concurrency") {
    readFields(in, out.emplace<AdaptiveConcurrency>());
  } else {
    in.fail("kind: unknown value \"" + kind + "\"");
  }
}

void readFields(JsReader& in, FilterRouteConfig& out) {
  std::string kind = in.kind();
  if (kind == "stateful-session") {
    readFields(in, out.emplace<StatefulSessionRoute>());
  } else if (kind == "dynamic-forward-proxy") {
    readFields(in, out.emplace<DynamicForwardProxyRoute>());
  } else {
    in.fail("kind: unknown value \"" + kind + "\"");
  }
}

void readFields(JsReader& in, HttpFilter& out) {
  in.field("id", out.id);
  in.field("name", out.name);
  in.optional("disabled", out.disabled);
  in.field("config", out.config);
}

void readFields(JsReader& in, FilterOverride& out) {
  in.field("filter", out.filter);
  in.optional("disabled", out.disabled);
  in.optional("config", out.config);
}

}  // namespace millrace::spec
