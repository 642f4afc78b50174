// HTTP filters, and what routes tell them: src/native/filters.ts.
#include "binding/read_spec.h"

namespace millrace {

void readFields(JsReader& in, spec::FilterConfig&) {
  in.fail("kind: unknown value \"" + in.kind() + "\"");
}

void readFields(JsReader& in, spec::FilterRouteConfig&) {
  in.fail("kind: unknown value \"" + in.kind() + "\"");
}

}  // namespace millrace

namespace millrace::spec {

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
