// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

#define _GNU_SOURCE 1

#include "CLinux.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

// By number, not by glibc's functions of these names: those are points at which a thread may be cancelled, and in a
// process with threads each call exchanges two flags for that (nptl, __pthread_enable_asynccancel). Nobody cancels ours.

long clinux_receive(int fd, void *buffer, unsigned long bytes) {
    return syscall(SYS_recvfrom, fd, buffer, bytes, 0, NULL, NULL);
}

long clinux_send(int fd, const void *buffer, unsigned long bytes) {
    return syscall(SYS_sendto, fd, buffer, bytes, MSG_NOSIGNAL, NULL, 0);
}

long clinux_splice(int from, int to, unsigned long bytes) {
    return syscall(SYS_splice, from, NULL, to, NULL, bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

int clinux_wait(int epoll, struct epoll_event *events, int most, int milliseconds) {
    // Every processor's Linux has this one; epoll_wait is missing on newer ones.
    return (int)syscall(SYS_epoll_pwait, epoll, events, most, milliseconds, NULL, 8L);
}

_Bool clinux_is_socket(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

int clinux_usable_cores(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : -1;
}

const char *clinux_errno_words(int number) { return strerrordesc_np(number); }

const char *clinux_errno_name(int number) { return strerrorname_np(number); }

void clinux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
