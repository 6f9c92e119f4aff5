// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

#define _GNU_SOURCE 1

#include "CLinux.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>

int clinux_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    return accept4(fd, address, length, flags);
}

int clinux_unacknowledged(int fd) {
    int bytes = 0;
    return ioctl(fd, SIOCOUTQ, &bytes) == 0 ? bytes : -1;
}

int clinux_usable_cores(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : -1;
}

const char *clinux_errno_words(int number) { return strerrordesc_np(number); }

const char *clinux_errno_name(int number) { return strerrorname_np(number); }

void clinux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
