// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import CLinux

/// A system call that failed, with what it was about: `bind 127.0.0.1:80: Permission denied (EACCES)`.
package struct SyscallError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The call as its manual page names it: `bind`, `epoll_create1`.
    package let call: String
    /// What it was applied to, as an operator would write it; empty when there is nothing to name.
    package let subject: String
    /// The `errno` it failed with.
    package let number: Int32

    package init(call: String, subject: String = "", number: Int32) {
        self.call = call
        self.subject = subject
        self.number = number
    }

    package var description: String {
        "\(call)\(subject.isEmpty ? "" : " \(subject)"): \(Self.meaning(of: number))"
    }

    /// An `errno` in words and by its name. Unlike `strerror` this is safe on any thread.
    package static func meaning(of number: Int32) -> String {
        guard let words = clinux_errno_words(number), let name = clinux_errno_name(number) else {
            return "error \(number)"
        }
        return "\(String(cString: words)) (\(String(cString: name)))"
    }
}
