// Files of a mount that hangs: a system call that does not return, as open(2) of NFS without its
// server. Whose name has `.hung` in it is such a file for a process with this library.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { write } from './files.ts'

/** The library, for LD_PRELOAD. */
export function hangingOpen(folder: string): string {
  const library = join(folder, 'hang.so')
  const source = write(folder, 'hang.c', kHangingOpen)
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, source, '-ldl'])
  return library
}

const kHangingOpen = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static int hung(const char* path) {
  const char* name = strrchr(path, '/');
  return name != NULL && strstr(name, ".hung") != NULL;
}

#define OPEN(name)                                             \\
  int name(const char* path, int flags, ...) {                 \\
    va_list rest;                                              \\
    va_start(rest, flags);                                     \\
    int mode = (flags & O_CREAT) != 0 ? va_arg(rest, int) : 0; \\
    va_end(rest);                                              \\
    if (hung(path)) for (;;) pause();                          \\
    int (*real)(const char*, int, ...) = dlsym(RTLD_NEXT, #name); \\
    return real(path, flags, mode);                            \\
  }

OPEN(open)
OPEN(open64)
`
