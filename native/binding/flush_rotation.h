// NativeRotation of src/native/flush.ts, as a FlushRotation.
#pragma once

#include "binding/js_reader.h"
#include "flush/rotation.h"

namespace millrace {

inline void readFields(JsReader& in, FlushRotation& out) {
  in.field("maxBytes", out.maxBytes);
  in.choice("every", {"never", "hour", "day", "period"}, out.every);
  in.field("periodMs", out.periodMs);
  in.field("keep", out.keep);
  in.field("gzip", out.gzip);
  if (in.ok() && out.every == FlushRotation::Every::kPeriod && out.periodMs == 0) {
    in.fail("periodMs: more than 0 is wanted");
  }
}

}  // namespace millrace
