// What a route does about failure: src/native/resilience.ts.
#include "binding/read_spec.h"

namespace millrace::spec {

void readFields(JsReader& in, ResetHeader& out) {
  in.field("name", out.name);
  in.choice("format", {"seconds", "unix-timestamp"}, out.format);
}

void readFields(JsReader& in, RetryPolicy& out) {
  in.field("on", out.on);
  in.field("retries", out.retries);
  in.field("baseInterval", out.baseInterval);
  in.field("maxInterval", out.maxInterval);
  in.field("resetHeaders", out.resetHeaders);
  in.field("resetMaxInterval", out.resetMaxInterval);
  in.field("statusCodes", out.statusCodes);
  in.field("responseHeaders", out.responseHeaders);
  in.field("requestHeaders", out.requestHeaders);
  in.field("perTryTimeout", out.perTryTimeout);
  in.field("perTryIdleTimeout", out.perTryIdleTimeout);
}

void readResilience(JsReader& in, Forward& out) {
  in.optional("retry", out.retry);
  in.optional("hedgeOnPerTryTimeout", out.hedgeOnPerTryTimeout);
  in.optional("attemptCountInRequest", out.attemptCountInRequest);
  in.optional("attemptCountInResponse", out.attemptCountInResponse);
  in.optional("timeoutRetryHeader", out.timeoutRetryHeader);
  in.optional("bufferLimit", out.bufferLimit);
}

}  // namespace millrace::spec
