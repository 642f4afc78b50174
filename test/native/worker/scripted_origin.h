// An origin that does what a script says, request by request, and keeps what it received.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <vector>

#include "worker/support.h"

namespace millrace::test {

// What is done with one request.
struct Step {
  std::string response;  // sent as it is
  bool hang = false;     // nothing further is done
  bool close = false;    // the connection is closed after that
};

inline Step answer(int status, std::string_view body = "", std::string_view fields = "") {
  return {"HTTP/1.1 " + std::to_string(status) + " X\r\n" + std::string(fields) +
          "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body)};
}
inline Step hang() {
  return {.response = {}, .hang = true};
}
inline Step drop() {
  return {.response = {}, .close = true};
}

class ScriptedOrigin {
 public:
  // The last step is repeated.
  explicit ScriptedOrigin(std::vector<Step> script) : script_(std::move(script)) {
    auto sockets = listenOn(*Address::ip("127.0.0.1", 0), {.reusePort = false}, 1);
    listener_ = std::move(sockets->fds[0]);
    port_ = sockets->local.port();
    thread_ = std::thread([this] { run(); });
  }
  ~ScriptedOrigin() {
    stop_ = true;
    thread_.join();
    for (Peer& peer : peers_) ::close(peer.fd);
  }
  uint16_t port() const { return port_; }
  // To the connections whose request was to hang; these go on then.
  void endHung(Step step) {
    std::lock_guard lock(mutex_);
    late_ = std::move(step);
  }
  // Heads and bodies, in the order in which they were complete.
  std::vector<std::string> requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  struct Peer {
    int fd;
    std::string text;
    bool hung = false;
  };
  void run() {
    while (!stop_) {
      std::vector<pollfd> fds{{listener_.get(), POLLIN, 0}};
      for (const Peer& peer : peers_) fds.push_back({peer.fd, POLLIN, 0});
      ::poll(fds.data(), nfds_t(fds.size()), 5);
      answerLate();
      for (size_t i = peers_.size(); i-- > 0;) {
        if (fds[i + 1].revents != 0 && !serve(peers_[i])) {
          ::close(peers_[i].fd);
          peers_.erase(peers_.begin() + long(i));
        }
      }
      if ((fds[0].revents & POLLIN) != 0) {
        int fd = ::accept(listener_.get(), nullptr, nullptr);
        if (fd >= 0) peers_.push_back({fd, {}, false});
      }
    }
  }
  void answerLate() {
    std::lock_guard lock(mutex_);
    if (!late_) return;
    for (Peer& peer : peers_) {
      if (!std::exchange(peer.hung, false)) continue;
      ::send(peer.fd, late_->response.data(), late_->response.size(), MSG_NOSIGNAL);
      if (late_->close) ::shutdown(peer.fd, SHUT_RDWR);
    }
    late_.reset();
  }
  // False: the connection is to be closed.
  bool serve(Peer& peer) {
    char buffer[65536];
    ssize_t n = ::recv(peer.fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n == 0) return false;
    if (n < 0) return errno == EAGAIN;
    peer.text.append(buffer, size_t(n));
    while (auto request = complete(peer.text)) {
      Step step;
      {
        std::lock_guard lock(mutex_);
        step = script_[std::min(requests_.size(), script_.size() - 1)];
        requests_.push_back(std::move(*request));
      }
      if (step.hang) {
        peer.hung = true;
        return true;
      }
      ::send(peer.fd, step.response.data(), step.response.size(), MSG_NOSIGNAL);
      if (step.close) return false;
    }
    return true;
  }
  static std::optional<std::string> complete(std::string& text) {
    size_t end = text.find("\r\n\r\n");
    if (end == std::string::npos) return {};
    size_t size = end + 4;
    size_t length = text.find("content-length: ");
    if (length == std::string::npos) length = text.find("Content-Length: ");
    if (length < end) size += size_t(std::stoul(text.substr(length + 16)));
    if (text.find("chunked") < end) {
      size_t last = text.find("\r\n0\r\n\r\n", end);
      if (text.compare(end + 4, 5, "0\r\n\r\n") == 0) last = end + 2;
      if (last == std::string::npos) return {};
      size = last + 7;
    }
    if (text.size() < size) return {};
    std::string request = text.substr(0, size);
    text.erase(0, size);
    return request;
  }

  const std::vector<Step> script_;
  Fd listener_;
  uint16_t port_ = 0;
  std::vector<Peer> peers_;
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::optional<Step> late_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace millrace::test
