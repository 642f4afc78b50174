// Stream: the response on its way to the client, ours or an upstream's. See stream.h.
#include <algorithm>
#include <charconv>
#include <new>

#include "proxy/http_connection.h"
#include "proxy/http_stats.h"
#include "proxy/stream.h"

namespace millrace {

using namespace http_stat;

void Stream::reply(const LocalReply& reply) {
  if (finished_) return;
  router_.cancel();
  info_.responseCodeDetails = reply.details;
  if (responseStarted_) {
    ++stats_[kRqTxReset];
    encoder_.resetStream(ResetReason::kLocalReset);
    return;
  }
  auto* head =
      new (arena_.allocate(sizeof(ResponseHead), alignof(ResponseHead))) ResponseHead(arena_);
  head->status = reply.status;
  std::string_view body = arena_.copy(reply.body);
  if (!reply.location.empty()) head->headers.add(HeaderId::kLocation, arena_.copy(reply.location));
  if (reply.attemptCount != 0) {
    head->headers.add(HeaderId::kXEnvoyAttemptCount, number(reply.attemptCount));
  }
  if (reply.overloaded) head->headers.add(HeaderId::kXEnvoyOverloaded, "true");
  if (!reply.mark.empty()) head->headers.set(reply.mark, "true");
  if (!body.empty()) head->headers.add(HeaderId::kContentType, "text/plain");
  head->headers.add(HeaderId::kContentLength, number(body.size()));
  head->setLength(body.size());
  if (mutateReply_) routes()->mutateResponse(route_, nullptr, head->headers, info_);
  info_.localReplyBody = body;
  sendHead(*head, body.empty());
  if (!body.empty()) sendData(body, true);
}

void Stream::replyByRoute(const LocalReply& r) {
  mutateReply_ = true;
  reply(r);
}

StatBlock Stream::httpStats() const {
  return stats_;
}

bool Stream::suppressesEnvoyHeaders() const {
  return manager().spec().suppressEnvoyHeaders;
}

uint64_t Stream::bufferLimit() const {
  return connection_.bufferLimit();
}

std::string_view Stream::joined(std::string_view a, std::string_view between, std::string_view b) {
  char* out = arena_.array<char>(a.size() + between.size() + b.size());
  char* end = std::copy(a.begin(), a.end(), out);
  end = std::copy(between.begin(), between.end(), end);
  end = std::copy(b.begin(), b.end(), end);
  return {out, size_t(end - out)};
}

std::string_view Stream::number(uint64_t value) {
  char* out = arena_.array<char>(20);
  return {out, size_t(std::to_chars(out, out + 20, value).ptr - out)};
}

bool Stream::respondInformational(ResponseHead& head) {
  touch();
  if (head.status == 100 && !manager().spec().proxy100Continue) return false;  // answered already
  encoder_.encodeInformational(head);
  return true;
}

void Stream::respond(ResponseHead& head, bool end) {
  touch();
  if (manager().accessLogs().any()) head.own();
  sendHead(head, end);
}

void Stream::sendHead(ResponseHead& head, bool end) {
  for (uint32_t i = filterCount_; i-- > 0;) filters_[i]->onResponseHeaders(head, end);
  finalizeResponse(head);
  responseStarted_ = true;
  info_.responseCode = head.status;
  info_.responseHeaders = &head.headers;
  info_.downstreamTxBeginNs = worker().loop.nowNs();
  countStatus(head.status);
  if (connection_.lastExchange()) encoder_.closeAfter();
  if (end) responseOver();
  encoder_.encodeHeaders(head, end);
}

// What a proxy says of itself and of the time, on every response.
void Stream::finalizeResponse(ResponseHead& head) {
  const spec::HttpManager& spec = manager().spec();
  HeaderList& headers = head.headers;
  switch (spec.serverHeader) {
    case spec::HttpManager::ServerHeader::kOverwrite:
      headers.set(HeaderId::kServer, spec.serverName);
      break;
    case spec::HttpManager::ServerHeader::kAppendIfAbsent:
      if (!headers.has(HeaderId::kServer)) headers.add(HeaderId::kServer, spec.serverName);
      break;
    case spec::HttpManager::ServerHeader::kPassThrough:
      break;
  }
  if (!headers.has(HeaderId::kDate)) {
    headers.add(HeaderId::kDate, arena_.copy(worker().date.text(worker().loop.nowNs())));
  }
  if (!spec.via.empty()) appendVia(headers);
  if (spec.alwaysSetRequestIdInResponse) {
    if (const Header* id = request_.headers.find(HeaderId::kXRequestId)) {
      headers.set(HeaderId::kXRequestId, id->value);
    }
  }
  if (spec.headerCase == spec::HttpManager::HeaderCase::kProperCase) toProperCase(headers);
}

// Http1ProtocolOptions.HeaderKeyFormat.proper_case_words: "content-type" becomes "Content-Type".
void Stream::toProperCase(HeaderList& headers) {
  for (Header& header : headers) {
    std::string_view name = header.name;
    char* out = arena_.array<char>(name.size());
    bool first = true;
    for (size_t i = 0; i < name.size(); i++) {
      char c = name[i];
      if (first && c >= 'a' && c <= 'z') c = char(c - 'a' + 'A');
      if (!first && c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
      first = c == '-';
      out[i] = c;
    }
    header.name = {out, name.size()};
  }
}

void Stream::appendVia(HeaderList& headers) {
  const std::string& via = manager().spec().via;
  const Header* present = headers.find(HeaderId::kVia);
  if (present == nullptr) {
    headers.add(HeaderId::kVia, via);
    return;
  }
  headers.set(HeaderId::kVia, joined(present->value, ", ", via));
}

void Stream::countStatus(uint16_t status) {
  StatBlock stats = stats_;
  ++stats[kRqCompleted];
  if (status >= 100 && status < 600) ++stats[kRq1xx + status / 100 - 1];
}

void Stream::respondData(std::string_view data, bool end) {
  touch();
  sendData(data, end);
}

void Stream::sendData(std::string_view data, bool end) {
  for (uint32_t i = filterCount_; i-- > 0;) filters_[i]->onResponseData(data, end);
  info_.bytesSent += data.size();
  if (end) responseOver();
  encoder_.encodeData(data, end);
}

void Stream::respondTrailers(HeaderList& trailers) {
  touch();
  for (uint32_t i = filterCount_; i-- > 0;) filters_[i]->onResponseTrailers(trailers);
  info_.responseTrailers = &trailers;
  responseOver();
  encoder_.encodeTrailers(trailers);
}

void Stream::responseOver() {
  info_.downstreamTxEndNs = worker().loop.nowNs();
  if (!requestDone_) {
    // A response before the request was complete: what is left of the request is of no use to
    // anybody.
    router_.cancel();
  }
}

void Stream::resetResponse(ResponseFlag flag, std::string_view details) {
  if (finished_) return;
  info_.setFlag(flag);
  info_.responseCodeDetails = details;
  ++stats_[kRqTxReset];
  encoder_.resetStream(ResetReason::kRemoteReset);
}

void Stream::pauseRequest(bool on) {
  if (requestDone_) return;
  if (on) {
    encoder_.pauseRequest();
  } else {
    encoder_.resumeRequest();
  }
}

}  // namespace millrace
