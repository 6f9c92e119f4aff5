// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import CLinux

/// A socket in the file system, as far as an operator must know it to be let in.
package struct SocketFile: Hashable, Sendable {
    package let path: String
    package let owner: UInt32
    package let group: UInt32
    /// Permission bits.
    package let mode: UInt32

    /// - Returns: nil when nothing is known of it, as behind a folder that is closed to us.
    package init?(at path: String) {
        var (owner, group, mode): (UInt32, UInt32, UInt32) = (0, 0, 0)
        guard clinux_file_access(path, &owner, &group, &mode) == 0 else { return nil }
        self.init(path: path, owner: owner, group: group, mode: mode & 0o777)
    }

    package init(path: String, owner: UInt32, group: UInt32, mode: UInt32) {
        self.path = path
        self.owner = owner
        self.group = group
        self.mode = mode
    }

    /// Why we may not open it, and what would let us.
    package var complaint: String {
        let bits = String(mode, radix: 8)
        let permissions = String(repeating: "0", count: max(0, 4 - bits.count)) + bits
        return
            "\(path) cannot be opened: it belongs to owner \(owner), group \(group), mode \(permissions); allowed: a "
            + "socket that this process may write to, in a container by docker run --group-add \(group)"
    }
}
