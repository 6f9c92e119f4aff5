// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import ServiceModel
internal import Synchronization

/// What changes for one instance: who uses it, and how it has fared. 32 bytes; zero bytes are one that nothing is known of.
///
/// Told what happened and when, it answers what follows from it; nothing else is looked at. Every worker tells the same
/// cell, so that three failures are three whatever the number of workers.
struct InstanceCell: ~Copyable {
    let generation: Atomic<UInt32>
    /// Tables that hold the tenant and that a worker may still pick from.
    let references: Atomic<UInt32>
    /// Connections that run to it, or try to.
    let open: Atomic<UInt32>
    /// In a row, since it last proved to be well.
    private let failures: Atomic<UInt32>
    /// In a row, none of them longer than `EjectionPolicy.maximum` after the one before had ended.
    private let ejections: Atomic<UInt32>
    /// Whether nobody has picked it since its ejection ended.
    private let isOut: Atomic<Bool>
    /// CLOCK_MONOTONIC; 0 before the first ejection.
    private let ejectedUntil: Atomic<UInt64>

    /// A new tenant, of whom nothing is known.
    func forget() {
        failures.store(0, ordering: .relaxed)
        ejections.store(0, ordering: .relaxed)
        isOut.store(false, ordering: .relaxed)
        ejectedUntil.store(0, ordering: .relaxed)
    }

    /// It did not accept, or ended what it had accepted at once.
    /// - Parameter canSpare: whether its service is well with so many more of its instances out of use than there are; asked
    ///   only when this one would leave, and once it has left.
    /// - Returns: the end of its ejection, to the one who tells of the failure that was one too many.
    func failed(now: UInt64, _ limits: EjectionPolicy.Limits, canSpare: (Int) -> Bool) -> UInt64? {
        let last = ejectedUntil.load(ordering: .relaxed)
        // What was under way when it was taken out of use tells nothing new, nor do those who ask it in vain meanwhile: it
        // comes back with a clean sheet.
        guard last <= now else { return nil }
        guard failures.add(1, ordering: .relaxed).newValue >= limits.failures, canSpare(1) else { return nil }
        let isFirst = last == 0 || now - last >= limits.maximum
        let count = isFirst ? 1 : ejections.load(ordering: .relaxed) &+ 1
        let (span, overflow) = limits.base.multipliedReportingOverflow(by: UInt64(count))
        let until = now + (overflow ? limits.maximum : min(span, limits.maximum))
        // Of several workers one is the first.
        guard ejectedUntil.compareExchange(expected: last, desired: until, ordering: .sequentiallyConsistent).exchanged
        else { return nil }
        // Another worker may have found that the service can spare one, too, and have meant another one. Whoever looks
        // after it has left sees the other; if both do, both stay, until their next failure.
        guard canSpare(0) else {
            ejectedUntil.store(last, ordering: .relaxed)
            return nil
        }
        ejections.store(count, ordering: .relaxed)
        isOut.store(true, ordering: .relaxed)
        failures.store(0, ordering: .relaxed)
        return until
    }

    /// It has sent something, or kept a connection for a while: whatever failed before was not in a row with what comes.
    func proved() {
        // Hardly ever: a load that all workers share costs nothing, a store would.
        if failures.load(ordering: .relaxed) != 0 { failures.store(0, ordering: .relaxed) }
    }

    /// When it may be used again; in the past for one that may.
    var outUntil: UInt64 { ejectedUntil.load(ordering: .relaxed) }

    /// The same in one order with the ejections of all cells.
    var outUntilInOrder: UInt64 { ejectedUntil.load(ordering: .sequentiallyConsistent) }

    /// - Returns: true once, to the first who asks after an ejection has ended.
    func takeReturn(now: UInt64) -> Bool {
        guard isOut.load(ordering: .relaxed), outUntil <= now else { return false }
        return isOut.exchange(false, ordering: .relaxed)
    }

    /// Its part of what it would otherwise get, 0.1...1: less in the time after an ejection.
    func share(now: UInt64, _ limits: EjectionPolicy.Limits) -> Double {
        let back = outUntil
        guard back != 0, now >= back, now - back < limits.slowStart else { return 1 }
        return max(0.1, Double(now - back) / Double(limits.slowStart))
    }
}

/// All cells, by slot: a pointer that workers keep, so that looking at a cell counts no references.
struct InstanceCells {
    // Safety: of an `InstanceLedger`, which outlives every worker.
    let base: UnsafeMutablePointer<InstanceCell>

    subscript(_ id: InstanceID) -> UnsafeMutablePointer<InstanceCell> { base + Int(id.slot) }
}
