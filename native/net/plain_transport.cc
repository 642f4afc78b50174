#include "net/plain_transport.h"

#include <sys/socket.h>
#include <sys/uio.h>

namespace millrace {

namespace {
#ifdef MSG_NOSIGNAL
constexpr int kNoSignal = MSG_NOSIGNAL;
#else
constexpr int kNoSignal = 0;  // SO_NOSIGPIPE was set with the socket
#endif
}  // namespace

ssize_t PlainTransport::read(int fd, void* into, size_t size) {
  return recv(fd, into, size, 0);
}

ssize_t PlainTransport::write(int fd, const iovec* iov, int count) {
  if (count == 1) return send(fd, iov->iov_base, iov->iov_len, kNoSignal);
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(iov);
  message.msg_iovlen = decltype(message.msg_iovlen)(count);
  return sendmsg(fd, &message, kNoSignal);
}

void PlainTransport::shutdownWrite(int fd) {
  shutdown(fd, SHUT_WR);
}

}  // namespace millrace
