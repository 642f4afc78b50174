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

void readFields(JsReader& in, FilterConfig& out) {
  std::string kind = in.kind();
  if (kind == "stateful-session") {
    readFields(in, out.emplace<StatefulSession>());
  } else if (kind == "dynamic-forward-proxy") {
    out.emplace<DynamicForwardProxy>();
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
