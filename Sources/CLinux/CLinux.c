// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

#define _GNU_SOURCE 1

#include "CLinux.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int clinux_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    return accept4(fd, address, length, flags);
}

int clinux_unacknowledged(int fd) {
    int bytes = 0;
    return ioctl(fd, SIOCOUTQ, &bytes) == 0 ? bytes : -1;
}

int clinux_pipe(int *read_end, int *write_end) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return -1;
    *read_end = ends[0];
    *write_end = ends[1];
    return 0;
}

int clinux_set_pipe_bytes(int fd, int bytes) { return fcntl(fd, F_SETPIPE_SZ, bytes); }

long clinux_splice(int from, int to, unsigned long bytes) {
    return splice(from, NULL, to, NULL, bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

int clinux_usable_cores(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : -1;
}

const char *clinux_errno_words(int number) { return strerrordesc_np(number); }

const char *clinux_errno_name(int number) { return strerrorname_np(number); }

void clinux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
