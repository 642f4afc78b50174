// A client codec on a real connection, which writes down what comes back; for the tests of http/.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "http/http1_client.h"
#include "net/support.h"

namespace millrace::test {

class ClientSide : public ConnectionOwner, public ResponseSink {
 public:
  explicit ClientSide(Net& n, Http1ClientOptions o = {}) : net(n), options(o) {
    int fd = -1;
    tcpPair(fd, plain);
    connection = Connection::accepted(*net.ctx, fd, peerAddress(fd), this);
    codec = std::make_unique<Http1ClientCodec>(*connection, options);
  }
  ~ClientSide() {
    if (!closed) connection->close();
    net.turns(1);
  }
  size_t onData(Connection&, std::span<char> bytes) override { return codec->dispatch(bytes); }
  void onReadEnd(Connection&) override { codec->onReadEnd(); }
  void onClosed(Connection&, CloseReason, int) override {
    closed = true;
    codec->onConnectionClosed(ResetReason::kRemoteReset);
  }
  void onInformational(ResponseHead& h) override { log += std::to_string(h.status) + " "; }
  void onResponseHeaders(ResponseHead& h, bool end) override {
    log += std::to_string(h.status) + (end ? " end " : " ");
    if (end) over();
  }
  void onResponseData(std::string_view data, bool end) override {
    log += std::string(data) + (end ? " end " : "");
    if (onBody) onBody();
    if (end) over();
  }
  void onResponseTrailers(HeaderList& trailers) override {
    for (const Header& h : trailers) {
      log += "[" + std::string(h.name) + "=" + std::string(h.value) + "] ";
    }
    log += "end ";
    over();
  }
  void onResponseReset(ResetReason reason) override {
    log += "reset " + std::to_string(int(reason)) + " ";
    over();
  }
  void onRequestWritable(bool writable) override { log += writable ? "go " : "stop "; }
  // The state that a pool looks at in the last event.
  void over() {
    CHECK(codec->idle());
    log += codec->reusable() ? "reusable" : "spent";
    if (codec->detail() != nullptr) log += std::string(" ") + codec->detail();
  }

  RequestHead& newRequest(Method method, std::string_view text) {
    arena = std::make_unique<Arena>(net.ctx->chunks());
    request = std::make_unique<RequestHead>(*arena);
    response = std::make_unique<ResponseHead>(*arena);
    request->method = method;
    request->methodText = text;
    request->path = "/";
    request->authority = "h";
    log.clear();
    return *request;
  }
  RequestEncoder& start() { return codec->start(*this, *response); }
  // A request without a body, and what comes of the answer given (and of its end, if `thenEnd`).
  std::string get(std::string_view answer, bool thenEnd = false, Method method = Method::kGet) {
    newRequest(method, method == Method::kHead ? "HEAD" : "GET");
    start().encodeHeaders(*request, true);
    net.ctx->flush();
    plain.hear();
    hear(answer, thenEnd);
    return log;
  }
  void hear(std::string_view answer, bool thenEnd = false) {
    plain.say(answer);
    if (thenEnd) plain.end();
    net.turns();
  }
  std::string sent() {
    net.ctx->flush();
    net.turns(2);
    return plain.hear();
  }

  Net& net;
  Http1ClientOptions options;
  Plain plain;
  Connection* connection;
  std::unique_ptr<Http1ClientCodec> codec;
  std::unique_ptr<Arena> arena;
  std::unique_ptr<RequestHead> request;
  std::unique_ptr<ResponseHead> response;
  std::string log;
  std::function<void()> onBody;
  bool closed = false;
};

}  // namespace millrace::test
