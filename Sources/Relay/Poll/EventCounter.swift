// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import CLinux
internal import Glibc

/// An eventfd: signalled from any thread, waited for by polling.
struct EventCounter: ~Copyable, Sendable {
    private let owned: OwnedDescriptor

    init() throws(SyscallError) {
        let flags = Int32(EFD_NONBLOCK | EFD_CLOEXEC)
        owned = OwnedDescriptor(adopting: Int32(try Syscall.checked("eventfd") { Int(eventfd(0, flags)) }))
    }

    var descriptor: Int32 { owned.number }

    func signal() {
        var one: UInt64 = 1
        // It fails only with EAGAIN, at 2^64 - 1 unread signals: readable all the same.
        _ = Syscall.retrying { write(owned.number, &one, MemoryLayout<UInt64>.size) }
    }

    /// Makes it unreadable until the next signal.
    func clear() {
        var count: UInt64 = 0
        _ = Syscall.retrying { read(owned.number, &count, MemoryLayout<UInt64>.size) }
    }
}
