// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors
//
// What the control plane asks of sockets and resolvers, with addresses as 16 bytes in network order (IPv4 as
// ::ffff:a.b.c.d). The structures themselves stay in C: several C modules of this program include their headers, and
// Swift then cannot say whose members it sees.

#pragma once

#include <stdint.h>

/// Called for each address; `name` is the interface's or null.
typedef void (*clinux_address_visitor)(void *_Nullable context, const char *_Nullable name,
                                       const uint8_t *_Nonnull address);

/// Visits every IPv4 and IPv6 address of every interface. Returns 0, or -1 and errno.
int clinux_visit_interfaces(void *_Nullable context, clinux_address_visitor _Nonnull visit);

/// Asks the system's resolver and visits its answers in order. Blocks. Returns 0 or a getaddrinfo(3) error.
int clinux_resolve(const char *_Nonnull name, void *_Nullable context, clinux_address_visitor _Nonnull visit);

/// What a clinux_resolve error means.
const char *_Nonnull clinux_resolve_error(int status);

/// The source address for a connection to `remote` into `source`; sends nothing. Returns 0, or -1 when there is none.
int clinux_source_toward(const uint8_t *_Nonnull remote, uint16_t port, uint8_t *_Nonnull source);

/// Who may open a file: its owner, its group and its mode. Here, since Swift finds struct stat in two modules at once.
/// - Returns: 0, or -1 when nothing is known of it.
int clinux_file_access(
    const char *_Nonnull path, uint32_t *_Nonnull owner, uint32_t *_Nonnull group, uint32_t *_Nonnull mode);
