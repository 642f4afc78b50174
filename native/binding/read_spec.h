// How each type of src/native/ is read (see js_reader.h). Main thread.
#pragma once

#include "binding/js_reader.h"
#include "proxy/spec.h"
#include "upstream/cluster_spec.h"

namespace millrace::spec {

void readFields(JsReader& in, Address& out);
void readFields(JsReader& in, Dfa& out);
void readFields(JsReader& in, RegexProgram& out);
void readFields(JsReader& in, RegexRewrite& out);
void readFields(JsReader& in, StringMatcher& out);
void readFields(JsReader& in, HeaderMatcher& out);
void readFields(JsReader& in, QueryMatcher& out);
void readFields(JsReader& in, Fraction& out);
void readFields(JsReader& in, FormatOperator& out);
void readFields(JsReader& in, JsonNode& out);
void readFields(JsReader& in, Format& out);
void readFields(JsReader& in, LogFilter& out);
void readFields(JsReader& in, AccessLog& out);
void readFields(JsReader& in, HeaderValue& out);
void readFields(JsReader& in, HeaderMutations& out);
void readFields(JsReader& in, StatefulSession& out);
void readFields(JsReader& in, StatefulSessionRoute& out);
void readFields(JsReader& in, RuntimeNumber& out);
void readFields(JsReader& in, AdmissionControl& out);
void readFields(JsReader& in, Gradient& out);
void readFields(JsReader& in, AdaptiveConcurrency& out);
void readFields(JsReader& in, FilterConfig& out);
void readFields(JsReader& in, HttpFilter& out);
void readFields(JsReader& in, FilterRouteConfig& out);
void readFields(JsReader& in, FilterOverride& out);
void readFields(JsReader& in, WeightedCluster& out);
void readFields(JsReader& in, ClusterChoice& out);
void readFields(JsReader& in, HostRewrite& out);
void readFields(JsReader& in, ResetHeader& out);
void readFields(JsReader& in, HostPredicate& out);
void readFields(JsReader& in, RetryPolicy& out);
void readFields(JsReader& in, Mirror& out);
void readFields(JsReader& in, InternalRedirect& out);
void readFields(JsReader& in, StreamDuration& out);
// The part of a forwarding action that is about failure (src/native/resilience.ts).
void readResilience(JsReader& in, Forward& out);
void readFields(JsReader& in, HashPolicy& out);
void readFields(JsReader& in, MetadataMatch& out);
void readFields(JsReader& in, SubsetSelector& out);
void readFields(JsReader& in, SubsetLb& out);
void readBalancing(JsReader& in, Forward& out);
void readFields(JsReader& in, RouteAction& out);
void readFields(JsReader& in, RouteMatch& out);
void readFields(JsReader& in, Route& out);
void readFields(JsReader& in, VirtualHost& out);
void readFields(JsReader& in, RouteTable& out);
void readFields(JsReader& in, Cidr& out);
void readFields(JsReader& in, HttpManager& out);
void readFields(JsReader& in, TcpProxy& out);
void readFields(JsReader& in, FilterChain& out);
void readFields(JsReader& in, Listener& out);
void readFields(JsReader& in, Breaker& out);
void readFields(JsReader& in, Breakers& out);
void readFields(JsReader& in, Host& out);
void readFields(JsReader& in, HostDelta& out);
void readFields(JsReader& in, LocalCluster& out);
void readFields(JsReader& in, Locality& out);
void readFields(JsReader& in, SlowStart& out);
void readFields(JsReader& in, Lb& out);
void readFields(JsReader& in, Keepalive& out);
void readFields(JsReader& in, OnDemand& out);
void readFields(JsReader& in, Cluster& out);

}  // namespace millrace::spec
