// How requests choose hosts: src/native/balancing.ts.
#include "binding/read_spec.h"

namespace millrace::spec {

void readFields(JsReader& in, SlowStart& out) {
  in.field("window", out.window);
  in.field("aggression", out.aggression);
  in.field("minWeightPercent", out.minWeightPercent);
}

void readFields(JsReader& in, ZoneAware& out) {
  in.field("enabledPercent", out.enabledPercent);
  in.field("minClusterSize", out.minClusterSize);
}

void readFields(JsReader& in, ClientWeights& out) {
  in.field("blackout", out.blackout);
  in.field("expiration", out.expiration);
  in.field("errorPenalty", out.errorPenalty);
}

void readFields(JsReader& in, SubsetSelector& out) {
  in.field("keys", out.keys);
  in.optional("singleHost", out.singleHost);
  in.choice("fallback", {"not-defined", "none", "any", "default", "keys"}, out.fallback);
  in.optional("fallbackKeys", out.fallbackKeys);
}

void readFields(JsReader& in, SubsetLb& out) {
  in.choice("fallback", {"none", "any", "default"}, out.fallback);
  in.optional("defaultSubset", out.defaultSubset);
  in.field("selectors", out.selectors);
  in.optional("allowRedundantKeys", out.allowRedundantKeys);
  in.optional("localityWeightAware", out.localityWeightAware);
  in.optional("scaleLocalityWeight", out.scaleLocalityWeight);
  in.optional("panicModeAny", out.panicModeAny);
  in.optional("fallbackList", out.fallbackList);
}

void readFields(JsReader& in, Lb& out) {
  in.choice("policy", {"round-robin", "least-request", "random", "ring-hash", "maglev"},
            out.policy);
  in.field("overprovisioning", out.overprovisioning);
  in.field("panicThreshold", out.panicThreshold);
  in.optional("failTrafficOnPanic", out.failTrafficOnPanic);
  in.optional("weightedPriorityHealth", out.weightedPriorityHealth);
  in.optional("localityWeighted", out.localityWeighted);
  in.optional("zoneAware", out.zoneAware);
  in.optional("slowStart", out.slowStart);
  in.optional("clientWeights", out.clientWeights);
  in.optional("choiceCount", out.choiceCount);
  in.optional("activeRequestBias", out.activeRequestBias);
  in.optional("fullScan", out.fullScan);
  in.optional("ringMin", out.ringMin);
  in.optional("ringMax", out.ringMax);
  in.optional("murmur", out.murmur);
  in.optional("maglevTableSize", out.maglevTableSize);
  in.optional("hashHostname", out.hashHostname);
  in.optional("hashBalanceFactor", out.hashBalanceFactor);
  in.optional("overrideStatuses", out.overrideStatuses);
  in.optional("subsets", out.subsets);
  in.optional("dropPerMillion", out.dropPerMillion);
  in.optional("dropLimitPerMillion", out.dropLimitPerMillion);
  in.optional("maintenancePerMillion", out.maintenancePerMillion);
}

void readFields(JsReader& in, HashPolicy& out) {
  in.choice("kind", {"header", "cookie", "source-ip", "query"}, out.kind);
  in.optional("name", out.name);
  in.optional("rewrite", out.rewrite);
  in.optional("ttl", out.ttl);
  in.optional("path", out.path);
  in.optional("attributes", out.attributes);
  in.optional("terminal", out.terminal);
}

void readFields(JsReader& in, MetadataMatch& out) {
  in.field("criteria", out.criteria);
  in.optional("variants", out.variants);
}

void readBalancing(JsReader& in, Forward& out) {
  in.optional("hashPolicies", out.hashPolicies);
  in.optional("metadataMatch", out.metadataMatch);
}

}  // namespace millrace::spec
