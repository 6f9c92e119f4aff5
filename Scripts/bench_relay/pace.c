// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors
//
// pace PORT CONNECTIONS RATE SECONDS: sends PING to a Redis on 127.0.0.1, RATE times a second on average, at random
// moments (Poisson), each through a connection that waits for no answer. Prints "REQUESTS SECONDS P50 P99", the last
// two in microseconds.
//
// A request's time runs from the moment at which it was due, not from when it could be sent: a proxy that stands still
// for a moment is charged for all that came in meanwhile. redis-benchmark and wrk know no rate; h2load sends through
// all connections at the same moments.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static const char request[] = "PING\r\n", answer[] = "+PONG\r\n";
enum { answer_size = sizeof answer - 1, most_events = 64 };
static const double nanoseconds = 1e9;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / nanoseconds;
}

static int connected(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int descriptor = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address)) err(1, "connect");
    if (setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on)) err(1, "TCP_NODELAY");
    return descriptor;
}

static int is_less(const void *one, const void *other) {
    float difference = *(const float *)one - *(const float *)other;
    return (difference > 0) - (difference < 0);
}

int main(int count, char **words) {
    if (count != 5) errx(64, "usage: pace PORT CONNECTIONS RATE SECONDS");
    int connections = atoi(words[2]), poll = epoll_create1(0);
    double rate = atof(words[3]), seconds = atof(words[4]);
    // Due moments that have passed, but found no free connection, wait in `due` between `sent` and `made`.
    long room = rate * seconds * 1.5 + 1000, made = 0, sent = 0, done = 0;
    double *due = calloc(room, sizeof *due), *due_of = calloc(connections, sizeof *due_of);
    float *took = calloc(room, sizeof *took);
    int *descriptors = calloc(connections, sizeof *descriptors), *idle = calloc(connections, sizeof *idle);
    if (!due || !due_of || !took || !descriptors || !idle) err(1, "memory");
    int idle_count = connections;
    for (int one = 0; one < connections; one++) {
        descriptors[one] = connected(atoi(words[1]));
        idle[one] = one;
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = one};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, descriptors[one], &event)) err(1, "epoll_ctl");
    }
    // Timers of the usual slack, 50 us, would be later than what is measured.
    prctl(PR_SET_TIMERSLACK, 1L);
    srand48(1);

    double begun = now(), next = begun, end = begun + seconds;
    while (next < end || done < made) {
        double time = now();
        if (time > end + 5) errx(1, "%ld of %ld requests are not answered", made - done, made);
        for (; next < end && next <= time && made < room; next -= log1p(-drand48()) / rate) due[made++] = next;
        if (made == room) errx(1, "too many requests");
        while (sent < made && idle_count > 0) {
            int one = idle[--idle_count];
            due_of[one] = due[sent++];
            if (write(descriptors[one], request, sizeof request - 1) != sizeof request - 1) err(1, "write");
        }
        double wait = next < end ? next - now() : 1;
        struct timespec timeout = {.tv_nsec = wait <= 0 ? 0 : fmin(wait * nanoseconds, nanoseconds - 1)};
        struct epoll_event events[most_events];
        int ready = epoll_pwait2(poll, events, most_events, &timeout, NULL);
        if (ready < 0) err(1, "epoll_pwait2");
        time = now();
        for (int each = 0; each < ready; each++) {
            char bytes[64];
            int one = events[each].data.u32;
            if (read(descriptors[one], bytes, sizeof bytes) != answer_size || memcmp(bytes, answer, answer_size))
                errx(1, "a wrong answer");
            took[done++] = (time - due_of[one]) * 1e6;
            idle[idle_count++] = one;
        }
    }
    qsort(took, done, sizeof *took, is_less);
    printf("%ld %.3f %.1f %.1f\n", done, now() - begun, took[done / 2], took[done * 99 / 100]);
}
