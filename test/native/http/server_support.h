// A server codec on a real connection, which writes down what it is told; for the tests of http/.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "http/http1_server.h"
#include "net/support.h"

namespace millrace::test {

class ServerSide : public ConnectionOwner, public Http1ServerCallbacks {
 public:
  struct Stream : RequestSink {
    Stream(ServerSide& s, ResponseEncoder& e) : side(s), encoder(e) {}
    void onRequestHeaders(RequestHead& h, bool end) override {
      side.log += "head " + std::string(h.methodText) + " " + std::string(h.path) + "\n";
      h.own();
      if (side.onHead) side.onHead(*this, end);
      if (end) complete();
    }
    void onRequestData(std::string_view data, bool end) override {
      body += data;
      if (side.onBody) side.onBody(*this);
      if (end) complete();
    }
    void onRequestTrailers(HeaderList& trailers) override {
      for (const Header& h : trailers) {
        body += "[" + std::string(h.name) + "=" + std::string(h.value) + "]";
      }
      complete();
    }
    void onRequestReset(ResetReason reason) override {
      side.log += "reset " + std::to_string(int(reason)) + "\n";
    }
    // A whole response, with Content-Length.
    void answer(uint16_t status, std::string text) {
      content = std::move(text);
      length = std::to_string(content.size());
      ResponseHead response(arena);
      response.status = status;
      response.headers.add(HeaderId::kContentLength, length);
      response.setLength(content.size());
      encoder.encodeHeaders(response, content.empty());
      if (!content.empty()) encoder.encodeData(content, true);
    }
    ServerSide& side;
    ResponseEncoder& encoder;
    Arena arena{side.net.ctx->chunks()};
    RequestHead head{arena};
    std::string body, content, length;

   private:
    void complete() {
      side.log += "body '" + body + "'\n";
      side.completed++;
      if (side.onComplete) side.onComplete(*this);
    }
  };

  explicit ServerSide(Net& n, Http1ServerOptions o = {}) : net(n), options(o) {
    int fd = -1;
    tcpPair(fd, plain);
    connection = Connection::accepted(*net.ctx, fd, peerAddress(fd), this);
    codec = std::make_unique<Http1ServerCodec>(*connection, *this, options);
    onComplete = [](Stream& s) { s.answer(200, "ok"); };
    onError = [](Stream& s, uint16_t status) { s.answer(status, ""); };
  }
  ~ServerSide() {
    if (!closed) connection->close();
    net.turns(1);
  }

  size_t onData(Connection&, std::span<char> bytes) override { return codec->dispatch(bytes); }
  void onReadEnd(Connection&) override {
    codec->onReadEnd();
    if (codec->idle() && !closed) connection->close();
  }
  void onClosed(Connection&, CloseReason, int) override {
    closed = true;
    codec->onConnectionClosed(ResetReason::kRemoteReset);
  }
  void onLowWatermark(Connection&) override { codec->onClientTook(); }
  void onDrained(Connection&) override { codec->onClientTook(); }
  RequestSink* newStream(ResponseEncoder& encoder, RequestHead*& head) override {
    streams.push_back(std::make_unique<Stream>(*this, encoder));
    head = &streams.back()->head;
    return streams.back().get();
  }
  void onProtocolError(uint16_t status, const char* detail) override {
    log += "error " + std::to_string(status) + " " + detail + "\n";
    errors++;
    if (codec->responseStarted())
      streams.back()->encoder.resetStream(ResetReason::kProtocolError);
    else
      onError(*streams.back(), status);
  }
  void onExchangeEnd(ExchangeEnd how) override {
    static const char* const kNames[] = {"reusable", "close", "reset", "cut"};
    log += std::string("over ") + kNames[int(how)] + "\n";
    if (how == ExchangeEnd::kClose) connection->closeAfterFlush(1000);
    if (how == ExchangeEnd::kReset) connection->close();
    if (how == ExchangeEnd::kCut) connection->abortAfterFlush();
  }

  // Sends, lets the loop turn, and returns what came back.
  std::string exchange(std::string_view text) {
    plain.say(text);
    net.turns();
    return plain.hear();
  }
  std::string takeLog() { return std::exchange(log, {}); }

  Net& net;
  Http1ServerOptions options;
  Plain plain;
  Connection* connection;
  std::unique_ptr<Http1ServerCodec> codec;
  std::vector<std::unique_ptr<Stream>> streams;
  std::function<void(Stream&, bool)> onHead;
  std::function<void(Stream&)> onComplete, onBody;
  std::function<void(Stream&, uint16_t)> onError;
  std::string log;
  int completed = 0, errors = 0;
  bool closed = false;
};

}  // namespace millrace::test
