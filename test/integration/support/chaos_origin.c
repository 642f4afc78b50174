// An HTTP/1.1 origin that misbehaves: chaos_origin PORT SEED. Each request is answered with its own
// path, or with a failure that chance picks. One process, one thread; ends with its parent.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kMost = 256, kBuffer = 8192 };
struct peer {
  size_t size;
  long due;  // ms; not 0: a slow answer is sent then
  char text[kBuffer], path[128];
};
static struct pollfd fds[kMost];
static struct peer peers[kMost];
static int count = 1;

static long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void answer(int fd, int status, const char* body, size_t sent) {
  char out[512];
  int size = snprintf(out, sizeof out, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%.*s", status,
                      strlen(body), (int)sent, body);
  send(fd, out, (size_t)size, MSG_NOSIGNAL);
}

// 0: the connection is to be closed.
static int act(int fd, struct peer* p) {
  int chance = rand() % 100;
  struct linger reset = {1, 0};
  if (chance < 70) return answer(fd, 200, p->path, strlen(p->path)), 1;
  if (chance < 78) return answer(fd, 503, "origin", 6), 1;
  if (chance < 82) return answer(fd, 500, "origin", 6), 1;
  if (chance < 86) return 0;
  if (chance < 90) {
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    return 0;
  }
  if (chance < 93) return answer(fd, 200, p->path, strlen(p->path) / 2), 0;
  if (chance < 97) p->due = now() + rand() % 400;
  return 1;  // or it stays silent
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  srand((unsigned)atoi(argv[2]));
  int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr*)&at, sizeof at) != 0 || listen(listener, 128) != 0) return 1;
  fds[0] = (struct pollfd){listener, POLLIN, 0};
  for (;;) {
    poll(fds, (nfds_t)count, 20);
    for (int i = count - 1; i > 0; i--) {
      struct peer* p = &peers[i];
      int open = 1;
      if (p->due != 0 && p->due <= now()) {
        answer(fds[i].fd, 200, p->path, strlen(p->path));
        p->due = 0;
      }
      if (fds[i].revents != 0) {
        ssize_t n = recv(fds[i].fd, p->text + p->size, kBuffer - 1 - p->size, MSG_DONTWAIT);
        open = n > 0;
        if (n > 0) p->text[p->size += (size_t)n] = 0;
        if (n > 0 && strstr(p->text, "\r\n\r\n") != NULL) {
          if (sscanf(p->text, "GET %127s", p->path) != 1) p->path[0] = 0;
          p->size = 0;
          open = act(fds[i].fd, p);
        }
      }
      if (open) continue;
      close(fds[i].fd);
      count--;
      fds[i] = fds[count];
      peers[i] = peers[count];
    }
    if ((fds[0].revents & POLLIN) != 0 && count < kMost) {
      int fd = accept(listener, NULL, NULL);
      if (fd >= 0) {
        fds[count] = (struct pollfd){fd, POLLIN, 0};
        memset(&peers[count++], 0, sizeof(struct peer));
      }
    }
  }
}
