// That all who write to one path in this process rotate it in the same way: one who does not would
// write on into the old files of the others, until they are removed.
//
// Thread rule: any thread.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "flush/rotation.h"

namespace millrace {

class RotationClaim {
 public:
  // Errors: ERR_MILLRACE_FLUSH_ROTATION: the path is open already, and rotated otherwise.
  static Result<std::unique_ptr<RotationClaim>> take(const std::string& path,
                                                     const FlushRotation& rotation);
  ~RotationClaim();
  RotationClaim(const RotationClaim&) = delete;
  RotationClaim& operator=(const RotationClaim&) = delete;

  // As take(), for who has it already.
  Status change(const FlushRotation& rotation);

 private:
  explicit RotationClaim(std::string key) : key_(std::move(key)) {}
  const std::string key_;
};

}  // namespace millrace
