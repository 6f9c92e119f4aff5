// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Glibc
package import Relay

extension SyscallError {
    /// Whether the kernel says by this that it has no IPv6.
    package var isWithoutIPv6: Bool { number == EAFNOSUPPORT || number == EADDRNOTAVAIL }
}
