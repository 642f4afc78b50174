// The table of paths; see rotation_claim.h.
#include "flush/rotation_claim.h"

#include <filesystem>
#include <map>
#include <mutex>
#include <system_error>

namespace millrace {

namespace {

struct Claimed {
  FlushRotation rotation;
  uint32_t owners = 0;
};

// Of the process, as paths are.
struct Table {
  std::mutex mutex;
  std::map<std::string, Claimed> paths;
};

// Never destroyed: threads may outlive static destructors. In static memory, so that nothing is
// left when the addon is unloaded.
union Undestroyed {
  Undestroyed() : table() {}
  ~Undestroyed() {}
  Table table;
};

Table& table() {
  static Undestroyed kept;
  return kept.table;
}

std::string describe(const FlushRotation& r) {
  if (!r.on()) return "without rotation";
  std::string text = "rotated";
  if (r.maxBytes != 0) text += " at " + std::to_string(r.maxBytes) + " bytes";
  if (r.maxBytes != 0 && r.every != FlushRotation::Every::kNever) text += " and";
  if (r.every == FlushRotation::Every::kHour) text += " every hour";
  if (r.every == FlushRotation::Every::kDay) text += " every day";
  if (r.every == FlushRotation::Every::kPeriod) {
    text += " every " + std::to_string(r.periodMs) + " ms";
  }
  text += r.keep == 0 ? ", all kept" : ", " + std::to_string(r.keep) + " kept";
  return r.gzip ? text + ", gzip" : text;
}

Error differs(const std::string& path, const FlushRotation& has, const FlushRotation& wanted) {
  return Error{"ERR_MILLRACE_FLUSH_ROTATION",
               path + " is open in this process already, " + describe(has) + ", and cannot be " +
                   describe(wanted) + " here: rotate it in one way, or share one file"};
}

}  // namespace

Result<std::unique_ptr<RotationClaim>> RotationClaim::take(const std::string& path,
                                                           const FlushRotation& rotation) {
  std::error_code failed;
  std::string key = std::filesystem::weakly_canonical(path, failed).string();
  if (failed || key.empty()) key = path;
  Table& t = table();
  std::lock_guard lock(t.mutex);
  Claimed& claimed = t.paths[key];
  if (claimed.owners != 0 && claimed.rotation != rotation) {
    return differs(path, claimed.rotation, rotation);
  }
  claimed.rotation = rotation;
  claimed.owners++;
  return std::unique_ptr<RotationClaim>(new RotationClaim(std::move(key)));
}

RotationClaim::~RotationClaim() {
  Table& t = table();
  std::lock_guard lock(t.mutex);
  const auto at = t.paths.find(key_);
  if (--at->second.owners == 0) t.paths.erase(at);
}

Status RotationClaim::change(const FlushRotation& rotation) {
  Table& t = table();
  std::lock_guard lock(t.mutex);
  Claimed& claimed = t.paths[key_];
  if (claimed.owners > 1 && claimed.rotation != rotation) {
    return differs(key_, claimed.rotation, rotation);
  }
  claimed.rotation = rotation;
  return {};
}

}  // namespace millrace
