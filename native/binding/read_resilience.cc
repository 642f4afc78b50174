// What a route does about failure: src/native/resilience.ts.
#include "binding/read_spec.h"

namespace millrace::spec {

void readFields(JsReader& in, ResetHeader& out) {
  in.field("name", out.name);
  in.choice("format", {"seconds", "unix-timestamp"}, out.format);
}

void readFields(JsReader& in, HostPredicate& out) {
  in.choice("kind", {"previous-hosts", "omit-canary", "omit-metadata"}, out.kind);
  in.optional("metadata", out.metadata);
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
  in.field("predicates", out.predicates);
  in.field("hostSelectionAttempts", out.hostSelectionAttempts);
  in.optional("previousPriorities", out.previousPriorities);
  in.field("perTryTimeout", out.perTryTimeout);
  in.field("perTryIdleTimeout", out.perTryIdleTimeout);
}

void readFields(JsReader& in, Mirror& out) {
  in.field("cluster", out.cluster);
  in.field("slot", out.slot);
  in.optional("header", out.header);
  in.optional("fraction", out.fraction);
  in.optional("keepHost", out.keepHost);
}

void readFields(JsReader& in, InternalRedirect& out) {
  in.field("most", out.most);
  in.field("statuses", out.statuses);
  in.field("crossScheme", out.crossScheme);
  in.field("copiedHeaders", out.copiedHeaders);
  in.field("notToPreviousRoutes", out.notToPreviousRoutes);
  in.field("safeCrossScheme", out.safeCrossScheme);
  in.optional("allowedRoutes", out.allowedRoutes);
}

void readFields(JsReader& in, StreamDuration& out) {
  in.field("most", out.most);
  in.field("grpcMost", out.grpcMost);
  in.field("grpcOffset", out.grpcOffset);
}

void readResilience(JsReader& in, Forward& out) {
  in.optional("retry", out.retry);
  in.optional("hedgeOnPerTryTimeout", out.hedgeOnPerTryTimeout);
  in.optional("attemptCountInRequest", out.attemptCountInRequest);
  in.optional("attemptCountInResponse", out.attemptCountInResponse);
  in.optional("timeoutRetryHeader", out.timeoutRetryHeader);
  in.optional("mirrors", out.mirrors);
  in.optional("internalRedirect", out.internalRedirect);
  in.optional("streamDuration", out.streamDuration);
  in.optional("grpcTimeoutMost", out.grpcTimeoutMost);
  in.optional("grpcTimeoutOffset", out.grpcTimeoutOffset);
  in.optional("bufferLimit", out.bufferLimit);
}

}  // namespace millrace::spec
