// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Glibc
internal import Synchronization

/// Keeps the process's last descriptors free of clients, whatever else has taken how many, and whoever lowers the limit
/// while it runs: who finds etcd again needs some, and libdispatch ends a process in which it cannot open a file
/// (`_dispatch_workq_count_runnable_workers`, once a second while work waits).
///
/// The kernel gives the lowest number that is free, so a number says how many are taken.
final class DescriptorRoom: Sendable {
    /// Left to the rest of the process: a connection to each of a few endpoints of etcd, a question to DNS, the snapshot
    /// and libdispatch's file.
    static let spare = 16

    private let workers: Int
    private let limit = Atomic<Int>(.max)

    init(workers: Int) { self.workers = workers }

    /// Takes note of the present limit, which prlimit(1) changes at any time: before accepting.
    func look() {
        if let current = try? DescriptorLimit.current() { limit.store(current, ordering: .relaxed) }
    }

    /// Whether a client, or a pipe, with this number leaves room enough for the next.
    ///
    /// A worker that accepts one too many, and connects it, takes nothing of the rest's share by that.
    func mayAccept(after number: Int32) -> Bool { isBelow(Self.spare + 2 * workers, number) }

    /// Whether a connection that was accepted before may have a descriptor of this number.
    func mayConnect(with number: Int32) -> Bool { isBelow(Self.spare, number) }

    /// Whether there is room, without taking any: what to ask after a shortage.
    ///
    /// - Parameter descriptor: any that is open.
    func isThere(beside descriptor: Int32) -> Bool {
        look()
        let free = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard free >= 0 else { return false }
        close(free)
        return mayAccept(after: free)
    }

    /// Of few descriptors a quarter stays free.
    private func isBelow(_ share: Int, _ number: Int32) -> Bool {
        let limit = limit.load(ordering: .relaxed)
        return Int(number) < limit - min(share, limit / 4)
    }
}
