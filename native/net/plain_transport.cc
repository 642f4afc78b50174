#include "net/plain_transport.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstring>

namespace millrace {

namespace {
#ifdef MSG_NOSIGNAL
constexpr int kNoSignal = MSG_NOSIGNAL;
#else
constexpr int kNoSignal = 0;  // SO_NOSIGPIPE was set with the socket
#endif
// Above, the copy costs more than it saves.
constexpr size_t kTogetherBytes = 4096;
}  // namespace

ssize_t PlainTransport::read(int fd, void* into, size_t size) {
  return recv(fd, into, size, 0);
}

ssize_t PlainTransport::write(int fd, const iovec* iov, int count) {
  if (count == 1) return send(fd, iov->iov_base, iov->iov_len, kNoSignal);
  // A head with a short body: copying it together costs less than a message header does.
  char together[kTogetherBytes];
  size_t size = 0;
  for (int i = 0; i < count && size <= sizeof together; i++) size += iov[i].iov_len;
  if (size <= sizeof together) {
    char* end = together;
    for (int i = 0; i < count; i++) {
      std::memcpy(end, iov[i].iov_base, iov[i].iov_len);
      end += iov[i].iov_len;
    }
    return send(fd, together, size, kNoSignal);
  }
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(iov);
  message.msg_iovlen = decltype(message.msg_iovlen)(count);
  return sendmsg(fd, &message, kNoSignal);
}

void PlainTransport::shutdownWrite(int fd) {
  shutdown(fd, SHUT_WR);
}

}  // namespace millrace
