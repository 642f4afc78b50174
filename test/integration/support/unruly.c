// An origin that ends connections without a word, or answers more often than it was asked, and the
// load to go with it.
//   unruly origin PORT SEED close        closes after 1 to 20 answers, whatever is on its way
//   unruly origin PORT SEED stray US     says something unasked US microseconds after each answer
//   unruly load PORT CLIENTS REQUESTS METHOD
// The origin answers with the path that was asked for. The load keeps its connections open, asks
// one thing after the other on each, and prints what came: "good N wrong N failed N cut N", where
// wrong is 200 with another one's body, failed another status, and cut a connection that gave no
// answer.
// Both end with their parent, one thread each.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

enum { kMost = 1024, kBuffer = 8192, kStallMs = 30000 };
struct peer {
  size_t size;
  long due;  // us; not 0: the stray answer is sent then
  int left;  // answers until the end; of a client: the number of its request
  char text[kBuffer], path[64];
};
static struct pollfd fds[kMost];
static struct peer peers[kMost];
static int count = 0;

static long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void wait_us(long us) {
  struct timespec t = {us / 1000000, us % 1000000 * 1000};
#ifdef __linux__
  ppoll(fds, (nfds_t)count, us < 0 ? NULL : &t, NULL);
#else
  poll(fds, (nfds_t)count, us < 0 ? -1 : (int)(us / 1000 + 1));
#endif
}

static struct sockaddr_in local(const char* port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

static void add(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fds[count] = (struct pollfd){fd, POLLIN, 0};
  memset(&peers[count], 0, sizeof(struct peer));
  count++;
}

static void drop(int i) {
  close(fds[i].fd);
  count--;
  fds[i] = fds[count];
  peers[i] = peers[count];
}

// The end of the first whole message in `text`, or 0.
static size_t whole(const char* text, size_t size, const char** body) {
  const char* end = strstr(text, "\r\n\r\n");
  const char* length = strcasestr(text, "\r\ncontent-length:");
  if (end == NULL) return 0;
  size_t bytes = length != NULL && length < end ? (size_t)atoi(length + 17) : 0;
  *body = end + 4;
  size_t total = (size_t)(end + 4 - text) + bytes;
  return total <= size ? total : 0;
}

// What has come, behind what was there. 0: the peer has ended.
static int take(int i) {
  struct peer* p = &peers[i];
  ssize_t n = recv(fds[i].fd, p->text + p->size, kBuffer - 1 - p->size, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
  if (n <= 0) return 0;
  p->text[p->size += (size_t)n] = 0;
  return 1;
}

static void say(int fd, const char* body) {
  char out[512];
  int size = snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                      strlen(body), body);
  send(fd, out, (size_t)size, MSG_NOSIGNAL);
}

static int origin(char** argv, int argc) {
  const int closes = strcmp(argv[4], "close") == 0;
  const long later = argc > 5 ? atol(argv[5]) : 0;
  srand((unsigned)atoi(argv[3]));
  int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in at = local(argv[2]);
  if (bind(listener, (struct sockaddr*)&at, sizeof at) != 0 || listen(listener, 512) != 0) return 1;
  add(listener);
  for (;;) {
    long next = -1;
    for (int i = 1; i < count; i++) {
      if (peers[i].due != 0 && (next < 0 || peers[i].due < next)) next = peers[i].due;
    }
    long left = next < 0 ? -1 : next - now();
    wait_us(next >= 0 && left < 0 ? 0 : left);
    for (int i = count - 1; i > 0; i--) {
      struct peer* p = &peers[i];
      if (p->due != 0 && p->due <= now()) {
        say(fds[i].fd, "/stray");
        p->due = 0;
      }
      if (fds[i].revents == 0) continue;
      const char* body;
      int open = take(i);
      size_t end = open ? whole(p->text, p->size, &body) : 0;
      if (end != 0) {
        if (sscanf(p->text, "%*s %63s", p->path) != 1) p->path[0] = 0;
        memmove(p->text, p->text + end, p->size - end + 1);
        p->size -= end;
        say(fds[i].fd, p->path);
        if (closes) {
          open = --p->left > 0;
        } else if (later == 0) {
          say(fds[i].fd, "/stray");
        } else {
          p->due = now() + later;
        }
      }
      if (!open) drop(i);
    }
    if ((fds[0].revents & POLLIN) != 0 && count < kMost) {
      int fd = accept(listener, NULL, NULL);
      if (fd < 0) continue;
      add(fd);
      peers[count - 1].left = 1 + rand() % 20;
    }
  }
}

static int ask(const char* port, const char* method, int i, int sent) {
  char out[512];
  const char* body = strcmp(method, "GET") == 0 ? "" : "Content-Length: 5\r\n\r\nhello";
  (void)port;
  snprintf(peers[i].path, sizeof peers[i].path, "/%d", sent);
  int size = snprintf(out, sizeof out, "%s %s HTTP/1.1\r\nHost: a\r\n%s", method, peers[i].path,
                      body[0] == 0 ? "\r\n" : body);
  return send(fds[i].fd, out, (size_t)size, MSG_NOSIGNAL) == size;
}

static int load(char** argv) {
  const char *port = argv[2], *method = argv[5];
  const int clients = atoi(argv[3]), most = atoi(argv[4]);
  struct sockaddr_in at = local(port);
  int sent = 0, done = 0, good = 0, wrong = 0, failed = 0, cut = 0;
  while (done < most) {
    while (count < clients && sent < most) {
      int fd = socket(AF_INET, SOCK_STREAM, 0);
      if (connect(fd, (struct sockaddr*)&at, sizeof at) != 0) return 1;
      add(fd);
      ask(port, method, count - 1, sent++);
    }
    if (poll(fds, (nfds_t)count, kStallMs) <= 0) return 1;
    for (int i = count - 1; i >= 0; i--) {
      if (fds[i].revents == 0) continue;
      struct peer* p = &peers[i];
      if (!take(i)) {
        cut++;
        done++;
        drop(i);
        continue;
      }
      const char* body;
      size_t end = whole(p->text, p->size, &body);
      if (end == 0) continue;
      size_t size = strlen(p->path);
      int mine = (size_t)(p->text + end - body) == size && memcmp(body, p->path, size) == 0;
      if (strncmp(p->text + 9, "200", 3) != 0) {
        failed++;
      } else if (mine) {
        good++;
      } else {
        wrong++;
      }
      done++;
      int last = strcasestr(p->text, "\r\nconnection: close") != NULL;
      memmove(p->text, p->text + end, p->size - end + 1);
      p->size -= end;
      if (sent == most || last) {
        drop(i);
      } else {
        ask(port, method, i, sent++);
      }
    }
  }
  printf("good %d wrong %d failed %d cut %d\n", good, wrong, failed, cut);
  return 0;
}

int main(int argc, char** argv) {
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  if (argc >= 5 && strcmp(argv[1], "origin") == 0) return origin(argv, argc);
  if (argc >= 6 && strcmp(argv[1], "load") == 0) return load(argv);
  return 2;
}
