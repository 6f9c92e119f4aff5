// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import CLinux
internal import Glibc
internal import Synchronization

/// The two ends of a pipe through which a bulk direction splices. Whoever holds it gives it back or closes it.
struct Pipe {
    let readEnd: Int32
    let writeEnd: Int32

    func close() {
        Glibc.close(readEnd)
        Glibc.close(writeEnd)
    }
}

/// How many pipes there may be in all workers together.
final class PipeBudget: Sendable {
    /// 0 when nothing is spliced.
    let limit: Int
    /// Capacity of each: a power of two from one page on.
    let pipeBytes: Int
    let descriptors: DescriptorRoom
    private let open = Atomic<Int>(0)

    init(limit: Int, pipeBytes: Int, descriptors: DescriptorRoom) {
        self.limit = limit
        self.pipeBytes = pipeBytes
        self.descriptors = descriptors
    }

    /// Pipes that exist, borrowed or spare.
    var openPipes: Int { open.load(ordering: .relaxed) }

    /// - Returns: false when there are `limit` pipes already.
    func take() -> Bool {
        guard open.load(ordering: .relaxed) < limit else { return false }
        if open.add(1, ordering: .relaxed).newValue <= limit { return true }
        giveBack()
        return false
    }

    func giveBack() { open.subtract(1, ordering: .relaxed) }
}

/// One worker's spare pipes: empty ones, for the next direction that is bulk.
///
/// Pipes are made when they are first needed, out of the budget that all workers share: an atomic count, no lock.
struct PipePool: ~Copyable {
    /// How long none is asked for after the kernel has refused one, which would cost more than the pipe saves: as long as
    /// the longest pause of accepting (`AcceptPause`), whose reasons are the same.
    private static let refusalNanoseconds: UInt64 = 1_000_000_000

    /// How long a spare waits for the next direction that is bulk: a transfer that pauses for less begins again without a
    /// system call, and an idle process holds no descriptor that it does not need.
    private static let spareNanoseconds: UInt64 = 1_000_000_000

    private let budget: PipeBudget
    private let spares: UnsafeMutablePointer<Pipe>
    private let sparesKept: Int
    private var spareCount = 0
    private var refusedUntil: UInt64 = 0
    private var lastBorrowed: UInt64 = 0
    /// Pipes with bytes in them.
    private(set) var borrowedCount = 0

    /// - Parameter sparesKept: at most; further pipes that come back are closed, so that no worker keeps all of them.
    init(budget: PipeBudget, sparesKept: Int) {
        self.budget = budget
        self.sparesKept = sparesKept
        spares = .allocate(capacity: sparesKept)
    }

    /// Capacity of each.
    var pipeBytes: Int { budget.pipeBytes }

    deinit {
        for index in 0..<spareCount { destroy(spares[index]) }
        spares.deallocate()
    }

    /// - Returns: an empty pipe, nil when there is none to be had: read and write then.
    mutating func borrow(now: UInt64) -> Pipe? {
        lastBorrowed = now
        if spareCount > 0 {
            spareCount -= 1
            borrowedCount += 1
            return spares[spareCount]
        }
        guard now >= refusedUntil, budget.take() else { return nil }
        guard let pipe = make() else {
            budget.giveBack()
            refusedUntil = now + Self.refusalNanoseconds
            return nil
        }
        borrowedCount += 1
        return pipe
    }

    /// When `dropSpares` is due; nil while there are none.
    var sparesEnd: UInt64? { spareCount > 0 ? lastBorrowed + Self.spareNanoseconds : nil }

    mutating func dropSpares() {
        for index in 0..<spareCount { destroy(spares[index]) }
        spareCount = 0
    }

    /// - Parameter isEmpty: whether all that went in came out; else nobody else may have it.
    mutating func giveBack(_ pipe: Pipe, isEmpty: Bool) {
        borrowedCount -= 1
        guard isEmpty, spareCount < sparesKept else { return destroy(pipe) }
        spares[spareCount] = pipe
        spareCount += 1
    }

    /// A pipe of the full size or none. One that the kernel does not let grow (EPERM: an unprivileged user gets 64 of
    /// 1 MiB, pipe(7), pipe-user-pages-soft) may hold two pages only, and would be slower than copying.
    private func make() -> Pipe? {
        var (readEnd, writeEnd): (Int32, Int32) = (-1, -1)
        let result = Syscall.retrying { Int(clinux_pipe(&readEnd, &writeEnd)) }
        guard result == 0 else { return nil }
        let pipe = Pipe(readEnd: readEnd, writeEnd: writeEnd)
        let bytes = Syscall.retrying { Int(clinux_set_pipe_bytes(pipe.writeEnd, Int32(budget.pipeBytes))) }
        if bytes >= budget.pipeBytes, budget.descriptors.mayAccept(after: max(readEnd, writeEnd)) { return pipe }
        pipe.close()
        return nil
    }

    private func destroy(_ pipe: Pipe) {
        pipe.close()
        budget.giveBack()
    }
}
