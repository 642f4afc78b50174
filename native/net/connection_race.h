// The race of one outgoing connection for the first of several addresses that answers (RFC 8305 §5,
// Envoy's happy eyeballs). The connection tries the first one itself; every kHappyEyeballsMs, and
// at once when an attempt failed, the race tries one more. Whoever is up first hands its descriptor
// to the connection; the others are closed.
//
// Thread rule: the loop's thread.
#pragma once

#include <memory>
#include <vector>

#include "net/connection.h"

namespace millrace {

class Connection::Race final : public Deferred {
 public:
  Race(Connection& connection, std::span<const Address> others, const ConnectOptions& options);
  // The connection's own attempt is over. False when nothing is left to try or to wait for.
  bool goOn();
  // Closes what is under way; the race is given back at the end of the turn.
  void end();
  void destroyDeferred() override;

 private:
  struct Attempt final : IoHandle {
    Attempt(Race& of, const Address& at) : race(of), to(at) {}
    void onReady(uint32_t events) override;
    bool start(int fd);
    void drop();
    Race& race;
    const Address to;
  };
  bool startNext();
  bool underWay() const;

  Connection& connection_;
  const std::vector<Address> others_;
  const ConnectOptions options_;  // its own: the caller's may go before the race is over
  size_t next_ = 0;
  Timer step_;
  std::vector<std::unique_ptr<Attempt>> attempts_;
};

}  // namespace millrace
