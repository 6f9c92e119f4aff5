// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Glibc

/// A file descriptor that one place owns; it is closed when its owner lets go of it.
package struct OwnedDescriptor: ~Copyable, Sendable {
    /// For system calls, while this lives.
    package let number: Int32

    /// - Parameter number: an open descriptor that nobody else closes.
    package init(adopting number: Int32) {
        precondition(number >= 0, "not a descriptor: \(number)")
        self.number = number
    }

    deinit { close(number) }

    /// Gives up ownership: the caller closes it.
    package consuming func relinquish() -> Int32 {
        let number = self.number
        discard self
        return number
    }
}

/// Descriptors that belong together, in order, such as the listening sockets of one address.
package struct OwnedDescriptors: ~Copyable, Sendable {
    /// For system calls, while this lives.
    package private(set) var numbers: [Int32]

    package init() { numbers = [] }

    /// - Parameter numbers: open descriptors that nobody else closes.
    package init(adopting numbers: [Int32]) {
        precondition(numbers.allSatisfy { $0 >= 0 }, "not descriptors: \(numbers)")
        self.numbers = numbers
    }

    deinit {
        for number in numbers { close(number) }
    }

    package var count: Int { numbers.count }

    package mutating func append(_ descriptor: consuming OwnedDescriptor) {
        numbers.append(descriptor.relinquish())
    }

    /// Adds all of `others`, as when a link listens on several addresses.
    package mutating func append(_ others: consuming OwnedDescriptors) {
        numbers += others.relinquish()
    }

    /// Gives up ownership: the caller closes them.
    package consuming func relinquish() -> [Int32] {
        let given = numbers
        // An array is more than trivial storage, so `discard` is not for us: the deinit finds nothing to close.
        numbers = []
        return given
    }
}
