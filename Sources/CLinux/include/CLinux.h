// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors
//
// What `import Glibc` lacks: headers that its module map leaves out, and functions that want _GNU_SOURCE.
//
// The header itself must not define _GNU_SOURCE: with it, glibc lays out types such as fd_set in other words than the
// Glibc module saw, and the compiler refuses to have both. So what needs it is wrapped in CLinux.c.

#pragma once

#include <ifaddrs.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

/// accept4(2).
int clinux_accept4(int fd, struct sockaddr *_Nullable address, socklen_t *_Nullable length, int flags);

/// Bytes sent and not acknowledged (SIOCOUTQ), or -1 and errno. ioctl is variadic, which Swift does not import.
int clinux_unacknowledged(int fd);

/// pipe2(2), non-blocking and closed on exec. Returns 0, or -1 and errno.
int clinux_pipe(int *_Nonnull read_end, int *_Nonnull write_end);

/// F_SETPIPE_SZ of fcntl(2): the capacity that the pipe now has, or -1 and errno (EPERM: the user has too much already).
int clinux_set_pipe_bytes(int fd, int bytes);

/// recv(2) without flags: bytes taken, 0 at the end, or -1 and errno.
long clinux_receive(int fd, void *_Nonnull buffer, unsigned long bytes);

/// send(2) with MSG_NOSIGNAL: bytes taken, or -1 and errno.
long clinux_send(int fd, const void *_Nonnull buffer, unsigned long bytes);

/// epoll_wait(2): events there are, or -1 and errno.
int clinux_wait(int epoll, struct epoll_event *_Nonnull events, int most, int milliseconds);

/// splice(2) without waiting for either end (SPLICE_F_MOVE | SPLICE_F_NONBLOCK): bytes moved, or -1 and errno.
long clinux_splice(int from, int to, unsigned long bytes);

/// Whether the file is a socket, and no link to one. Here, since Swift finds struct stat in two modules at once.
_Bool clinux_is_socket(const char *_Nonnull path);

/// Cores that this process may run on, or -1 and errno.
int clinux_usable_cores(void);

/// An errno in words and by its name (`EINTR`), on any thread; null for a number that is no errno.
const char *_Nullable clinux_errno_words(int number);
const char *_Nullable clinux_errno_name(int number);

/// pthread_setname_np(3) on the calling thread; at most 15 bytes.
void clinux_name_thread(const char *_Nonnull name);
