// A kqueue for Linux, just large enough to compile and test native/event/kqueue.cc here:
// EVFILT_READ, EVFILT_WRITE and EVFILT_USER, with the behaviour of FreeBSD's kqueue(2) that matters
// to a proxy (see kqueue.cc beside it).
#pragma once

#include <cstdint>
#include <ctime>

extern "C" {

struct kevent {
  uintptr_t ident;
  short filter;
  unsigned short flags;
  unsigned int fflags;
  int64_t data;
  void* udata;
};

int kqueue();
int kevent(int kq, const struct kevent* changes, int nchanges, struct kevent* events, int nevents,
           const struct timespec* timeout);
}

#define EV_SET(kevp, a, b, c, d, e, f)  \
  do {                                  \
    struct kevent* kevp_ = (kevp);      \
    kevp_->ident = (a);                 \
    kevp_->filter = short(b);           \
    kevp_->flags = (unsigned short)(c); \
    kevp_->fflags = (d);                \
    kevp_->data = (e);                  \
    kevp_->udata = (f);                 \
  } while (0)

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_USER (-11)

#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008
#define EV_CLEAR 0x0020
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

#define NOTE_TRIGGER 0x01000000
