#include "proxy/cluster_choice.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/ascii.h"
#include "http/headers.h"
#include "proxy/authority.h"

namespace millrace {
namespace {

using Kind = spec::ClusterChoice::Kind;

Error bad(const std::string& where, const std::string& what) {
  return Error{"ERR_MILLRACE_ROUTES", where + ": " + what};
}

Result<WeightedCluster> compileWeighted(spec::WeightedCluster spec, const std::string& where) {
  if (spec.name.empty() == spec.header.empty()) {
    return bad(where, "exactly one of name and header must be given");
  }
  if (spec.hostRewrite && !spec.hostRewrite->empty() && !isAuthority(*spec.hostRewrite)) {
    return bad(where + ".hostRewrite", "is no host");
  }
  WeightedCluster cluster;
  cluster.name = std::move(spec.name);
  cluster.header = lowered(spec.header);
  cluster.slot = cluster.name.empty() ? kNoSlot : spec.slot;
  cluster.hostRewrite = std::move(spec.hostRewrite).value_or("");
  if (spec.metadataMatch) cluster.match = metadataMatch(std::move(*spec.metadataMatch));
  cluster.filters = std::move(spec.filters);
  Result<HeaderMutations> request =
      HeaderMutations::compile(std::move(spec.request), where + ".request");
  if (!request) return request.error();
  Result<HeaderMutations> response =
      HeaderMutations::compile(std::move(spec.response), where + ".response");
  if (!response) return response.error();
  cluster.request = std::move(*request);
  cluster.response = std::move(*response);
  return cluster;
}

// Names the cluster: the first field of that name only, as such a header is not to be trusted.
std::string_view firstValue(const HeaderList* headers, std::string_view name) {
  const Header* header = headers == nullptr ? nullptr : headers->find(name);
  return header == nullptr ? std::string_view() : header->value;
}

// The header's number, when there is exactly one such field and it is an unsigned 64-bit number.
bool numberOf(const HeaderList& headers, std::string_view name, uint64_t& out) {
  bool found = false;
  std::string_view text =
      headers.joined(name, found);  // two fields are joined by ',', which no number has
  auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), out, 10);
  return found && error == std::errc() && at == text.data() + text.size();
}

}  // namespace

MetadataMatch metadataMatch(spec::MetadataMatch spec) {
  auto ordered = [](std::vector<std::string>& flat) {
    HostCriteria criteria;
    for (size_t i = 0; i + 1 < flat.size(); i += 2) {
      criteria.emplace_back(std::move(flat[i]), std::move(flat[i + 1]));
    }
    std::sort(criteria.begin(), criteria.end());
    return criteria;
  };
  MetadataMatch match{ordered(spec.criteria), {}};
  for (auto& variant : spec.variants) match.variants.push_back(ordered(variant));
  return match;
}

Result<ClusterChoice> ClusterChoice::compile(spec::ClusterChoice spec, const std::string& where) {
  ClusterChoice choice;
  choice.kind_ = spec.kind;
  choice.slot_ = spec.slot;
  choice.header_ = lowered(spec.header);
  choice.name_ = std::move(spec.name);
  switch (spec.kind) {
    case Kind::kCluster:
      if (choice.name_.empty()) return bad(where + ".name", "must not be empty");
      return choice;
    case Kind::kHeader:
      if (choice.header_.empty()) return bad(where + ".header", "must not be empty");
      return choice;
    case Kind::kWeighted:
      break;
  }
  for (size_t i = 0; i < spec.clusters.size(); i++) {
    uint32_t weight = spec.clusters[i].weight;
    Result<WeightedCluster> cluster = compileWeighted(
        std::move(spec.clusters[i]), where + ".clusters[" + std::to_string(i) + "]");
    if (!cluster) return cluster.error();
    choice.total_ += weight;
    cluster->upTo = choice.total_;
    choice.clusters_.push_back(std::move(*cluster));
  }
  if (choice.total_ == 0 || choice.total_ > UINT32_MAX) {
    return bad(where + ".clusters", "the sum of weights must be from 1 to 4294967295");
  }
  return choice;
}

ClusterPick ClusterChoice::pick(const HeaderList* headers, uint64_t random) const {
  if (kind_ == Kind::kCluster) return {name_, slot_, nullptr};
  if (kind_ == Kind::kHeader) return {firstValue(headers, header_), kNoSlot, nullptr};
  uint64_t number = random;
  if (!header_.empty() && headers != nullptr && !numberOf(*headers, header_, number)) {
    number = random;
  }
  number %= total_;
  const WeightedCluster* chosen = clusters_.data();
  while (number >= chosen->upTo) chosen++;
  if (!chosen->name.empty()) return {chosen->name, chosen->slot, chosen};
  return {firstValue(headers, chosen->header), kNoSlot, chosen};
}

}  // namespace millrace
