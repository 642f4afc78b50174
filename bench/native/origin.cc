// The service behind the proxies: answers HTTP/1.1 from memory, one thread, as cheaply as it can.
//   origin PORT [COUNT]    listens on so many neighbouring ports, 1 if not said
// GET or POST /1k /16k /64k /1m: a body of that size. GET /stats: requests and connections so far.
// It understands Content-Length and "Connection: close", which is all that the load sends.
#include <fcntl.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "socket.h"

namespace {

constexpr size_t kReadSize = 64 * 1024;  // one shared buffer; requests and POST bodies fit
constexpr int kEvents = 256;

struct Page {
  std::string_view path;
  size_t size;
  std::string keepAlive;
  std::string close;
};

struct Connection {
  int fd;
  std::string left;         // the beginning of a request that has not arrived whole
  std::string own;          // an answer made for this connection alone
  std::string_view answer;  // what is still to be written of the answer
  size_t body = 0;          // bytes of a request's body still to come
  bool answering = false;   // an answer waits for the body's end, or for the socket
  bool last = false;
};

std::array<Page, 4> pages{{{"/1k", 1024, {}, {}},
                           {"/16k", 16384, {}, {}},
                           {"/64k", 65536, {}, {}},
                           {"/1m", 1048576, {}, {}}}};
uint64_t requests = 0;
uint64_t connections = 0;

std::string render(size_t size, std::string_view extra) {
  std::string text = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ";
  text += std::to_string(size);
  text += "\r\n";
  text += extra;
  text += "\r\n";
  text.append(size, '.');
  return text;
}

/** The value of a header, or nothing. The names are written as the load generators write them, in
 * any case. */
std::string_view valueOf(std::string_view head, std::string_view name) {
  for (size_t at = head.find("\r\n"); at + 2 < head.size(); at = head.find("\r\n", at + 2)) {
    const std::string_view line = head.substr(at + 2);
    if (line.size() > name.size() && line[name.size()] == ':' &&
        strncasecmp(line.data(), name.data(), name.size()) == 0) {
      std::string_view value = line.substr(name.size() + 1);
      value = value.substr(0, value.find("\r\n"));
      const size_t start = value.find_first_not_of(' ');
      return start == std::string_view::npos ? std::string_view() : value.substr(start);
    }
  }
  return {};
}

void choose(Connection& connection, std::string_view path) {
  connection.answering = true;
  if (path == "/stats") {
    const std::string text = std::to_string(requests) + " " + std::to_string(connections) + "\n";
    connection.own =
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(text.size()) +
        "\r\n\r\n" + text;
    connection.answer = connection.own;
    connection.last = true;
    return;
  }
  requests++;
  const auto* page =
      std::find_if(pages.begin(), pages.end(), [&](const Page& p) { return p.path == path; });
  if (page == pages.end()) page = pages.begin();
  connection.answer = connection.last ? page->close : page->keepAlive;
}

/** Takes one request's head from the front. Returns its length, or 0 when it is not whole. */
size_t takeHead(Connection& connection, std::string_view bytes) {
  const size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return 0;
  const std::string_view head = bytes.substr(0, end + 2);
  const size_t from = head.find(' ') + 1;
  connection.last = valueOf(head, "connection") == "close";
  if (head[0] == 'P') {
    connection.body =
        static_cast<size_t>(std::atol(std::string(valueOf(head, "content-length")).c_str()));
  }
  choose(connection, head.substr(from, head.find(' ', from) - from));
  return end + 4;
}

enum class Write { kDone, kBlocked, kClose };

Write writeAnswer(Connection& connection) {
  while (!connection.answer.empty()) {
    const ssize_t n =
        send(connection.fd, connection.answer.data(), connection.answer.size(), MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN ? Write::kBlocked : Write::kClose;
    connection.answer.remove_prefix(static_cast<size_t>(n));
  }
  connection.answering = false;
  return connection.last ? Write::kClose : Write::kDone;
}

/** Answers what has arrived. False: close. */
bool process(Connection& connection, std::string_view bytes) {
  std::string joined;
  if (!connection.left.empty()) {
    joined = std::move(connection.left);
    joined += bytes;
    connection.left.clear();
    bytes = joined;
  }
  for (;;) {
    const size_t skipped = std::min(connection.body, bytes.size());
    connection.body -= skipped;
    bytes.remove_prefix(skipped);
    if (connection.answering && connection.body == 0) {
      const Write result = writeAnswer(connection);
      if (result == Write::kClose) return false;
      if (result == Write::kBlocked) break;
    }
    if (bytes.empty() || connection.body > 0) return true;
    const size_t head = takeHead(connection, bytes);
    if (head == 0) break;
    bytes.remove_prefix(head);
  }
  connection.left.assign(bytes);
  return true;
}

/** Reads until a short read. False: close. */
bool onReadable(Connection& connection, char* buffer) {
  while (!(connection.answering && connection.body == 0)) {
    const ssize_t n = recv(connection.fd, buffer, kReadSize, 0);
    if (n < 0) return errno == EAGAIN;
    if (n == 0 || !process(connection, {buffer, static_cast<size_t>(n)})) return false;
    if (static_cast<size_t>(n) < kReadSize) return true;
  }
  return true;
}

void accept(int poll, int listener) {
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
    if (fd < 0) return;
    bench::setFlag(fd, IPPROTO_TCP, TCP_NODELAY);
    connections++;
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = std::make_unique<Connection>(Connection{fd, {}, {}, {}}).release();
    bench::must(epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  }
}

bool onEvent(Connection& connection, uint32_t events, char* buffer) {
  if ((events & EPOLLOUT) != 0 && connection.answering && connection.body == 0) {
    if (writeAnswer(connection) == Write::kClose) return false;
    if (!connection.answering && !process(connection, {})) return false;
  }
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return false;
  if ((events & EPOLLIN) != 0 && !onReadable(connection, buffer)) return false;
  return (events & EPOLLRDHUP) == 0 || connection.answering;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::fprintf(stderr, "usage: origin PORT [COUNT]\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  for (Page& page : pages) {
    page.keepAlive = render(page.size, "");
    page.close = render(page.size, "Connection: close\r\n");
  }
  const int poll = bench::must(epoll_create1(0), "epoll_create1");
  const int count = argc == 3 ? std::atoi(argv[2]) : 1;
  std::vector<Connection> listeners;
  for (int i = 0; i < count; i++) {
    listeners.push_back({bench::listenOn(std::atoi(argv[1]) + i, false), {}, {}, {}});
  }
  for (Connection& listener : listeners) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &listener;
    bench::must(epoll_ctl(poll, EPOLL_CTL_ADD, listener.fd, &event), "epoll_ctl");
  }
  const auto isListener = [&](const Connection* c) {
    return c >= listeners.data() && c < listeners.data() + listeners.size();
  };
  const auto buffer = std::make_unique<char[]>(kReadSize);
  epoll_event events[kEvents];
  for (;;) {
    const int ready = epoll_wait(poll, events, kEvents, -1);
    for (int i = 0; i < ready; i++) {
      auto* connection = static_cast<Connection*>(events[i].data.ptr);
      if (isListener(connection)) {
        accept(poll, connection->fd);
      } else if (!onEvent(*connection, events[i].events, buffer.get())) {
        close(connection->fd);
        std::unique_ptr<Connection>(connection).reset();
      }
    }
  }
}
