// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

#include "Network.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// Returns 1 and fills `bytes` for IPv4 and IPv6, 0 for any other family.
static int take(const struct sockaddr *address, uint8_t *bytes) {
    if (address == NULL) return 0;
    if (address->sa_family == AF_INET) {
        memcpy(bytes, mapped, sizeof mapped);
        memcpy(bytes + sizeof mapped, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
        return 1;
    }
    if (address->sa_family == AF_INET6) {
        memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
        return 1;
    }
    return 0;
}

int clinux_visit_interfaces(void *context, clinux_address_visitor visit) {
    struct ifaddrs *first;
    if (getifaddrs(&first) != 0) return -1;
    for (struct ifaddrs *entry = first; entry != NULL; entry = entry->ifa_next) {
        uint8_t bytes[16];
        if (take(entry->ifa_addr, bytes)) visit(context, entry->ifa_name, bytes);
    }
    freeifaddrs(first);
    return 0;
}

int clinux_resolve(const char *name, void *context, clinux_address_visitor visit) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *first;
    int status = getaddrinfo(name, NULL, &hints, &first);
    if (status != 0) return status;
    for (struct addrinfo *entry = first; entry != NULL; entry = entry->ai_next) {
        uint8_t bytes[16];
        if (take(entry->ai_addr, bytes)) visit(context, NULL, bytes);
    }
    freeaddrinfo(first);
    return 0;
}

const char *clinux_resolve_error(int status) { return gai_strerror(status); }

int clinux_source_toward(const uint8_t *remote, uint16_t port, uint8_t *source) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int is_v4 = memcmp(remote, mapped, sizeof mapped) == 0;
    memcpy(&v4.sin_addr, remote + sizeof mapped, 4);
    memcpy(&v6.sin6_addr, remote, 16);
    const struct sockaddr *target = is_v4 ? (const void *)&v4 : (const void *)&v6;
    socklen_t length = is_v4 ? sizeof v4 : sizeof v6;

    int descriptor = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    struct sockaddr_storage name;
    socklen_t name_length = sizeof name;
    int found = connect(descriptor, target, length) == 0 &&
                getsockname(descriptor, (struct sockaddr *)&name, &name_length) == 0 &&
                take((const struct sockaddr *)&name, source);
    close(descriptor);
    return found ? 0 : -1;
}

int clinux_file_access(const char *path, uint32_t *owner, uint32_t *group, uint32_t *mode) {
    struct stat status;
    if (stat(path, &status) != 0) return -1;
    *owner = status.st_uid;
    *group = status.st_gid;
    *mode = status.st_mode;
    return 0;
}
